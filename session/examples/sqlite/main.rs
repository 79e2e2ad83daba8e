//! A login form, and users in `SQLite`: what axum-login's example of this name does, and a change of the password,
//! which logs the user out on all other devices.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo run -p lambda-session --example sqlite --all-features -- --port 3000
//! ```
//!
//! Log in as `ferris` or `admin` with the password `correct horse battery staple`. Users and sessions are in memory, so
//! this is a server and not a function, of which each instance would have its own. It shows how `Users` is implemented.
//! The login to copy is that of `passwords`, which limits guesses.

mod login;
mod people;

use argon2::{Argon2, PasswordHasher as _};
use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect, Result};
use axum::routing::{get, post};
use lambda_session::{
    Auth, CurrentUser, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError, SessionLayer, lambda,
};
use maud::html;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use self::people::{People, Person, failed};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let people = People::new()?;
    let sessions = SessionLayer::from_env(MemoryStore::default())?.build()?;
    let same_origin = SameOriginLayer::new().secure(sessions.is_secure());
    let members = Router::new()
        .route("/", get(home))
        .route("/password", post(change_password))
        .route_layer(RequireLoginLayer::new("/login").users(people.clone()));
    let site = members.merge(login::routes()).layer(sessions).layer(same_origin);
    lambda::serve(site.with_state(people)).await
}

async fn home(CurrentUser(person): CurrentUser<People>, session: Session) -> Result<Html<String>, SessionError> {
    let content = html! {
        h1 { "Logged in as " (person.name) }
        form method="post" action="/password" {
            p { label { "Current password " input #current name="current" type="password" required; } }
            p { label { "New password " input #new name="new" type="password" required; } }
            button { "Change the password" }
        }
    };
    login::page(&session, content).await
}

#[derive(Deserialize)]
struct Change {
    current: String,
    new: String,
}

async fn change_password(
    auth: Auth<People>,
    State(people): State<People>,
    CurrentUser(person): CurrentUser<People>,
    Form(change): Form<Change>,
) -> Result<Redirect> {
    let Some(person) = people.with_password(&person.name, change.current).await? else {
        return Err((StatusCode::FORBIDDEN, "The current password is wrong.").into());
    };
    let hash = spawn_blocking(move || Argon2::default().hash_password(change.new.as_bytes()));
    let hash = hash.await.map_err(failed)?.map_err(failed)?.to_string();
    let update = "update people set hash = ?1 where id = ?2 and hash = ?3";
    let changed = people.tables().execute(update, (&hash, person.id, &person.hash));
    if changed.map_err(failed)? == 0 {
        return Err((StatusCode::CONFLICT, "It was changed meanwhile.").into());
    }
    // The stamp has changed, so all other sessions of this user end at their next request.
    let session = auth.login(&Person { hash, ..person }).await?;
    session.flash("Your password is changed, and all other devices are logged out.")?;
    Ok(Redirect::to("/"))
}
