//! Pages for those who have a permission: what axum-login's example of this name does. Users and their permissions are
//! in `SQLite`.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo run -p lambda-session --example permissions --all-features -- --port 3000
//! ```
//!
//! Log in as `ferris`, who may see `/`, or as `admin`, who may see `/restricted`, too; `sqlite` says more.

#[path = "sqlite/login.rs"]
mod login;
#[path = "sqlite/people.rs"]
mod people;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use lambda_session::{
    CurrentUser, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError, SessionLayer, lambda,
};
use maud::html;

use self::people::People;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let people = People::new()?;
    let sessions = SessionLayer::from_env(MemoryStore::default())?.build()?;
    let same_origin = SameOriginLayer::new().secure(sessions.is_secure());
    let may = |permission| RequireLoginLayer::new("/login").may(people.clone(), permission);
    let site = Router::new()
        .route("/", get(protected).layer(may("protected.read")))
        .route("/restricted", get(restricted).layer(may("restricted.read")))
        .merge(login::routes())
        .layer(sessions)
        .layer(same_origin);
    lambda::serve(site.with_state(people)).await
}

async fn protected(CurrentUser(person): CurrentUser<People>, session: Session) -> Result<Html<String>, SessionError> {
    let content = html! {
        h1 { "Logged in as " (person.name) }
        p { "You may " code { "protected.read" } "." }
        p { a href="/restricted" { "Go on" } }
    };
    login::page(&session, content).await
}

async fn restricted(CurrentUser(person): CurrentUser<People>, session: Session) -> Result<Html<String>, SessionError> {
    let content = html! {
        h1 { "Logged in as " (person.name) }
        p { "You may " code { "restricted.read" } "." }
    };
    login::page(&session, content).await
}
