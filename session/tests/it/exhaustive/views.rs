//! The site that is visited: a view for each kind of request.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;

use http::{Request, Response, header};
use lambda_session::{LazySession, SessionError, SessionService, Sessions, Value};
use std::time::Duration;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::scenario::{Answer, Asked, IDLE, MOST, NOW, OWNER, Op, SLOW, Seen, SetCookie, Vars, message, value};

thread_local! {
    /// What each request's clock says.
    pub(crate) static CLOCKS: [Cell<u64>; MOST] = const { [const { Cell::new(NOW) }; MOST] };
}

pub(crate) type Views = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
pub(crate) type Running = Pin<Box<dyn Future<Output = Answer>>>;

pub(crate) fn visit(site: &SessionService<Views>, asked: Asked, place: usize, cookie: Option<String>) -> Running {
    let mut request = Request::new(String::new());
    if let Some(cookie) = cookie {
        let cookie = cookie.parse().expect("a header");
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    request.extensions_mut().insert((asked.op, place, asked.slow));
    let answered = site.clone().oneshot(request);
    Box::pin(async move {
        let Ok(response) = answered.await;
        let sent = response.headers().get(header::SET_COOKIE);
        let sent = sent.map(|sent| sent.to_str().expect("ASCII").split(';').next().unwrap_or_default());
        Answer {
            status: response.status().as_u16(),
            cookie: match sent {
                None => SetCookie::Nothing,
                Some(sent) if sent.ends_with('=') => SetCookie::Cleared,
                Some(sent) => SetCookie::Issued(sent.to_owned()),
            },
            seen: response.extensions().get().copied().unwrap_or_default(),
        }
    })
}

pub(crate) async fn respond(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(match view(&request).await {
        Ok(seen) => {
            let mut response = Response::new(String::new());
            response.extensions_mut().insert(seen);
            response
        }
        Err(error) => error.into_response(),
    })
}

async fn view(request: &Request<String>) -> Result<Seen, SessionError> {
    let (op, place, slow) = *request.extensions().get::<(Op, usize, bool)>().expect("what to do");
    let lazy = LazySession::of(request)?;
    let mut seen = Seen::default();
    match op {
        Op::Logout => {
            lazy.end();
            return Ok(seen);
        }
        Op::EndAll => {
            Sessions::of(request)?.end_all(OWNER).await?;
            return Ok(seen);
        }
        _ => {}
    }
    let session = lazy.load().await?;
    seen.found = Some(session.created_at().map(|_| vars(session.iter())));
    if slow {
        CLOCKS.with(|clocks| clocks[place].set(clocks[place].get() + SLOW));
    }
    match op {
        Op::View | Op::Logout | Op::EndAll => {}
        Op::Set => session.insert("x", value(place))?,
        Op::Add => drop(session.increment("n", 1)?),
        Op::Pop => {
            session.pop::<u8>("x")?;
        }
        Op::Flash => session.flash(&message(place).to_string())?,
        Op::Take => seen.taken = digits(&session.take_flashes().await?),
        Op::Ann | Op::Bob => {
            let name = if op == Op::Ann { "ann" } else { "bob" };
            if session.get::<String>("user")?.is_none_or(|current| current != name) {
                session.clear();
            }
            session.renew();
            session.insert("user", name)?;
        }
        Op::Owner => session.login(OWNER)?,
        Op::Renew => session.renew(),
        Op::RenewAndPop => {
            session.renew();
            session.pop::<u8>("x")?;
        }
        Op::Remember => {
            session.remember(Duration::from_secs(5 * IDLE));
            session.insert("user", "ann")?;
        }
        Op::Clear => session.clear(),
        Op::Goodbye => {
            session.end();
            session.flash(&message(place).to_string())?;
        }
        Op::SaveAndAdd => {
            session.insert("x", value(place))?;
            session.save().await?;
            session.increment("n", 1)?;
        }
    }
    Ok(seen)
}

fn digits(messages: &[String]) -> u32 {
    let digit = |text: &String| text.parse::<u32>().expect("a digit");
    messages.iter().fold(0, |all, text| all * 10 + digit(text))
}

pub(crate) fn vars(variables: impl IntoIterator<Item = (String, Value)>) -> Vars {
    let mut vars = Vars::default();
    for (name, value) in variables {
        match name.as_str() {
            "user" => vars.user = 1 + u8::from(value.decode::<String>().is_ok_and(|name| name == "bob")),
            "x" => vars.x = value.decode().expect("a number"),
            "n" => vars.n = value.decode().expect("a number"),
            _ => vars.flashes = digits(&value.decode::<Vec<String>>().expect("texts")),
        }
    }
    vars
}
