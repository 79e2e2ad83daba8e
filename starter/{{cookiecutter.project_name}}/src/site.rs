//! The routes and their views: a request and its session in, a page out.

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use lambda_session::{LazySession, SameOriginLayer, Session, SessionError, SessionLayer};
use maud::Markup;
use serde::Deserialize;

use crate::pages;

/// The whole site. A request comes from below: does another site send it? Whose session is it?
pub(crate) fn site(sessions: SessionLayer) -> Router {
    let same_origin = SameOriginLayer::new().secure(sessions.is_secure());
    routes().layer(sessions).layer(same_origin)
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(home))
        .route("/login", get(form).post(login))
        .route("/logout", post(logout))
}

async fn home(session: Session) -> Result<Markup, SessionError> {
    let Some(name) = session.owner() else {
        return Ok(pages::welcome());
    };
    let visits = session.increment("visits", 1)?;
    Ok(pages::home(&name, visits))
}

async fn form() -> Markup {
    pages::login(None)
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn login(
    session: Session,
    Form(Login { username }): Form<Login>,
) -> Result<Response, SessionError> {
    let name = username.trim();
    if name.is_empty() || name.chars().count() > 64 {
        let page = pages::login(Some("A name has 1 to 64 characters."));
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    // Any name is trusted. Check a password here, or who else says that it is they.
    session.clear();
    session.login(name)?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: LazySession) -> Redirect {
    session.end();
    Redirect::to("/")
}
