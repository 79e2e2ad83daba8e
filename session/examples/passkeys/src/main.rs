//! Passkeys: sign-up and login without a password, several devices, recovery codes, and a passkey as the second step of
//! a session that a password began.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false cargo run -p passkeys -- --port 3000
//! ```
//!
//! Open <http://localhost:3000>, and not 127.0.0.1: a passkey belongs to a host name. This keeps everything in memory.
//! If `AWS_LAMBDA_RUNTIME_API` is set, as Lambda does, the program runs as a function.
//!
//! | variable | |
//! |---|---|
//! | `BASE_URL` | the site's address for browsers. Required on Lambda; otherwise `http://localhost`, at any port |
//! | `TABLE_NAME` | the sessions' table, which also counts the attempts to log in. Required on Lambda |
//! | `USERS_TABLE_NAME` | the users' table |
//! | others | see `SessionLayer::from_env` and `DynamoDbStore::from_env` |
//!
//! `BASE_URL` is, for example, `https://shop.example`. Passkeys belong to its host for ever.
//!
//! The users' table has the string partition key `id`, no TTL, and backups (point-in-time recovery) on. The function's
//! role may `dynamodb:GetItem`, `dynamodb:PutItem` and `dynamodb:UpdateItem` on both tables. `users` says how a user is
//! kept there.
//!
//! # What holds
//!
//! - Nobody is asked for a name to log in: the passkey says whose it is. So no answer tells who has an account. Names
//!   need not be unique, and a sign-up with a name that somebody has is like any other.
//! - A challenge serves once, for one visitor, for one purpose, and for five minutes (`ceremonies`).
//! - The authenticator has to verify its user, by a PIN or a fingerprint, so a passkey is two factors in one.
//! - A user is replaced by conditional writes, the passkeys' counters included: no two requests overwrite each other,
//!   and a copied passkey whose counter does not advance is refused. (Passkeys that are synchronised between devices
//!   have no counter; it stays 0.)
//! - A credential is looked for among those of the user whom the passkey names, so it does not matter if somebody else
//!   registers a credential with the same ID.
//! - What a lost passkey began ends with it: the write that removes the passkey also changes the user's stamp, so every
//!   other session, also that of a login under way, ends at its next request. A new password and the use of a recovery
//!   code do the same.
//! - The account page asks for a passkey if the session has not seen one within ten minutes. So a thief of a password,
//!   or of a session that is older than that, changes nothing about how its user logs in.
//! - The last passkey cannot be removed.
//! - A recovery code lets its user in once, and counts as a passkey then, because its user has none left. The table has
//!   the codes' hashes. If the answer to a recovery is lost, its code is used up.
//! - Passwords and recovery codes need the number of the account, which the site has drawn, and the attempts from one
//!   address and for one account are limited.
//!
//! # What else a site needs
//!
//! A login by password is enough for every other page that a site puts behind `guard()`. Leave out `/login/password`,
//! or guard such pages with `confirmed_within`, too. There are no known devices here, so an attacker who knows the
//! number of an account can keep its user from the password and the codes, but not from the passkeys.
//!
//! A visitor whose sign-up fails at the last step has a passkey without an account. Tell the browser by
//! `PublicKeyCredential.signalUnknownCredential` when such a passkey is used. A user who loses every passkey and every
//! code has lost the account; an e-mail address could be another way back. Tell users by mail when their passkeys
//! change.
//!
//! In reading order: `site` is the route table, with the layers around it. Below are the views, each of which comes
//! twice: `begin_…` answers the script with a challenge, and the next one takes the form with the proof. To copy this
//! example, copy its folder, the files `page.rs`, `problem.rs` and `table.rs` of `site` beside it, and `attempts.rs`
//! and `password.rs` of `passwords`.

#[expect(
    dead_code,
    reason = "this site has no known devices, and asks for a passkey where that one limits changes"
)]
#[path = "../../passwords/attempts.rs"]
mod attempts;
mod ceremonies;
mod codes;
#[path = "../../site/page.rs"]
mod page;
mod pages;
#[path = "../../passwords/password.rs"]
mod password;
#[path = "../../site/problem.rs"]
mod problem;
mod problems;
#[path = "../../site/table.rs"]
mod table;
mod users;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Form, FromRef, Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Result};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_session::lambda;
use lambda_session::{
    Auth, CurrentUser, DynamoDbStore, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError,
    SessionLayer, local_path,
};
use serde::Deserialize;
use serde_json::Value;
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration, Uuid};

use self::attempts::{Address, Attempt, Attempts, Limit};
use self::ceremonies::{Ceremonies, Proof, encode, keep, take};
use self::problem::{Problem, present};
use self::problems::{BAD_NAME, LAST_KEY, NOT_PROVED, NOT_RIGHT, NOT_YOURS, TOO_MANY_KEYS};
use self::users::{Key, People, User, random};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("passkeys: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
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
    people: People,
    ceremonies: Arc<Ceremonies>,
    attempts: Arc<Attempts>,
}

/// For `Auth` and `CurrentUser`.
impl FromRef<App> for People {
    fn from_ref(app: &App) -> Self {
        app.people.clone()
    }
}

async fn settings() -> Result<(SessionLayer, App), Error> {
    let base_url = variable("BASE_URL");
    let (sessions, people, attempts) = if let Some(store) = DynamoDbStore::from_env_unless_local()? {
        let users = variable("USERS_TABLE_NAME").ok_or("USERS_TABLE_NAME is not set; it names the users' table")?;
        // Before the first request: Lambda gives the start a whole processor, and does not count it as request time.
        store.warm_up().await;
        let people = People::table(store.client(), &users);
        let attempts = Attempts::table(store.client(), store.table());
        (SessionLayer::from_env(store)?, people, attempts)
    } else {
        eprintln!("TABLE_NAME is not set, so everything is in memory and ends with this program");
        let sessions = SessionLayer::from_env(MemoryStore::default())?;
        (sessions, People::in_memory(), Attempts::in_memory())
    };
    if base_url.is_none() && variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        return Err("BASE_URL is not set; it is the site's address for browsers".into());
    }
    let app = App {
        people,
        ceremonies: Arc::new(Ceremonies::new(base_url.as_deref().unwrap_or("http://localhost"))?),
        attempts: Arc::new(attempts),
    };
    Ok((sessions.build()?, app))
}

fn site(sessions: SessionLayer, app: App) -> Router {
    let secure = sessions.is_secure();
    let same_origin = SameOriginLayer::new().secure(secure);
    let guard = || RequireLoginLayer::new("/login").users(app.people.clone());
    let members = Router::new()
        .route("/confirm", get(confirm_form).post(confirm))
        .route("/confirm/begin", post(begin_confirm))
        .route_layer(guard());
    let confirmed = Router::new()
        .route("/account", get(account))
        .route("/passkeys", post(add_passkey))
        .route("/passkeys/begin", post(begin_add_passkey))
        .route("/passkeys/remove", post(remove_passkey))
        .route("/codes", post(make_codes))
        .route("/password", post(set_password))
        .route_layer(guard().confirmed_within(PASSKEY, CONFIRMED_FOR, "/confirm"));
    let site = Router::new()
        .route("/", get(home))
        .route("/passkeys.js", get(pages::script))
        .route("/signup", get(async || pages::SignUp).post(sign_up))
        .route("/signup/begin", post(begin_sign_up))
        .route("/login", get(login_form).post(log_in))
        .route("/login/begin", post(begin_log_in))
        .route("/login/password", post(log_in_by_password))
        .route("/login/recovery", post(recover))
        .route("/logout", post(log_out))
        .merge(members)
        .merge(confirmed)
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(sessions)
        // Outside the sessions, so that a request from another site's page costs no store call.
        .layer(same_origin);
    present(site, secure).with_state(app)
}

// The views.

async fn home(user: Option<CurrentUser<People>>, session: Session) -> Result<pages::Home, SessionError> {
    Ok(pages::Home {
        user: user.map(|CurrentUser(user)| user),
        flashes: session.take_flashes().await?,
    })
}

/// The forms' fields. A missing one counts as empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    /// The browser's answer to a challenge, as JSON.
    credential: String,
    /// The page to go to afterwards.
    next: String,
    name: String,
    label: String,
    /// The ID of a passkey.
    id: String,
    /// The number of an account, with a password or a recovery code.
    account: String,
    secret: String,
    password: String,
}

/// A name that somebody has typed for a person or a device.
fn name(typed: &str) -> Result<String, Problem> {
    let name = typed.trim();
    let is_name = (1..=64).contains(&name.chars().count());
    is_name.then(|| name.to_owned()).ok_or(BAD_NAME)
}

// Sign-up.

async fn begin_sign_up(State(app): State<App>, session: Session, Form(form): Form<Fields>) -> Result<Json<Value>> {
    let (id, name) = (Uuid::new_v4(), name(&form.name)?);
    let (options, state) = app.ceremonies.begin_registration(id, &name, Vec::new())?;
    renew_if_ended(&session);
    keep(&session, SIGN_UP, (id, name, state))?;
    Ok(Json(options))
}

async fn sign_up(
    State(app): State<App>,
    session: Session,
    auth: Auth<People>,
    Address(address): Address,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    app.attempts.begin(&Limit::SIGN_UPS, &address).await?;
    let (id, name, state): (_, _, PasskeyRegistration) = take(&session, SIGN_UP).await?;
    let passkey = app.ceremonies.finish_registration(&form.credential, &state)?;
    let label = "The device of your sign-up".to_owned();
    let user = User::new(id, name, Key { label, passkey });
    app.people.add(&user).await?;
    enter(&auth, &user, PASSKEY).await?;
    Ok(Redirect::to("/"))
}

/// Logs a user in who has just proved it in this way.
async fn enter(auth: &Auth<People>, user: &User, how: &str) -> Result<Session, SessionError> {
    let session = auth.login(user).await?;
    session.confirm(how)?;
    Ok(session)
}

/// Begins a new session for a browser that still has the cookie of one that has ended, perhaps by a change of the
/// stamp. A change of that one would be a 409.
fn renew_if_ended(session: &Session) {
    if session.handle().is_none() {
        session.renew();
    }
}

// Login.

async fn login_form(Query(Fields { next, .. }): Query<Fields>) -> pages::Login {
    pages::Login { next }
}

async fn begin_log_in(State(app): State<App>, session: Session) -> Result<Json<Value>> {
    let (options, state) = app.ceremonies.begin_authentication(&[])?;
    renew_if_ended(&session);
    keep(&session, LOG_IN, state)?;
    Ok(Json(options))
}

async fn log_in(
    State(app): State<App>,
    session: Session,
    auth: Auth<People>,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let state = take(&session, LOG_IN).await?;
    let proof = Proof::read(&form.credential)?;
    let user = prove(&app, app.ceremonies.claimed(&proof)?, &proof, &state).await?;
    enter(&auth, &user, PASSKEY).await?;
    Ok(Redirect::to(local_path(&form.next).unwrap_or("/")))
}

/// Returns the user with this ID if the proof is one of the user's.
async fn prove(app: &App, id: Uuid, proof: &Proof, state: &DiscoverableAuthentication) -> Result<User, Problem> {
    let check = |user: &mut User| app.ceremonies.finish_authentication(proof, state, user);
    app.people.change(id, check).await?.ok_or(NOT_PROVED)
}

/// Counts an attempt before its secret is checked; otherwise many attempts at once would all pass. The number of an
/// account can be written in many ways, and all of them count as one.
async fn attempt(app: &App, address: &str, account: &str) -> Result<(Option<Uuid>, Vec<Attempt>), Problem> {
    let id = Uuid::parse_str(account.trim()).ok();
    let number = id.map(|id| id.to_string()).unwrap_or_default();
    let counted = vec![
        app.attempts.begin(&Limit::ADDRESS, address).await?,
        app.attempts.begin(&Limit::ACCOUNT, &number).await?,
    ];
    Ok((id, counted))
}

async fn log_in_by_password(
    State(app): State<App>,
    auth: Auth<People>,
    Address(address): Address,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let (id, counted) = attempt(&app, &address, &form.account).await?;
    let user = match id {
        Some(id) => app.people.by_id(id).await?,
        None => None,
    };
    let hash = user.as_ref().and_then(|user| user.password.as_deref());
    let is_right = password::is_right(hash, form.secret).await?;
    let user = user.filter(|_| is_right).ok_or(NOT_RIGHT)?;
    app.attempts.forgive(counted).await;
    // If the password has changed meanwhile, so has the stamp, and the session ends at its next request.
    enter(&auth, &user, "password").await?;
    Ok(Redirect::to(local_path(&form.next).unwrap_or("/")))
}

async fn recover(
    State(app): State<App>,
    auth: Auth<People>,
    Address(address): Address,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let (id, counted) = attempt(&app, &address, &form.account).await?;
    let id = id.ok_or(NOT_RIGHT)?;
    let hash = codes::hash(&form.secret);
    let use_up = |user: &mut User| {
        let at = user.codes.iter().position(|code| *code == hash).ok_or(NOT_RIGHT)?;
        user.codes.remove(at);
        user.stamp = random();
        Ok(())
    };
    let user = app.people.change(id, use_up).await?.ok_or(NOT_RIGHT)?;
    app.attempts.forgive(counted).await;
    // It stands in for the passkeys that the user has lost.
    let session = enter(&auth, &user, PASSKEY).await?;
    session.flash("Please remove the passkeys that you have lost, and add another one.")?;
    Ok(Redirect::to("/account"))
}

async fn log_out(auth: Auth<People>) -> Redirect {
    auth.logout();
    Redirect::to("/")
}

// The passkey as a second step, or as a proof that the user is still there.

async fn confirm_form(Query(Fields { next, .. }): Query<Fields>) -> pages::Confirm {
    pages::Confirm { next }
}

async fn begin_confirm(
    State(app): State<App>,
    session: Session,
    CurrentUser(user): CurrentUser<People>,
) -> Result<Json<Value>> {
    let known: Vec<_> = user.keys.iter().map(|key| key.passkey.cred_id()).collect();
    let (options, state) = app.ceremonies.begin_authentication(&known)?;
    keep(&session, CONFIRM, state)?;
    Ok(Json(options))
}

async fn confirm(
    State(app): State<App>,
    session: Session,
    CurrentUser(user): CurrentUser<People>,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let state = take(&session, CONFIRM).await?;
    // Whoever's passkey it claims to be: it has to be one of this user's.
    prove(&app, user.id, &Proof::read(&form.credential)?, &state).await?;
    session.confirm(PASSKEY)?;
    // A copy of the cookie that was made before has no part in it (OWASP ASVS 5.0, 7.2.4).
    session.renew();
    Ok(Redirect::to(local_path(&form.next).unwrap_or("/")))
}

// The account.

async fn account(CurrentUser(user): CurrentUser<People>, session: Session) -> Result<pages::Account, SessionError> {
    let flashes = session.take_flashes().await?;
    Ok(pages::Account { user, flashes })
}

async fn begin_add_passkey(
    State(app): State<App>,
    session: Session,
    CurrentUser(user): CurrentUser<People>,
    Form(form): Form<Fields>,
) -> Result<Json<Value>> {
    let label = name(&form.label)?;
    let known = user.keys.iter().map(|key| key.passkey.cred_id().clone()).collect();
    let (options, state) = app.ceremonies.begin_registration(user.id, &user.name, known)?;
    // A login of somebody else takes it away again, as it does everything in a session.
    keep(&session, ADD, (label, state))?;
    Ok(Json(options))
}

async fn add_passkey(
    State(app): State<App>,
    session: Session,
    CurrentUser(user): CurrentUser<People>,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let (label, state): (String, PasskeyRegistration) = take(&session, ADD).await?;
    let passkey = app.ceremonies.finish_registration(&form.credential, &state)?;
    let add = |user: &mut User| {
        if user.keys.len() >= MOST_KEYS {
            return Err(TOO_MANY_KEYS);
        }
        let (label, passkey) = (label.clone(), passkey.clone());
        user.keys.push(Key { label, passkey });
        Ok(())
    };
    app.people.change(user.id, add).await?.ok_or(NOT_PROVED)?;
    session.flash("Your passkey is added.")?;
    Ok(Redirect::to("/account"))
}

async fn remove_passkey(
    State(app): State<App>,
    auth: Auth<People>,
    CurrentUser(user): CurrentUser<People>,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    let remove = |user: &mut User| {
        let is_it = |key: &Key| encode(key.passkey.cred_id()) == form.id;
        if !user.keys.iter().any(is_it) {
            return Err(NOT_YOURS);
        }
        if user.keys.iter().all(is_it) {
            return Err(LAST_KEY);
        }
        user.keys.retain(|key| !is_it(key));
        user.stamp = random();
        Ok(())
    };
    let user = app.people.change(user.id, remove).await?.ok_or(NOT_PROVED)?;
    let session = auth.login(&user).await?;
    session.flash("The passkey is removed, and all other devices are logged out.")?;
    Ok(Redirect::to("/account"))
}

async fn make_codes(State(app): State<App>, CurrentUser(user): CurrentUser<People>) -> Result<pages::Codes> {
    let codes = codes::draw()?;
    let replace = |user: &mut User| {
        user.codes = codes.iter().map(|code| codes::hash(code)).collect();
        Ok(())
    };
    let user = app.people.change(user.id, replace).await?.ok_or(NOT_PROVED)?;
    Ok(pages::Codes { user, codes })
}

async fn set_password(
    State(app): State<App>,
    auth: Auth<People>,
    CurrentUser(user): CurrentUser<People>,
    Form(form): Form<Fields>,
) -> Result<Redirect> {
    if let Err(rule) = password::check(&form.password, &user.id.to_string()) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, rule).into());
    }
    let hash = password::hash(form.password).await?;
    let set = |user: &mut User| {
        user.password = Some(hash.clone());
        user.stamp = random();
        Ok(())
    };
    let user = app.people.change(user.id, set).await?.ok_or(NOT_PROVED)?;
    let session = auth.login(&user).await?;
    session.flash("Your password is set, and all other devices are logged out.")?;
    Ok(Redirect::to("/account"))
}

/// The name of the proof, for `Session::confirm` and the guard.
const PASSKEY: &str = "passkey";
const CONFIRMED_FOR: Duration = Duration::from_mins(10);
// The kinds of ceremonies, which are variables of the session.
const SIGN_UP: &str = "sign-up";
const LOG_IN: &str = "log-in";
const CONFIRM: &str = "confirm";
const ADD: &str = "add-passkey";
const MOST_KEYS: usize = 20;
/// Large enough for what authenticators answer.
const MOST_FORM_BYTES: usize = 16 * 1024;
