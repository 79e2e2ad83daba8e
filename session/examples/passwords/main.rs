//! Passwords: sign-up, login, "remember me" and a change of password, with a basket that survives the login.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo run -p lambda-session --example passwords --all-features -- --port 3000
//! ```
//!
//! This keeps everything in memory. If `AWS_LAMBDA_RUNTIME_API` is set, as Lambda does, the program runs as a function.
//!
//! | variable | |
//! |---|---|
//! | `TABLE_NAME` | the sessions' table, which also counts the attempts to log in. Required on Lambda |
//! | `USERS_TABLE_NAME` | the users' table |
//! | others | see `SessionLayer::from_env` and `DynamoDbStore::from_env` |
//!
//! # Two tables
//!
//! Users have a table of their own: string partition key `name`, no TTL, backups (point-in-time recovery) on. The
//! sessions' table is the opposite: everything in it has a limited life, and a restored backup would bring ended
//! sessions back to life. Every function of a site needs the sessions, but only this one needs the hashes. Its role may
//! `dynamodb:GetItem`, `dynamodb:PutItem` and `dynamodb:UpdateItem` on both tables. The role may not list or delete
//! users, so an attacker in the function cannot, either.
//!
//! Attempts to log in are counted in the sessions' table, because they have a limited life, too. A counter in memory
//! would count for one instance of the function only.
//!
//! # What holds
//!
//! - Passwords are kept as argon2id hashes, with the parameters of OWASP's
//!   [Password Storage Cheat Sheet](https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
//! - A login costs one hash, whatever name is given: an unknown or invalid name takes as long as a wrong password.
//! - The attempts from one address and to one account are limited, whichever instances they reach (`attempts`). A
//!   browser from which somebody has logged in has a limit of its own (`devices`), so nobody can keep a user out by
//!   trying that user's name. A change of password takes this limit away, except from the browser in which the
//!   password is changed.
//! - A password is compared in Unicode's normal form C, so that it does not matter how a keyboard spells an é.
//! - Whoever has only a stolen session can neither change the password, whose form asks for the current one (OWASP ASVS
//!   5.0, 6.2.3 and 7.5.1), nor log the user out elsewhere: `/sessions` asks for the password if it was given more than
//!   ten minutes ago (7.5.2). Where it is given again, the session gets another ID (7.2.4), so a stolen copy of the
//!   cookie is not confirmed along with the user's. Wrong passwords count here, too.
//! - A change of password ends every session that began with the old one, also that of a login or a sign-up under way,
//!   and replaces the one in which it is made, of which somebody may have a copy. If that cannot be replaced, it ends,
//!   too. If no answer of the table tells whether the password was changed, the other sessions end, and the user is
//!   asked to change it again.
//!
//! # What else a site needs
//!
//! It needs a way back for users who forgot their password, and an address to send it to. A sign-up by name shows which
//! names are taken. A sign-up by e-mail should give everybody the same answer, and send the rest by mail. NIST SP
//! 800-63B requires that passwords are compared with a list of known ones.
//!
//! It needs memory: a hash takes 19 MiB, and the C library keeps such blocks for each thread that has made one, 240 to
//! 570 MB in all. For a function, set `MALLOC_ARENA_MAX=1` in its environment, with which all threads share one arena.
//!
//! In reading order: `site` is the route table, with the layers around it. Below are the views. To copy this example,
//! copy its folder and the files of `site` beside it, `page.rs`, `problem.rs`, `sessions.rs` and `table.rs`.

mod attempts;
mod devices;
#[path = "../site/page.rs"]
mod page;
mod pages;
mod password;
#[path = "../site/problem.rs"]
mod problem;
mod problems;
#[path = "../site/sessions.rs"]
mod sessions;
#[path = "../site/table.rs"]
mod table;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response, Result};
use axum::routing::{get, post};
use lambda_session::lambda;
use lambda_session::{
    DynamoDbStore, LazySession, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError, SessionLayer,
    Sessions, local_path,
};
use serde::Deserialize;

use self::attempts::{Address, Attempts, Limit};
use self::devices::Devices;
use self::problem::{BUG, Problem, present};
use self::problems::{MAYBE_CHANGED, NOT_ENDED, Note, answer_noted};
use self::users::Users;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    let (sessions, app) = settings().await?;
    lambda::serve(site(sessions, app)).await
}

/// Reads an environment variable. An empty one counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The state that the views need besides the session.
#[derive(Clone)]
struct App {
    users: Arc<Users>,
    attempts: Arc<Attempts>,
    devices: Arc<Devices>,
}

async fn settings() -> Result<(SessionLayer, App), Error> {
    let (sessions, users, attempts) = if let Some(store) = DynamoDbStore::from_env_unless_local()? {
        let users = variable("USERS_TABLE_NAME").ok_or("USERS_TABLE_NAME is not set; it names the users' table")?;
        // Before the first request: Lambda gives the start a whole processor, and does not count it as request time.
        store.warm_up().await;
        let users = Users::table(store.client(), &users);
        let attempts = Attempts::table(store.client(), store.table());
        (SessionLayer::from_env(store)?, users, attempts)
    } else {
        eprintln!("TABLE_NAME is not set, so everything is in memory and ends with this program");
        let sessions = SessionLayer::from_env(MemoryStore::default())?;
        (sessions, Users::in_memory(), Attempts::in_memory())
    };
    let sessions = sessions.build()?;
    let secret_key = variable("SECRET_KEY").unwrap_or_default();
    let app = App {
        users: Arc::new(users),
        attempts: Arc::new(attempts),
        devices: Arc::new(Devices::new(&secret_key, sessions.is_secure())),
    };
    Ok((sessions, app))
}

fn site(sessions: SessionLayer, app: App) -> Router {
    let secure = sessions.is_secure();
    let same_origin = SameOriginLayer::new().secure(secure);
    let logged_in = RequireLoginLayer::new("/login");
    let members = Router::new()
        .route("/account", get(account))
        .route("/password", post(change_password))
        .route("/confirm", get(confirm_form).post(confirm))
        .route_layer(logged_in.clone());
    let confirmed = logged_in.confirmed_within(PASSWORD, TEN_MINUTES, "/confirm");
    let site = Router::new()
        .route("/", get(home))
        .route("/basket", post(add_to_basket))
        .route("/signup", get(sign_up_form).post(sign_up))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", post(log_out))
        .merge(members)
        .merge(sessions::routes(confirmed))
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(sessions)
        // Outside the sessions, so that a request from another site's page costs no store call.
        .layer(same_origin)
        .layer(from_fn(answer_noted));
    present(site, secure).with_state(app)
}

// The views.

async fn home(session: Session) -> Result<Response, SessionError> {
    let page = pages::Home {
        name: session.owner(),
        basket: session.get(BASKET)?.unwrap_or_default(),
        flashes: session.take_flashes().await?,
    };
    Ok(page.into_response())
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

/// Keeps the newest items. The session's own limit would refuse what comes after it is full.
async fn add_to_basket(session: Session, Form(Item { item }): Form<Item>) -> Result<Redirect> {
    if item.chars().count() > MOST_CHARACTERS {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "An item has at most 100 characters.").into());
    }
    let added = session.update(BASKET, move |basket: Option<Vec<String>>| {
        let mut basket = basket.unwrap_or_default();
        basket.push(item.clone());
        basket.drain(..basket.len().saturating_sub(MOST_ITEMS));
        basket
    });
    added.map_err(SessionError::from)?;
    Ok(Redirect::to("/"))
}

/// The page to go to after the login.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    next: String,
}

async fn login_form(Query(Destination { next }): Query<Destination>) -> pages::Login {
    pages::Login {
        next,
        ..pages::Login::default()
    }
}

/// The forms' fields. A missing one counts as empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    remember: Option<String>,
    next: String,
}

async fn log_in(
    State(app): State<App>,
    session: LazySession,
    Address(address): Address,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Result<Response> {
    let name = users::name(&form.username);
    let whom = name.as_deref().unwrap_or_default();
    let user = match &name {
        Some(name) => app.users.find(name).await?,
        None => None,
    };
    // Also without a user, so that it takes the same time. No cookie is ever made for an empty hash.
    let device = app.devices.known(&headers, whom, user.as_deref().unwrap_or_default());
    // Counted before the password is checked; otherwise many attempts at once would all pass.
    let counted = match device {
        Some(device) => vec![app.attempts.begin(&Limit::DEVICE, &device).await?],
        None => vec![
            app.attempts.begin(&Limit::ADDRESS, &address).await?,
            app.attempts.begin(&Limit::ACCOUNT, whom).await?,
        ],
    };
    let is_right = password::is_right(user.as_deref(), form.password).await?;
    let (Some(name), Some(hash), true) = (name, user, is_right) else {
        let page = pages::Login {
            username: form.username,
            next: form.next,
            mistake: Some(WRONG),
        };
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    app.attempts.forgive(counted).await;
    enter(&app, session, &name, &hash, form.remember.is_some()).await?;
    Ok(welcome(&app, &name, &hash, &form.next))
}

/// Logs a user in whose password has this hash, unless the password has changed meanwhile. What the visitor did before
/// stays, unless the session belongs to another user: `Session::login` clears it then.
async fn enter(app: &App, session: LazySession, name: &str, hash: &str, remember: bool) -> Result<()> {
    let session = session.load().await?;
    session.login(name)?;
    session.confirm(PASSWORD)?;
    if remember {
        session.remember(MONTH);
    }
    session.save().await?;
    // From here on, a change of password finds this session and ends it. An earlier change has replaced the hash.
    match app.users.find(name).await {
        Ok(now) if now.as_deref() == Some(hash) => Ok(()),
        changed => {
            session.end();
            let problem = changed.err();
            Err(problem
                .unwrap_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, WRONG))
                .into())
        }
    }
}

fn welcome(app: &App, name: &str, hash: &str, next: &str) -> Response {
    let device = AppendHeaders([(header::SET_COOKIE, app.devices.cookie(name, hash))]);
    (device, Redirect::to(local_path(next).unwrap_or("/"))).into_response()
}

async fn sign_up_form() -> pages::SignUp {
    pages::SignUp::default()
}

async fn sign_up(
    State(app): State<App>,
    session: LazySession,
    Address(address): Address,
    Form(form): Form<Credentials>,
) -> Result<Response> {
    let again = |status, mistake| {
        let username = form.username.clone();
        let mistake = Some(mistake);
        (status, pages::SignUp { username, mistake }).into_response()
    };
    let Some(name) = users::name(&form.username) else {
        return Ok(again(StatusCode::BAD_REQUEST, users::NAME_RULE));
    };
    if let Err(rule) = password::check(&form.password, &name) {
        return Ok(again(StatusCode::BAD_REQUEST, rule));
    }
    app.attempts.begin(&Limit::SIGN_UPS, &address).await?;
    let hash = password::hash(form.password).await?;
    if !app.users.add(&name, &hash).await? {
        return Ok(again(StatusCode::CONFLICT, "Somebody has that name already."));
    }
    enter(&app, session, &name, &hash, false).await?;
    Ok(welcome(&app, &name, &hash, ""))
}

async fn log_out(session: LazySession) -> Redirect {
    session.end();
    Redirect::to("/")
}

async fn account(session: Session) -> Result<pages::Account, SessionError> {
    Ok(pages::Account {
        name: session.owner().unwrap_or_default(),
        flashes: session.take_flashes().await?,
        mistake: None,
    })
}

/// Checks the password of whoever is logged in, and returns its hash if it is right. The attempts are limited: somebody
/// who found a logged-in browser does not know the password yet. Each session has a limit of its own, so that this
/// somebody does not keep the user from giving the password elsewhere.
async fn prove(app: &App, session: &Session, name: &str, password: String) -> Result<Option<String>, Problem> {
    let session = session.handle().ok_or(BUG)?;
    let counted = app.attempts.begin(&Limit::PROOFS, &session).await?;
    let hash = app.users.find(name).await?;
    if !password::is_right(hash.as_deref(), password).await? {
        return Ok(None);
    }
    app.attempts.forgive(vec![counted]).await;
    Ok(hash)
}

async fn confirm_form(Query(Destination { next }): Query<Destination>) -> pages::Confirm {
    pages::Confirm { next, mistake: None }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Proof {
    password: String,
    next: String,
}

/// Asks for the password again, before what a thief of the session must not do.
async fn confirm(State(app): State<App>, session: Session, Form(form): Form<Proof>) -> Result<Response> {
    let name = session.owner().ok_or(BUG)?;
    if prove(&app, &session, &name, form.password).await?.is_none() {
        let page = pages::Confirm {
            next: form.next,
            mistake: Some("The password is wrong."),
        };
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    session.confirm(PASSWORD)?;
    session.renew();
    Ok(Redirect::to(local_path(&form.next).unwrap_or("/account")).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    current: String,
    new: String,
}

async fn change_password(
    State(app): State<App>,
    session: Session,
    sessions: Sessions,
    Extension(note): Extension<Note>,
    Form(form): Form<Change>,
) -> Result<Response> {
    let name = session.owner().ok_or(BUG)?;
    let again = |status, mistake| {
        let page = pages::Account {
            name: name.clone(),
            flashes: Vec::new(),
            mistake: Some(mistake),
        };
        (status, page).into_response()
    };
    if let Err(rule) = password::check(&form.new, &name) {
        return Ok(again(StatusCode::BAD_REQUEST, rule));
    }
    let Some(old) = prove(&app, &session, &name, form.current).await? else {
        return Ok(again(StatusCode::FORBIDDEN, "The current password is wrong."));
    };
    let new = password::hash(form.new).await?;
    let changed = app.users.change(&name, &old, &new).await;
    if let Ok(false) = changed {
        return Ok(again(
            StatusCode::CONFLICT,
            "It was changed meanwhile. This change was not made.",
        ));
    }
    // Only now: a later login with the old password finds the new hash, which may be there even if no answer came.
    if changed.is_err() {
        // The problem says that others may still be logged in, whether or not this works.
        let _ = sessions.end_others(&session).await;
        return Err(MAYBE_CHANGED.into());
    }
    session.confirm(PASSWORD)?;
    session.renew();
    session.flash("Your password is changed, and all other devices are logged out.")?;
    // Saved before the others end, because somebody with a copy of the old cookie could renew the session meanwhile.
    if let Err(error) = session.save().await {
        if sessions.end_all(&name).await.is_err() {
            note.write(NOT_ENDED);
        }
        return Err(error.into());
    }
    sessions.end_others(&session).await.map_err(|_| NOT_ENDED)?;
    let device = AppendHeaders([(header::SET_COOKIE, app.devices.cookie(&name, &new))]);
    Ok((device, Redirect::to("/account")).into_response())
}

/// The proof that [`Session::confirm`] notes.
const PASSWORD: &str = "password";
const TEN_MINUTES: Duration = Duration::from_mins(10);
const BASKET: &str = "basket";
const MOST_ITEMS: usize = 20;
const MOST_CHARACTERS: usize = 100;
const MONTH: Duration = Duration::from_hours(30 * 24);
/// Enough for the longest password that anybody types, and for nearly all that a program generates.
const MOST_FORM_BYTES: usize = 4096;
const WRONG: &str = "The username or the password is wrong.";
