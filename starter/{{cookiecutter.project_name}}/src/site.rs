//! The routes and their views. A view takes a request and its session, and returns a page.

use axum::Router;
use axum::extract::Form;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use lambda_session::{LazySession, SameOriginLayer, Session, SessionError, SessionLayer};
use maud::Markup;
use serde::Deserialize;

use crate::pages;

/// The whole site. A request passes the layers from the last to the first: the check that no other site sent it, then
/// the session. Every answer gets its headers last.
pub(crate) fn site(sessions: SessionLayer) -> Router {
    let same_origin = SameOriginLayer::new().secure(sessions.is_secure());
    routes()
        .layer(sessions)
        .layer(same_origin)
        .layer(map_response(with_headers))
}

async fn with_headers(mut answer: Response) -> Response {
    let headers = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make browsers send `Origin: null` with the forms.
        (header::REFERRER_POLICY, "same-origin"),
        // A page is for its visitor alone, and must not come back from the browser's history after a logout.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let policy = (header::CONTENT_SECURITY_POLICY, pages::POLICY.clone());
    answer.headers_mut().extend(headers);
    answer.headers_mut().extend([policy]);
    answer
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
    // Any name is trusted. Check a password here, or another proof of who the visitor is.
    session.clear();
    session.login(name)?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: LazySession) -> Redirect {
    session.end();
    Redirect::to("/")
}
