//! OpenID Connect: a login at a provider by the code flow with PKCE, logout there too, and back-channel logout.
//!
//! With a provider that knows this client:
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//! OIDC_ISSUER=https://issuer.example OIDC_CLIENT_ID=shop OIDC_CLIENT_SECRET=… \
//!     cargo run -p oidc -- --port 3000
//! ```
//!
//! Where Lambda runs the program, which it tells by `AWS_LAMBDA_RUNTIME_API`, it is a function.
//!
//! | variable | |
//! |---|---|
//! | `OIDC_ISSUER` | the provider, as it names itself in `iss`; https, but on this machine |
//! | `OIDC_CLIENT_ID`, `OIDC_CLIENT_SECRET` | this client, as the provider knows it |
//! | `OIDC_RESPONSE_MODE` | `form_post`, where the provider is to send its answer as a form; otherwise as a query |
//! | `BASE_URL` | where browsers find the site, such as `https://shop.example`. Needed on Lambda |
//! | `TABLE_NAME` | the sessions' table; without it everything is in memory. Needed on Lambda |
//! | others | as `SessionLayer::from_env` and `DynamoDbStore::from_env` say |
//!
//! # What to configure at the provider
//!
//! | | Amazon Cognito | Google | Keycloak |
//! |---|---|---|---|
//! | `OIDC_ISSUER` | `https://cognito-idp.REGION.amazonaws.com/POOL` | `https://accounts.google.com` | `https://HOST/realms/REALM` |
//! | the client | an app client with a secret, authorization code grant, scopes `openid` and `profile` | an OAuth client of type "Web application" | an OpenID Connect client with client authentication and standard flow; PKCE method `S256` |
//! | redirect URI `BASE_URL/callback` | "Allowed callback URLs" | "Authorized redirect URIs" | "Valid redirect URIs" |
//! | after the logout, `BASE_URL/` | "Allowed sign-out URLs" | has no such logout: the visitor stays logged in at Google | "Valid post logout redirect URIs" |
//! | back-channel logout, `BASE_URL/backchannel-logout` | has none | has none | "Backchannel logout URL", "session required" on |
//! | `OIDC_RESPONSE_MODE=form_post` | has none | yes | yes |
//!
//! Cognito's logout endpoint knows `logout_uri` and not `post_logout_redirect_uri`; both are sent.
//!
//! # The login, step by step
//!
//! 1. `GET /login` draws `state`, `nonce` and a PKCE verifier, keeps them in the visitor's session, and sends the browser to the
//!    provider. Each tab that logs in has its own, at most eight, for ten minutes.
//! 2. The provider sends the browser back to `/callback` with `code` and `state`. The state has to be one of this session's, so that
//!    nobody is logged in by another person's link; it is taken out, so that it counts once.
//! 3. The code is exchanged for an ID token, whose signature, issuer, audience, times and nonce are checked.
//! 4. `Session::login` gives the session a new ID and an owner: issuer and subject, because only both together are unique. What the
//!    visitor did before stays.
//!
//! The session holds the verifier and the ID token, so a site that trusts not all who read its table sets `SESSION_SEALED=true`.
//!
//! # `response_mode=form_post`
//!
//! The provider then makes the browser POST `code` and `state` from its own page, so they are in no address and no log. With a POST
//! from another site a browser sends no `SameSite=Lax` cookie, so that request finds no session. There are two ways out.
//!
//! The usual one is a second cookie with `SameSite=None`, for `state` and `nonce` alone. It costs a second session per login; some
//! browsers drop it; and the request that it comes with still lacks the session's own cookie, so a login there would begin a second
//! session beside the first, without its basket.
//!
//! So this program takes the other: `POST /callback` touches no session and no cookie. It answers with a page that holds the two
//! fields in a form, and sends it on to `/callback/posted`, on this site. That request is the site's own, and the browser sends the
//! session's cookie with it, `Lax` as it is. Nothing is weaker than with a query: whoever makes a visitor's browser post
//! something to `/callback` gets it no further than a link to `/callback?code=…` would, to the check of `state`. The fields are escaped,
//! and the page may run its own script only.
//!
//! # Logout
//!
//! `GET /logout` ends the session and goes on to the provider's logout. It is a link, because browsers apply `form-action` to where
//! a form is sent on to; `SameOriginLayer` keeps other sites from using it.
//!
//! `POST /backchannel-logout` is for the provider. A token that names a provider's session (`sid`) ends those of ours that began with
//! it, and one that does not ends all of the subject's. A login that is under way meanwhile fails: the `sid`, or else the subject, is
//! marked as ended before the sessions are looked for, and a login looks for both marks after its session stands. The subject's mark
//! has a time, and is for the logins that were begun until then. A token that names no subject is refused, which the three above and
//! all others that we know of never send.

mod http_client;
mod marks;
mod pages;
mod problem;
mod provider;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Result};
use axum::routing::{get, post};
use lambda_session::{
    DynamoDbStore, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError, SessionLayer, Sessions,
    lambda, local_path,
};
use openidconnect::url::Url;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use self::marks::Marks;
use self::problem::{Problem, present};
use self::provider::{Identity, Provider, Secrets, Settings, in_time};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oidc: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let port = port()?;
    lambda_http::tracing::init_default_subscriber();
    if variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        let base_url = required("BASE_URL")?;
        return lambda::run(site(&base_url).await?).await;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let here = format!("http://{}", listener.local_addr()?);
    let site = site(&variable("BASE_URL").unwrap_or_else(|| here.clone())).await?;
    println!("{here}");
    Ok(axum::serve(listener, site).await?)
}

/// `--port N`.
fn port() -> Result<u16, Error> {
    let mut port = 3000;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("port") => port = lexopt::ValueExt::parse(&arguments.value()?)?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(port)
}

/// Empty counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn required(name: &str) -> Result<String, Error> {
    variable(name).ok_or_else(|| format!("{name} is not set").into())
}

/// What the views need besides the session.
#[derive(Clone)]
struct App {
    provider: Arc<Provider>,
    marks: Arc<Marks>,
}

async fn site(base_url: &str) -> Result<Router, Error> {
    let settings = Settings {
        issuer: required("OIDC_ISSUER")?,
        client_id: required("OIDC_CLIENT_ID")?,
        client_secret: required("OIDC_CLIENT_SECRET")?,
        response_mode: variable("OIDC_RESPONSE_MODE"),
        base_url: base_url.trim_end_matches('/').to_owned(),
    };
    let (sessions, marks) = if variable("TABLE_NAME").is_some() {
        let store = DynamoDbStore::from_env()?;
        // Before Lambda counts the time, and while it gives a whole processor.
        store.warm_up().await;
        let marks = Marks::table(store.client(), store.table());
        (SessionLayer::from_env(store)?.build()?, marks)
    } else if variable("AWS_LAMBDA_INITIALIZATION_TYPE").is_some() {
        // Lambda sets it, and `cargo lambda watch` does not.
        return Err("TABLE_NAME is not set, and on Lambda each instance has a memory of its own".into());
    } else {
        eprintln!("oidc: TABLE_NAME is not set, so everything is in memory and ends with this program");
        (
            SessionLayer::from_env(MemoryStore::default())?.build()?,
            Marks::in_memory(),
        )
    };
    let app = App {
        provider: Arc::new(Provider::new(settings)?),
        marks: Arc::new(marks),
    };
    Ok(routes(sessions, app))
}

fn routes(sessions: SessionLayer, app: App) -> Router {
    let secure = sessions.is_secure();
    let same_origin = SameOriginLayer::new()
        .secure(secure)
        .also("/logout")
        // Each tells by itself who asks: by the `state` that the next step looks for, and by a signature.
        .except("/callback")
        .except("/backchannel-logout");
    let members = Router::new()
        .route("/profile", get(profile))
        .layer(RequireLoginLayer::new("/login"));
    Router::new()
        .route("/", get(home))
        .route("/basket", post(add_to_basket))
        .route("/login", get(begin_login))
        .route("/callback", get(finish_login).post(pass_on))
        .route("/callback/posted", post(finish_posted_login))
        .route("/logout", get(log_out))
        .route("/backchannel-logout", post(end_by_token))
        .merge(members)
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(sessions)
        // Outside the sessions, so that what another site's page sends costs no store call.
        .layer(same_origin)
        // Outside of all, because each layer has failures of its own.
        .layer(from_fn_with_state(secure, present))
        .with_state(app)
}

// The views.

async fn home(session: Session) -> Result<pages::Home, SessionError> {
    Ok(pages::Home {
        name: session.get(NAME)?.filter(|_| session.owner().is_some()),
        basket: session.get(BASKET)?.unwrap_or_default(),
    })
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

async fn add_to_basket(session: Session, Form(Item { item }): Form<Item>) -> Result<Redirect, SessionError> {
    session.update(BASKET, move |basket: Option<Vec<String>>| {
        let mut basket = basket.unwrap_or_default();
        basket.push(item.clone());
        basket
    })?;
    Ok(Redirect::to("/"))
}

async fn profile(session: Session) -> pages::Profile {
    pages::Profile(session.owner().unwrap_or_default())
}

/// A login that a tab of this browser has begun.
#[derive(Clone, Deserialize, Serialize)]
struct Pending {
    secrets: Secrets,
    /// Where the tab goes after it.
    next: String,
    /// In seconds since 1970.
    begun_at: u64,
}

impl Pending {
    fn is_young(&self, now: u64) -> bool {
        now.saturating_sub(self.begun_at) < LONGEST_LOGIN
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    next: String,
}

/// Another site may link here: it makes the browser begin a login, and no more.
async fn begin_login(
    State(app): State<App>,
    session: Session,
    Query(Destination { next }): Query<Destination>,
) -> Result<Redirect> {
    let (url, secrets) = in_time(app.provider.begin()).await?;
    if session.handle().is_none() {
        // The browser may keep the cookie of a session that a logout at the provider has ended. A change with that one is a 409.
        session.renew();
    }
    let now = now();
    let pending = Pending {
        secrets,
        next: local_path(&next).unwrap_or("/").to_owned(),
        begun_at: now,
    };
    session.update(PENDING, move |all: Option<Vec<Pending>>| {
        let mut all = all.unwrap_or_default();
        all.retain(|pending| pending.is_young(now));
        all.drain(..all.len().saturating_sub(MOST_PENDING - 1));
        all.push(pending.clone());
        all
    })?;
    Ok(Redirect::to(url.as_str()))
}

/// What the provider answers: a code, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    state: String,
    code: Option<String>,
    error: Option<String>,
    /// Which provider it is from (RFC 9207).
    iss: Option<String>,
}

async fn finish_login(app: State<App>, session: Session, Query(answer): Query<Answer>) -> Result<Redirect> {
    finish(&app, session, answer).await
}

async fn finish_posted_login(app: State<App>, session: Session, Form(answer): Form<Answer>) -> Result<Redirect> {
    finish(&app, session, answer).await
}

/// Takes the provider's form, which comes without the session's cookie, and lets the browser send it again from this site.
async fn pass_on(Form(mut fields): Form<Vec<(String, String)>>) -> pages::PassOn {
    fields.retain(|(name, _)| ["state", "code", "error", "iss"].contains(&name.as_str()));
    pages::PassOn(fields)
}

async fn finish(app: &App, session: Session, answer: Answer) -> Result<Redirect> {
    let pending: Vec<Pending> = session.get(PENDING)?.unwrap_or_default();
    let now = now();
    let begun = pending
        .into_iter()
        .find(|pending| pending.secrets.is_for(&answer.state) && pending.is_young(now));
    let Some(Pending {
        secrets,
        next,
        begun_at,
    }) = begun
    else {
        return Err(problem::NOT_BEGUN.into());
    };
    // Whatever becomes of it, this state counts no more.
    session.update(PENDING, move |all: Option<Vec<Pending>>| {
        let mut all = all.unwrap_or_default();
        all.retain(|pending| !pending.secrets.is_for(&answer.state));
        all
    })?;
    if answer.iss.is_some_and(|issuer| issuer != app.provider.issuer()) {
        return Err(problem::REFUSED.into());
    }
    if let Some(error) = answer.error {
        return Err(problem::of_provider(&error).into());
    }
    let code = answer.code.ok_or(problem::REFUSED)?;
    let identity = in_time(app.provider.finish(code, secrets)).await?;
    log_in(app, &session, identity, begun_at).await?;
    Ok(Redirect::to(&next))
}

async fn log_in(app: &App, session: &Session, identity: Identity, begun_at: u64) -> Result<()> {
    if session.owner().is_some_and(|owner| owner != identity.owner) {
        session.clear();
    }
    // The label tells which sessions a logout at the provider ends. A page of devices would put more into it.
    session.login_from(&identity.owner, identity.session.as_deref().unwrap_or_default())?;
    session.insert(NAME, identity.name)?;
    session.insert(ID_TOKEN, identity.id_token)?;
    session.save().await?;
    // From here on a logout at the provider finds this session. One that was faster has left its mark.
    let is_overtaken = is_overtaken(&app.marks, identity.session.as_deref(), &identity.subject, begun_at).await;
    if !matches!(is_overtaken, Ok(false)) {
        session.end();
        return Err(is_overtaken.err().unwrap_or(problem::NOT_BEGUN).into());
    }
    Ok(())
}

/// Whether the provider has logged the visitor out since the login was begun. Both times are ours, so the provider's clock does not
/// matter, nor when it gave its code away.
async fn is_overtaken(marks: &Marks, session: Option<&str>, subject: &str, begun_at: u64) -> Result<bool, Problem> {
    if let Some(session) = session
        && marks.has(session).await?
    {
        return Ok(true);
    }
    Ok(marks
        .set_at(subject)
        .await?
        .is_some_and(|ended_at| begun_at <= ended_at))
}

async fn log_out(State(app): State<App>, session: Session) -> Result<Redirect, SessionError> {
    let id_token: Option<String> = session.get(ID_TOKEN).ok().flatten();
    session.end();
    // Before the provider is waited for, because Lambda may end the function meanwhile.
    session.save().await?;
    // If the provider cannot be asked, the visitor is logged out here all the same.
    let url = match id_token {
        Some(id_token) => in_time(app.provider.logout_url(&id_token)).await.ok().flatten(),
        None => None,
    };
    Ok(Redirect::to(url.as_ref().map_or("/", Url::as_str)))
}

#[derive(Deserialize)]
struct Token {
    logout_token: String,
}

/// OpenID Connect Back-Channel Logout 1.0, section 2.5 to 2.8.
async fn end_by_token(
    State(app): State<App>,
    sessions: Sessions,
    Form(Token { logout_token }): Form<Token>,
) -> Result<StatusCode> {
    let order = in_time(app.provider.logout_order(&logout_token)).await?;
    if app.marks.has(&order.token).await? {
        // Whoever sends it again could log out whoever logs in meanwhile.
        return Err(problem::BAD_TOKEN.into());
    }
    if let Some(session) = order.session {
        app.marks.set(&session).await?;
        for listed in sessions.list(&order.owner).await? {
            if listed.label.as_ref() == Some(&session) {
                sessions.end(&order.owner, &listed.handle).await?;
            }
        }
    } else {
        app.marks.set(&order.subject).await?;
        sessions.end_all(&order.owner).await?;
    }
    // Last: an order that failed half-way is not carried out, and the provider may send it again.
    app.marks.set(&order.token).await?;
    Ok(StatusCode::OK)
}

const BASKET: &str = "basket";
const NAME: &str = "name";
const ID_TOKEN: &str = "id_token";
const PENDING: &str = "logins";
const MOST_PENDING: usize = 8;
/// In seconds.
const LONGEST_LOGIN: u64 = 10 * 60;
/// Codes and tokens are long.
const MOST_FORM_BYTES: usize = 16 * 1024;

/// In seconds since 1970.
fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
