//! The site: what an author of axum-login's writes, and "log out everywhere".

use std::convert::Infallible;

use argon2::{Argon2, PasswordVerifier as _};
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_login::{AuthUser, AuthnBackend, login_required};
use axum_messages::Messages;
use lambda_session::{Sessions, local_path};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use tower_sessions::Session;

type AuthSession = axum_login::AuthSession<Backend>;

/// A user. The hash of the password ends the user's sessions when the password changes.
#[derive(Clone, Debug)]
pub(crate) struct User {
    id: i64,
    name: &'static str,
    password_hash: &'static str,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password_hash.as_bytes()
    }
}

/// The users, both with the password `correct horse battery staple`.
const USERS: [User; 2] = [
    User {
        id: 1,
        name: "admin",
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1\
            $fpd7umMP33J5hGaZliMfMA$hYHevSSvc/dB3rZNfP3u8/XfMVXs/jAwHkejO1Q1Teg",
    },
    User {
        id: 2,
        name: "alice",
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1\
            $tMSwYn++bkhE+ugY00clBw$a2bXUuIhFZCTWzOngrCV4Tkt490EZq2pHMX4zmA7q8E",
    },
];

/// Finds users and checks their passwords.
#[derive(Clone, Debug)]
pub(crate) struct Backend;

/// What the login form holds.
#[derive(Clone, Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    #[serde(default)]
    next: String,
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    /// Takes as long for an unknown name; otherwise the time would show which names exist.
    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, Infallible> {
        let user = USERS.into_iter().find(|user| user.name == credentials.username);
        let hash = user.as_ref().map_or(USERS[0].password_hash, |user| user.password_hash);
        let check = move || Argon2::default().verify_password(credentials.password.as_bytes(), hash);
        // On a thread where it blocks no other request.
        let checked = tokio::task::spawn_blocking(check).await;
        Ok(user.filter(|_| matches!(checked, Ok(Ok(())))))
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        Ok(USERS.into_iter().find(|user| user.id == *id))
    }
}

pub(crate) fn routes(sessions: Sessions) -> Router {
    Router::new()
        .route("/orders", get(orders))
        .route("/logout-everywhere", post(log_out_everywhere))
        .route_layer(login_required!(Backend, login_url = "/login"))
        .route("/", get(home))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", post(log_out))
        .route("/basket", post(put_into_basket))
        .route("/theme", post(set_theme))
        .with_state(sessions)
}

/// A failure of the session or of the store behind it, which the log names.
struct Failure;

impl<E: std::error::Error> From<E> for Failure {
    fn from(_: E) -> Self {
        Self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = "That cannot be done at the moment. Please try again in a few seconds.";
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

async fn home(
    method: Method,
    headers: HeaderMap,
    auth: AuthSession,
    messages: Messages,
    session: Session,
) -> Result<Html<String>, Failure> {
    // Nobody sees the answer to a HEAD, or perhaps to a prefetch, so they leave the messages for the next page.
    let is_seen = method == Method::GET && !headers.contains_key("sec-purpose");
    let basket: Vec<String> = session.get("basket").await?.unwrap_or_default();
    let theme: String = session.get("theme").await?.unwrap_or_default();
    Ok(page(&html! {
        @match auth.user {
            Some(user) => h1 { "Logged in as " (user.name) },
            None => h1 { "Not logged in" },
        }
        @if is_seen {
            @for message in messages { p { (message) } }
        }
        p { "Basket: " (basket.join(", ")) "." }
        p { "Theme: " (theme) "." }
        p { a href="/login" { "Log in" } }
        form action="/basket" method="post" { input name="item" required; button { "Put into the basket" } }
        form action="/theme" method="post" { input name="theme" required; button { "Set the theme" } }
        form action="/logout" method="post" { button { "Log out" } }
        form action="/logout-everywhere" method="post" { button { "Log out everywhere" } }
    }))
}

async fn orders(auth: AuthSession) -> Html<String> {
    page(&html! { h1 { "Orders of " (auth.user.map_or("nobody", |user| user.name)) } })
}

#[derive(Deserialize)]
struct Destination {
    #[serde(default)]
    next: String,
}

async fn login_form(Query(Destination { next }): Query<Destination>) -> Html<String> {
    page(&html! {
        form action="/login" method="post" {
            input type="hidden" name="next" value=(next);
            label { "Name " input name="username" required autocomplete="username"; }
            label { "Password " input type="password" name="password" required autocomplete="current-password"; }
            button { "Log in" }
        }
    })
}

async fn log_in(
    mut auth: AuthSession,
    messages: Messages,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Failure> {
    let next = local_path(&credentials.next).unwrap_or("/").to_owned();
    let Some(user) = auth.authenticate(credentials).await? else {
        return Ok((StatusCode::UNAUTHORIZED, "The name or the password is wrong.").into_response());
    };
    // axum-login would keep the ID and the variables of another user's session.
    if auth.user.as_ref().is_some_and(|before| before.id() != user.id()) {
        auth.logout().await?;
    }
    auth.login(&user).await?;
    messages.success(format!("Welcome, {}", user.name));
    Ok(Redirect::to(&next).into_response())
}

async fn log_out(mut auth: AuthSession) -> Result<Redirect, Failure> {
    auth.logout().await?;
    Ok(Redirect::to("/"))
}

/// Ends the user's sessions, on all devices. The owner of a session is the user's ID as text.
async fn log_out_everywhere(State(sessions): State<Sessions>, mut auth: AuthSession) -> Result<Redirect, Failure> {
    if let Some(user) = &auth.user {
        sessions.end_all(&user.id().to_string()).await?;
    }
    auth.logout().await?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

async fn put_into_basket(session: Session, Form(Item { item }): Form<Item>) -> Result<Redirect, Failure> {
    let mut basket: Vec<String> = session.get("basket").await?.unwrap_or_default();
    basket.push(item);
    session.insert("basket", basket).await?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct Theme {
    theme: String,
}

async fn set_theme(session: Session, Form(Theme { theme }): Form<Theme>) -> Result<Redirect, Failure> {
    session.insert("theme", theme).await?;
    Ok(Redirect::to("/"))
}

fn page(content: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Shop" }
                link rel="icon" href="data:,";
            }
            body { (content) }
        }
    };
    Html(page.into_string())
}
