//! The requests that are measured, and the floor of each.

use dev::event::Event;
use serde_json::Value;

use crate::Failure;
use crate::sandbox::{Sandbox, bytes};

/// One kind of request, and the state of its session.
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

    /// The requests that have a floor and are timed.
    pub(crate) const TIMED: [Self; 3] = [Self::Anonymous, Self::View, Self::Login];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous page",
            Self::Form => "login form",
            Self::Forged => "forged cookie",
            Self::View => "view",
            Self::Login => "login",
            Self::LoginAgain => "login again",
            Self::Logout => "logout",
        }
    }

    /// Returns the floor with the same number of store calls.
    pub(crate) fn floor(self) -> &'static str {
        if self.calls() == 0 { "hello" } else { "getitem" }
    }

    /// Returns the share of its floor's CPU time that the request may take.
    pub(crate) fn target(self, caches: Caches) -> Option<f64> {
        match (self, caches) {
            (Self::Anonymous, Caches::Warm) => Some(1.15),
            (Self::View, Caches::Warm) => Some(0.90),
            (Self::View, Caches::Cold) => Some(1.00),
            (Self::Login, Caches::Warm) => Some(0.95),
            _ => None,
        }
    }

    /// Returns the number of store calls that the request may make.
    pub(crate) fn calls(self) -> u64 {
        match self {
            Self::Anonymous | Self::Form | Self::Forged => 0,
            Self::View | Self::Login | Self::Logout => 1,
            Self::LoginAgain => 3,
        }
    }

    /// Returns the event of the request, in a session with this cookie.
    pub(crate) fn event(self, cookie: &str) -> Vec<u8> {
        bytes(match self {
            Self::Anonymous => Event::get("/"),
            Self::Form => Event::get("/login"),
            Self::Forged => Event::get("/").cookie(FORGED),
            Self::View => Event::get("/").cookie(cookie),
            Self::Login => login(),
            Self::LoginAgain => login().cookie(cookie),
            Self::Logout => Event::get("/logout").cookie(cookie),
        })
    }
}

/// What a request finds of the program in the processor's caches: all of it, as in a loop, or nothing, as the sparse
/// requests of a function do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caches {
    Warm,
    Cold,
}

impl Caches {
    /// Returns the beginning of the figures' names.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Warm => "",
            Self::Cold => "cold ",
        }
    }
}

/// A well-formed cookie that is not signed with the function's key.
const FORGED: &str = "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Returns a browser's login.
fn login() -> Event {
    Event::post_form("/login", &[("username", "admin")])
}

/// Logs in, and returns the cookie.
pub(crate) async fn log_in(sandbox: &Sandbox) -> Result<String, Failure> {
    let (answer, _) = sandbox.invoke(&bytes(login())).await?;
    cookie_of(&answer)
}

/// Returns the cookie that an answer sets.
pub(crate) fn cookie_of(answer: &Value) -> Result<String, Failure> {
    let cookie = answer["cookies"][0].as_str();
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.map(str::to_owned)
        .ok_or_else(|| format!("no cookie was set: {answer}").into())
}
