//! Accounts: a login with a password, counted visits, messages that are shown once, and a page of the devices that are
//! logged in. Browsers get pages, and clients that send `Accept: application/json` get JSON.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo run -p lambda-session --example account --all-features -- --port 3000
//! ```
//!
//! `TABLE_NAME` names the table. Without it the sessions are in memory, which is refused on Lambda. If
//! `AWS_LAMBDA_RUNTIME_API` is set, as Lambda does, the program runs as a function. Nothing here limits password
//! guesses: the login to copy is that of `passwords`.
//!
//! In reading order: `site` is the route table, with the layers around it. Below are the views, then the password, and
//! last who reads an answer, a page or JSON. The pages are in `pages`. To copy this example, copy its folder and the
//! files `page.rs` and `problem.rs` of `site` beside it.

#[path = "../site/page.rs"]
mod page;
mod pages;
#[path = "../site/problem.rs"]
mod problem;

use std::convert::Infallible;
use std::error::Error as _;
use std::time::{Duration, UNIX_EPOCH};

use argon2::{Argon2, PasswordVerifier as _};
use axum::extract::{Form, FromRequestParts, Query};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{ErrorResponse, IntoResponse, Redirect, Response, Result};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_session::{
    DynamoDbStore, ErrorPageLayer, FlashLevel, LazySession, MemoryStore, Refusal, SameOriginLayer, Session,
    SessionError, SessionLayer, Sessions, ValueError, ValueErrorKind, lambda,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::problem::{BUG, Problem, present};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    let sessions = if let Some(store) = DynamoDbStore::from_env_unless_local()? {
        // Before the first request: Lambda gives the start a whole processor, and does not count it as request time.
        store.warm_up().await;
        SessionLayer::from_env(store)?
    } else {
        eprintln!("TABLE_NAME is not set, so the sessions are in memory and end with this program");
        SessionLayer::from_env(MemoryStore::default())?
    };
    lambda::serve(site(sessions.build()?)).await
}

fn site(sessions: SessionLayer) -> Router {
    let secure = sessions.is_secure();
    let same_origin = SameOriginLayer::new().secure(secure);
    let site = Router::new()
        .route("/", get(home))
        .route("/login", get(async || Redirect::to("/")).post(log_in))
        .route("/logout", post(log_out))
        .route("/visits", get(visits).post(count_visit))
        .route("/get", get(get_variable))
        .route("/take", post(take_variable))
        .route("/set", post(set_variable))
        .route("/flash", post(flash))
        .route("/flashes", get(flashes))
        .route("/renew", post(renew))
        .route("/peek", get(peek))
        .route("/confirm", get(async || pages::confirmation(None)).post(confirm))
        .route("/sessions", get(devices))
        .route("/sessions/end", post(end_device))
        .route("/sessions/end-others", post(end_other_devices))
        .route("/sessions/end-all", post(end_all_devices))
        .layer(sessions)
        // Outside the sessions, so that a request from another site's page costs no store call.
        .layer(same_origin);
    present(site, secure).layer(ErrorPageLayer::new(json_of))
}

// The views.

async fn home(reader: Reader, session: Session) -> Result<Response> {
    let username = session.owner();
    if reader == Reader::Program {
        return Ok(Json(json!({ "username": username })).into_response());
    }
    let page = pages::Home {
        username,
        visits: session.get(VISITS).map_err(SessionError::from)?.unwrap_or_default(),
        flashes: session.take_flashes().await?,
        mistake: None,
    };
    Ok(page.into_response())
}

/// The form's fields. A missing one counts as empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    username: String,
    password: String,
    remember: Option<String>,
    label: String,
}

async fn log_in(
    reader: Reader,
    session: LazySession,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Result<Response> {
    let label = match login.label.trim() {
        "" => device(&headers),
        label => label.to_owned(),
    };
    if !is_password_right(&login.username, login.password).await? {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "The username or the password is wrong.");
        return Err(match reader {
            Reader::Program => problem.into(),
            Reader::Person => {
                let page = pages::Home::again(&login.username, problem.text);
                (StatusCode::UNAUTHORIZED, page).into()
            }
        });
    }
    // Only now, so that a wrong password costs no store call.
    let session = session.load().await?;
    // What the visitor did before the login stays, unless the session belongs to another user.
    session.login_from(&login.username, &label)?;
    session.confirm(PASSWORD)?;
    if login.remember.as_deref() == Some("on") {
        session.remember(MONTH);
    }
    Ok(Redirect::to("/").into_response())
}

async fn log_out(session: LazySession) -> Redirect {
    session.end();
    Redirect::to("/")
}

async fn visits(session: Session) -> Result<Json<Value>, SessionError> {
    let visits: u64 = session.get(VISITS)?.unwrap_or_default();
    Ok(Json(json!({ "visits": visits })))
}

async fn count_visit(reader: Reader, session: Session) -> Result<Response> {
    let visits = session
        .update(VISITS, |visits: Option<u64>| visits.unwrap_or_default() + 1)
        .map_err(refused)?;
    Ok(match reader {
        Reader::Program => Json(json!({ "visits": visits })).into_response(),
        Reader::Person => Redirect::to("/").into_response(),
    })
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

async fn get_variable(session: Session, Query(Name { name }): Query<Name>) -> Result<Json<Value>, SessionError> {
    let value: Option<Value> = session.get(&name)?;
    Ok(Json(json!({ "value": value })))
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

async fn set_variable(session: Session, Form(variable): Form<Variable>) -> Result<StatusCode> {
    if [VISITS, "_flashes", "_confirmed", "_stamp"].contains(&variable.name.as_str()) {
        return Err(RESERVED.into());
    }
    session.insert(&variable.name, variable.value).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the variable to one request, once.
async fn take_variable(session: Session, Form(Name { name }): Form<Name>) -> Result<Json<Value>> {
    if [VISITS, "_flashes", "_confirmed", "_stamp"].contains(&name.as_str()) {
        return Err(RESERVED.into());
    }
    let value: Option<Value> = session.take(&name).await?;
    Ok(Json(json!({ "value": value })))
}

#[derive(Deserialize)]
struct Message {
    text: String,
    #[serde(default)]
    level: FlashLevel,
}

async fn flash(session: Session, Form(message): Form<Message>) -> Result<Redirect> {
    session.flash_as(message.level, &message.text).map_err(refused)?;
    Ok(Redirect::to("/"))
}

/// Gives the session another ID.
async fn renew(session: Session) -> StatusCode {
    session.renew();
    StatusCode::NO_CONTENT
}

/// Says how long the session still lasts, and does not keep it alive.
async fn peek(reader: Reader, lazy: LazySession) -> Result<Response> {
    let session = lazy.peek().await?;
    let username = session.owner();
    let now = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
    let seconds_left = session.expires_at().map(|end| end.saturating_sub(now));
    Ok(match reader {
        Reader::Program => Json(json!({ "username": username, "seconds_left": seconds_left })).into_response(),
        Reader::Person => {
            let absence = lazy.absence().await?;
            let page = pages::TimeLeft {
                username,
                seconds_left,
                absence,
            };
            page.into_response()
        }
    })
}

#[derive(Deserialize)]
struct Proof {
    password: String,
}

/// Asks for the password again, before what a thief of the session must not do.
async fn confirm(reader: Reader, session: Session, Form(proof): Form<Proof>) -> Result<Response> {
    let owner = owner(&session)?;
    if !is_password_right(&owner, proof.password).await? {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "The password is wrong.");
        return Err(match reader {
            Reader::Program => problem.into(),
            Reader::Person => (StatusCode::UNAUTHORIZED, pages::confirmation(Some(problem.text))).into(),
        });
    }
    session.confirm(PASSWORD)?;
    // Whoever has a copy of the cookie has not given the password: the copy opens nothing from here on.
    session.renew();
    Ok(match reader {
        Reader::Program => StatusCode::NO_CONTENT.into_response(),
        Reader::Person => Redirect::to("/sessions").into_response(),
    })
}

async fn flashes(session: Session) -> Result<Json<Value>, SessionError> {
    Ok(Json(json!({ "flashes": session.take_flashes().await? })))
}

async fn devices(reader: Reader, session: Session, sessions: Sessions) -> Result<Response> {
    let list = sessions.list(&owner(&session)?).await?;
    if reader == Reader::Person {
        let flashes = session.take_flashes().await?;
        return Ok(pages::Devices { list, flashes }.into_response());
    }
    let sessions = list.into_iter().map(|listed| {
        json!({
            "handle": listed.handle,
            "label": listed.label,
            "created_at": listed.created_at,
            "last_seen": listed.last_seen,
            "expires_at": listed.expires_at,
            "current": listed.current,
        })
    });
    Ok(Json(json!({ "sessions": sessions.collect::<Vec<_>>() })).into_response())
}

#[derive(Deserialize)]
struct Handle {
    handle: String,
}

async fn end_device(
    reader: Reader,
    session: Session,
    sessions: Sessions,
    Form(Handle { handle }): Form<Handle>,
) -> Result<Redirect> {
    let owner = owner(&session)?;
    if !session.confirmed_within(PASSWORD, TEN_MINUTES) {
        return Err(not_confirmed(reader));
    }
    if !sessions.end(&owner, &handle).await? {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "You have no such session; it may have ended already.",
        )
        .into());
    }
    if session.handle() == Some(handle) {
        // The session has ended. This call makes the browser forget its cookie.
        session.end();
        return Ok(Redirect::to("/"));
    }
    tell(reader, &session, "That device is logged out.")?;
    Ok(Redirect::to("/sessions"))
}

async fn end_other_devices(reader: Reader, session: Session, sessions: Sessions) -> Result<Redirect> {
    owner(&session)?;
    if !session.confirmed_within(PASSWORD, TEN_MINUTES) {
        return Err(not_confirmed(reader));
    }
    sessions.end_others(&session).await?;
    tell(reader, &session, "All other devices are logged out.")?;
    Ok(Redirect::to("/sessions"))
}

async fn end_all_devices(reader: Reader, session: Session, sessions: Sessions) -> Result<Redirect> {
    let owner = owner(&session)?;
    if !session.confirmed_within(PASSWORD, TEN_MINUTES) {
        return Err(not_confirmed(reader));
    }
    sessions.end_all(&owner).await?;
    session.end();
    Ok(Redirect::to("/"))
}

/// The user who is logged in.
fn owner(session: &Session) -> Result<String, SessionError> {
    Ok(session.owner().ok_or(Refusal::NotLoggedIn)?)
}

/// The answer to whoever has not given the password during the last ten minutes (OWASP ASVS 5.0, 7.5.2).
fn not_confirmed(reader: Reader) -> ErrorResponse {
    match reader {
        Reader::Program => SessionError::from(Refusal::NotConfirmed(PASSWORD)).into(),
        Reader::Person => Redirect::to("/confirm").into_response().into(),
    }
}

/// Adds a message to the next page. A program has its answer already.
fn tell(reader: Reader, session: &Session, message: &str) -> Result<(), SessionError> {
    match reader {
        Reader::Program => Ok(()),
        Reader::Person => session.flash(message),
    }
}

const VISITS: &str = "visits";
/// The proof that [`Session::confirm`] notes.
const PASSWORD: &str = "password";
const TEN_MINUTES: Duration = Duration::from_mins(10);
const MONTH: Duration = Duration::from_hours(30 * 24);

/// Names a device that has no label, such as "Firefox on Linux".
fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let find = |known: &[(&str, &'static str)]| {
        let known = known.iter().find(|(part, _)| agent.unwrap_or_default().contains(part));
        known.map(|(_, name)| *name)
    };
    // Browsers also name the browsers that they descend from, so the newest comes first.
    let browser = find(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

// The password.

/// Both passwords are `correct horse battery staple`. The parameters are those of OWASP's Password Storage Cheat Sheet:
/// 19 MiB, two passes, one lane. A real program has a table of its users.
const USERS: [(&str, &str); 2] = [
    (
        "admin",
        "$argon2id$v=19$m=19456,t=2,p=1$fpd7umMP33J5hGaZliMfMA$hYHevSSvc/dB3rZNfP3u8/XfMVXs/jAwHkejO1Q1Teg",
    ),
    (
        "alice",
        "$argon2id$v=19$m=19456,t=2,p=1$tMSwYn++bkhE+ugY00clBw$a2bXUuIhFZCTWzOngrCV4Tkt490EZq2pHMX4zmA7q8E",
    ),
];

/// Each password check takes 19 MiB and a processor.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Takes as long for an unknown name; otherwise the time would show which names exist.
async fn is_password_right(username: &str, password: String) -> Result<bool> {
    let user = USERS.iter().find(|(name, _)| *name == username);
    let hash = user.unwrap_or(&USERS[0]).1;
    let permit = AT_ONCE.acquire().await.map_err(|_| BUG)?;
    // On a thread where it blocks no other request.
    let verified = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
    });
    Ok(verified.await.map_err(|_| BUG)? && user.is_some())
}

// Pages or JSON.

/// The kind of client that reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A client that sends `Accept: application/json`.
    Program,
    Person,
}

impl Reader {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut types = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']));
        if types.any(|part| part.trim().eq_ignore_ascii_case("application/json")) {
            Self::Program
        } else {
            Self::Person
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

const RESERVED: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "This program keeps something else under that name.",
);

/// The answer to a program instead of the page.
fn json_of(problem: &Problem, request: &Parts) -> Option<Response> {
    let is_program = Reader::of(&request.headers) == Reader::Program;
    is_program.then(|| Json(json!({ "error": problem.text })).into_response())
}

/// The answer for a variable that cannot be stored. If the client sent too much, the site is not at fault.
fn refused(error: impl Into<SessionError>) -> ErrorResponse {
    let error = error.into();
    let value = error.source().and_then(|source| source.downcast_ref::<ValueError>());
    match value.map(ValueError::kind) {
        Some(ValueErrorKind::TooLarge) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The session cannot hold that much.").into()
        }
        Some(ValueErrorKind::NotStorable) => {
            Problem::new(StatusCode::BAD_REQUEST, "The name is empty or too long.").into()
        }
        _ => error.into(),
    }
}
