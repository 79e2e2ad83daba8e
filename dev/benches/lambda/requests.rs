//! The requests that are measured, as the Runtime API sends them, and the sessions that they belong to.

use dev::event::Event;
use serde_json::Value;

use crate::Failure;
use crate::sandbox::Sandbox;

/// Returns an event as the Runtime API sends it.
pub(crate) fn bytes(event: Event) -> Vec<u8> {
    event.into_value().to_string().into_bytes()
}

/// Returns a visit of the start page, with the cookie of a session or, if it is empty, without.
pub(crate) fn view(cookie: &str) -> Vec<u8> {
    bytes(match cookie {
        "" => Event::get("/"),
        cookie => Event::get("/").cookie(cookie),
    })
}

/// Returns a login of a visitor who has no session.
pub(crate) fn login() -> Vec<u8> {
    bytes(Event::post_form("/login", &[("username", "admin")]))
}

/// Returns a form without fields, with the cookie of a session.
pub(crate) fn post(path: &str, cookie: &str) -> Vec<u8> {
    bytes(Event::post_form(path, &[]).cookie(cookie))
}

/// Logs in, and returns the cookie.
pub(crate) async fn log_in(sandbox: &Sandbox) -> Result<String, Failure> {
    cookie_of(&sandbox.invoke(&login()).await?.0)
}

/// Returns the cookie that an answer sets.
pub(crate) fn cookie_of(answer: &Value) -> Result<String, Failure> {
    let cookie = answer["cookies"][0].as_str();
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.map(str::to_owned)
        .ok_or_else(|| format!("no cookie was set: {answer}").into())
}

/// Makes a session with this many variables, the username among them, of so many bytes together, and returns its
/// cookie. It is made by *ours*, whose cookies the app accepts.
pub(crate) async fn session(ours: &Sandbox, variables: usize, size: usize) -> Result<String, Failure> {
    let cookie = log_in(ours).await?;
    if variables > 1 {
        let (variables, size) = (&*(variables - 1).to_string(), &*size.to_string());
        let fill = Event::post_form("/fill", &[("variables", variables), ("size", size)]);
        ours.invoke(&bytes(fill.cookie(&cookie))).await?;
    }
    Ok(cookie)
}
