//! The requests that are measured, and what each is measured against.

use crate::Failure;
use crate::event::Event;
use crate::sandbox::{Sandbox, bytes};

/// One kind of request, in the state of the session it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Anonymous,
    Form,
    Forged,
    View,
    Login,
    LoginAgain,
    Logout,
}

/// Which floor, and which request to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    Page,
    GetItem,
    PutItem,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    Floor(Floor),
    Route(Route),
}

impl Turn {
    /// Everybody.
    pub(crate) fn all() -> Vec<Self> {
        let floors = Floor::ALL.into_iter().map(Self::Floor);
        floors.chain(Route::ALL.into_iter().map(Self::Route)).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor(floor) => floor.name(),
            Self::Route(route) => route.name(),
        }
    }
}

impl Floor {
    pub(crate) const ALL: [Self; 3] = [Self::Page, Self::GetItem, Self::PutItem];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Page => "hello",
            Self::GetItem => "GetItem",
            Self::PutItem => "PutItem",
        }
    }

    /// The same bytes as the product's request.
    pub(crate) fn event(self, cookie: &str) -> Vec<u8> {
        bytes(match self {
            Self::Page => Event::get("/"),
            Self::GetItem => Event::get("/").cookie(cookie),
            Self::PutItem => login(),
        })
    }
}

impl Route {
    pub(crate) const ALL: [Self; 7] = [
        Self::Anonymous,
        Self::Form,
        Self::Forged,
        Self::View,
        Self::Login,
        Self::LoginAgain,
        Self::Logout,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous page",
            Self::Form => "login form",
            Self::Forged => "forged cookie",
            Self::View => "view",
            Self::Login => "first login",
            Self::LoginAgain => "login again",
            Self::Logout => "logout",
        }
    }

    /// The least that has as many store calls. A login over a live session has three, for which there is no floor.
    pub(crate) fn floor(self) -> Option<Floor> {
        match self {
            Self::Anonymous | Self::Form | Self::Forged => Some(Floor::Page),
            Self::View => Some(Floor::GetItem),
            Self::Login | Self::Logout => Some(Floor::PutItem),
            Self::LoginAgain => None,
        }
    }

    /// How much of its floor's CPU time it may take.
    pub(crate) fn target(self) -> Option<f64> {
        match self {
            Self::Anonymous | Self::View => Some(1.05),
            Self::Login => Some(1.10),
            _ => None,
        }
    }

    /// The store calls it may make.
    pub(crate) fn calls(self) -> u64 {
        match self {
            Self::Anonymous | Self::Form | Self::Forged => 0,
            Self::View | Self::Login | Self::Logout => 1,
            Self::LoginAgain => 3,
        }
    }

    /// Events of this kind, with the sessions they need.
    pub(crate) fn events(self, sandbox: &mut Sandbox, number: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let mut own_session = |event: fn(&str) -> Event| -> Result<Vec<Vec<u8>>, Failure> {
            (0..number).map(|_| Ok(bytes(event(&log_in(sandbox)?)))).collect()
        };
        let same = |event: Event| vec![bytes(event); number];
        Ok(match self {
            Self::Anonymous => same(Event::get("/")),
            Self::Form => same(Event::get("/login")),
            Self::Forged => same(Event::get("/").cookie(FORGED)),
            Self::Login => vec![bytes(login()); number],
            Self::View => same(Event::get("/").cookie(&log_in(sandbox)?)),
            Self::LoginAgain => own_session(|cookie| login().cookie(cookie))?,
            Self::Logout => own_session(|cookie| Event::get("/logout").cookie(cookie))?,
        })
    }
}

/// Well-formed, and signed by nobody.
const FORGED: &str = "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A browser's login.
pub(crate) fn login() -> Event {
    Event::post_form("/login", &[("username", "admin")])
}

/// Logs in, and gives the cookie.
pub(crate) fn log_in(sandbox: &mut Sandbox) -> Result<String, Failure> {
    let answer = sandbox.invoke(&bytes(login()))?.read()?;
    let cookie = answer["cookies"][0]
        .as_str()
        .or(answer["headers"]["set-cookie"].as_str());
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.map(str::to_owned)
        .ok_or_else(|| format!("a login set no cookie: {answer}").into())
}
