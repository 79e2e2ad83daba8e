//! The page of `passwords` and `oidc` on which a user logs out everywhere else. Its guard asks for a proof first (OWASP
//! ASVS 5.0, 7.5.2), because whoever has only a stolen session could log the user out. The page of `account` lists each
//! device.

use axum::Router;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use lambda_session::{RequireLoginLayer, Session, SessionError, Sessions};
use maud::html;

use crate::page::{messages, page};

pub(crate) fn routes<S: Clone + Send + Sync + 'static>(guard: RequireLoginLayer) -> Router<S> {
    Router::new()
        .route("/sessions", get(show))
        .route("/sessions/end-others", post(end_others))
        .route_layer(guard)
}

async fn show(session: Session, sessions: Sessions) -> Result<Response, SessionError> {
    let number = match session.owner() {
        Some(owner) => sessions.list(&owner).await?.len(),
        None => 0,
    };
    let flashes = session.take_flashes().await?;
    let content = html! {
        h1 { "Your devices" }
        (messages(&flashes))
        p { "You are logged in on " b { (number) } @if number == 1 { " device." } @else { " devices." } }
        nav {
            @if number > 1 {
                form action="/sessions/end-others" method="post" { button { "Log out everywhere else" } }
            }
            a href="/" { "Back to the start page" }
        }
    };
    Ok(page("Your devices", &content))
}

async fn end_others(session: Session, sessions: Sessions) -> Result<Redirect, SessionError> {
    sessions.end_others(&session).await?;
    session.flash("All other devices are logged out.")?;
    Ok(Redirect::to("/sessions"))
}
