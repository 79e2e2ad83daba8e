//! OpenID Connect: a login at a provider by the code flow with PKCE, logout there too, and back-channel logout.
//!
//! To run it, register this client at a provider:
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//! OIDC_ISSUER=https://issuer.example OIDC_CLIENT_ID=shop OIDC_CLIENT_SECRET=… \
//! BASE_URL=http://127.0.0.1:3000 \
//!     cargo run -p oidc -- --port 3000
//! ```
//!
//! If `AWS_LAMBDA_RUNTIME_API` is set, as Lambda does, the program runs as a function.
//!
//! To copy this example, copy its folder and the files of `site` beside it, `page.rs`, `problem.rs`, `sessions.rs` and
//! `table.rs`.
//!
//! | variable | |
//! |---|---|
//! | `OIDC_ISSUER` | the provider, as it names itself in `iss`; https unless it is on this machine |
//! | `OIDC_CLIENT_ID`, `OIDC_CLIENT_SECRET` | this client, as the provider knows it |
//! | `OIDC_RESPONSE_MODE` | `form_post` if the provider is to send its answer as a form; a query if unset |
//! | `BASE_URL` | the site's address for browsers, such as `https://shop.example` |
//! | `TABLE_NAME` | the sessions' table; without it everything is in memory. Required on Lambda |
//! | others | see `SessionLayer::from_env` and `DynamoDbStore::from_env` |
//!
//! # What to configure at the provider
//!
//! Amazon Cognito:
//!
//! - `OIDC_ISSUER` is `https://cognito-idp.REGION.amazonaws.com/POOL`.
//! - The client is an app client with a secret, authorization code grant, and the scopes `openid` and `profile`.
//! - `BASE_URL/callback` goes into "Allowed callback URLs", and `BASE_URL/`, for the logout, into "Allowed sign-out
//!   URLs". Cognito's logout endpoint takes `logout_uri` instead of `post_logout_redirect_uri`; the program sends both.
//! - It has no back-channel logout and no `OIDC_RESPONSE_MODE=form_post`.
//!
//! Google:
//!
//! - `OIDC_ISSUER` is `https://accounts.google.com`.
//! - The client is an OAuth client of type "Web application".
//! - `BASE_URL/callback` goes into "Authorized redirect URIs".
//! - It supports `OIDC_RESPONSE_MODE=form_post`. It has no back-channel logout, and no logout endpoint: the visitor
//!   stays logged in at Google.
//! - It tells `auth_time` only [to verified apps that have session age claims
//!   on](https://developers.google.com/identity/siwg/security-bundle). For other apps, what needs a proof stays closed.
//!
//! Keycloak:
//!
//! - `OIDC_ISSUER` is `https://HOST/realms/REALM`.
//! - The client is an OpenID Connect client with client authentication, standard flow, and the PKCE method `S256`.
//! - `BASE_URL/callback` goes into "Valid redirect URIs", and `BASE_URL/` into "Valid post logout redirect URIs".
//! - `BASE_URL/backchannel-logout` goes into "Backchannel logout URL", with "session required" on.
//! - It supports `OIDC_RESPONSE_MODE=form_post`.
//!
//! # The login, step by step
//!
//! 1. `POST /login` draws `state`, `nonce` and a PKCE verifier, keeps them in the visitor's session, and sends the
//!    browser to the provider. Each tab that logs in has its own; a session keeps at most eight, for ten minutes. It is
//!    a form, so that no session begins without an action of the visitor (OWASP ASVS 5.0, 7.6.2): a link of another
//!    site shows only the page with the form, and a form of another site gets 403.
//! 2. The provider sends the browser back to `/callback` with `code` and `state`. The state has to be one of this
//!    session's, so that another person's link logs nobody in. It is removed, so that it counts once.
//! 3. The program exchanges the code for an ID token and checks its signature, issuer, audience, times and nonce.
//! 4. `Session::login` gives the session a new ID and an owner: issuer and subject, because only both together are
//!    unique. What the visitor did before stays.
//!
//! The session holds the verifier and the ID token. If not everybody who can read the table is trusted, set
//! `SESSION_SEALED=true`.
//!
//! # A proof of the last ten minutes
//!
//! The provider says in `auth_time` when the user has last proved who they are, and [`Session::confirm_at`] keeps it.
//! Each login asks for that time by `max_age` (OpenID Connect Core 1.0, section 3.1.2.1): a proof may be at most twelve
//! hours old, as a session here; otherwise the provider asks the user again.
//!
//! `/sessions`, where a user logs out everywhere else, needs a proof of the last ten minutes (ASVS 7.5.2). Without one,
//! its guard sends the visitor to `/login?again=true`. That login has a `max_age` of ten minutes and `prompt=login`.
//!
//! A visitor could remove both from the address on the way, and a provider could ignore them, so `auth_time` decides
//! (section 3.1.3.7). If it is too old, the login is refused, and the session stays as it was. A login that has to
//! prove something is refused, too, if `auth_time` is missing or if somebody else has logged in.
//!
//! # `response_mode=form_post`
//!
//! The provider then makes the browser POST `code` and `state` from its own page, so they appear in no address and no
//! log. A browser sends no `SameSite=Lax` cookie with a POST from another site, so that request finds no session. There
//! are two solutions.
//!
//! The usual one is a second cookie with `SameSite=None`, for `state` and `nonce` alone. It costs a second session per
//! login, and some browsers drop it. The request still lacks the session's own cookie, so a login there would begin a
//! second session beside the first, without its basket.
//!
//! So this program takes the other: `POST /callback` touches no session and no cookie. It answers with a page that
//! holds the two fields in a form, and submits the form to `/callback/posted`, on this site. The browser sends the
//! session's `Lax` cookie with that request, because it comes from this site. This is as safe as a query: an attacker
//! who makes a visitor's browser post something to `/callback` gets no further than with a link to `/callback?code=…`,
//! which is the check of `state`. The fields are escaped, and the page can run only its own script.
//!
//! # Logout
//!
//! `GET /logout` ends the session and redirects to the provider's logout. It is a link and not a form, because browsers
//! apply `form-action` to the redirect of a form, too. `SameOriginLayer` keeps other sites from using it.
//!
//! `POST /backchannel-logout` is for the provider. A token that names a provider's session (`sid`) ends the sessions
//! that began with it, and a token without one ends all of the subject's. A login that is under way meanwhile fails:
//! the program marks the `sid`, or else the subject, as ended before it looks for sessions, and a login looks for both
//! marks after its session is saved. The subject's mark has a time, and applies to logins that began until then. A
//! token that names no subject is refused; the three providers above, and all others that we know of, never send one.

mod http_client;
mod marks;
#[path = "../../site/page.rs"]
mod page;
mod pages;
#[path = "../../site/problem.rs"]
mod problem;
mod problems;
mod provider;
#[path = "../../site/sessions.rs"]
mod sessions;
#[path = "../../site/table.rs"]
mod table;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Result};
use axum::routing::{get, post};
use lambda_session::{
    DynamoDbStore, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError, SessionLayer, Sessions,
    lambda, local_path,
};
use openidconnect::url::Url;
use serde::{Deserialize, Serialize};

use self::marks::Marks;
use self::problem::{Problem, present};
use self::provider::{Identity, Provider, Secrets, Settings, in_time};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    lambda::serve(site().await?).await
}

/// Reads an environment variable. An empty one counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn required(name: &str) -> Result<String, Error> {
    variable(name).ok_or_else(|| format!("{name} is not set").into())
}

/// The state that the views need besides the session.
#[derive(Clone)]
struct App {
    provider: Arc<Provider>,
    marks: Arc<Marks>,
}

async fn site() -> Result<Router, Error> {
    let settings = Settings {
        issuer: required("OIDC_ISSUER")?,
        client_id: required("OIDC_CLIENT_ID")?,
        client_secret: required("OIDC_CLIENT_SECRET")?,
        response_mode: variable("OIDC_RESPONSE_MODE"),
        base_url: required("BASE_URL")?.trim_end_matches('/').to_owned(),
    };
    let (sessions, marks) = if let Some(store) = DynamoDbStore::from_env_unless_local()? {
        // Before the first request: Lambda gives the start a whole processor, and does not count it as request time.
        store.warm_up().await;
        let marks = Marks::table(store.client(), store.table());
        (SessionLayer::from_env(store)?, marks)
    } else {
        eprintln!("TABLE_NAME is not set, so everything is in memory and ends with this program");
        (SessionLayer::from_env(MemoryStore::default())?, Marks::in_memory())
    };
    let app = App {
        provider: Arc::new(Provider::new(settings)?),
        marks: Arc::new(marks),
    };
    Ok(routes(sessions.build()?, app))
}

fn routes(sessions: SessionLayer, app: App) -> Router {
    let secure = sessions.is_secure();
    let same_origin = SameOriginLayer::new()
        .secure(secure)
        .also("/logout")
        // Each authenticates its sender itself: by the `state` that the next step checks, and by a signature.
        .except("/callback")
        .except("/backchannel-logout");
    let logged_in = RequireLoginLayer::new("/login");
    let members = Router::new()
        .route("/profile", get(profile))
        .route_layer(logged_in.clone());
    let confirmed = logged_in.confirmed_within(PROVIDER, TEN_MINUTES, "/login?again=true");
    let site = Router::new()
        .route("/", get(home))
        .route("/basket", post(add_to_basket))
        .route("/login", get(login_form).post(begin_login))
        .route("/callback", get(finish_login).post(pass_on))
        .route("/callback/posted", post(finish_posted_login))
        .route("/logout", get(log_out))
        .route("/backchannel-logout", post(end_by_token))
        .merge(members)
        .merge(sessions::routes(confirmed))
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(sessions)
        // Outside the sessions, so that a request from another site's page costs no store call.
        .layer(same_origin);
    present(site, secure).with_state(app)
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
    /// The page to which the tab goes after the login.
    next: String,
    /// Whether the user has to have proved it lately.
    #[serde(default)]
    again: bool,
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
    again: bool,
}

/// Other sites may link here: a login begins only when the visitor submits the form.
async fn login_form(Query(Destination { next, again }): Query<Destination>) -> pages::Login {
    pages::Login { next, again }
}

async fn begin_login(
    State(app): State<App>,
    session: Session,
    Form(Destination { next, again }): Form<Destination>,
) -> Result<pages::ToProvider> {
    let (url, secrets) = in_time(app.provider.begin(longest(again), again)).await?;
    if session.handle().is_none() {
        // The browser may have the cookie of a session that a logout at the provider has ended. A change of that
        // session would be a 409.
        session.renew();
    }
    let now = now();
    let pending = Pending {
        secrets,
        next: local_path(&next).unwrap_or("/").to_owned(),
        again,
        begun_at: now,
    };
    session.update(PENDING, move |all: Option<Vec<Pending>>| {
        let mut all = all.unwrap_or_default();
        all.retain(|pending| pending.is_young(now));
        all.drain(..all.len().saturating_sub(MOST_PENDING - 1));
        all.push(pending.clone());
        all
    })?;
    Ok(pages::ToProvider(url))
}

/// What the provider answers: a code, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    state: String,
    code: Option<String>,
    error: Option<String>,
    /// The provider that sent the answer (RFC 9207).
    iss: Option<String>,
}

async fn finish_login(app: State<App>, session: Session, Query(answer): Query<Answer>) -> Result<Redirect> {
    finish(&app, session, answer).await
}

async fn finish_posted_login(app: State<App>, session: Session, Form(answer): Form<Answer>) -> Result<Redirect> {
    finish(&app, session, answer).await
}

/// Takes the provider's form, which comes without the session's cookie, and makes the browser send it again from this
/// site.
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
        again,
        begun_at,
    }) = begun
    else {
        return Err(problems::NOT_BEGUN.into());
    };
    // Whatever follows, this state counts once.
    session.update(PENDING, move |all: Option<Vec<Pending>>| {
        let mut all = all.unwrap_or_default();
        all.retain(|pending| !pending.secrets.is_for(&answer.state));
        all
    })?;
    if answer.iss.is_some_and(|issuer| issuer != app.provider.issuer()) {
        return Err(problems::REFUSED.into());
    }
    if let Some(error) = answer.error {
        return Err(problems::of_provider(&error).into());
    }
    let code = answer.code.ok_or(problems::REFUSED)?;
    let identity = in_time(app.provider.finish(code, secrets)).await?;
    check_proof(&session, &identity, again)?;
    log_in(app, &session, identity, begun_at).await?;
    Ok(Redirect::to(&next))
}

/// How old a proof may be with which a session begins, or that is given again.
fn longest(again: bool) -> Duration {
    if again { TEN_MINUTES } else { TWELVE_HOURS }
}

/// Refuses a proof that is too old, whatever the provider was asked for. If something has to be proved, it also refuses
/// an unknown time, and somebody else's proof.
fn check_proof(session: &Session, identity: &Identity, again: bool) -> Result<(), Problem> {
    if again && session.owner().is_some_and(|owner| owner != identity.owner) {
        return Err(problems::SOMEBODY_ELSE);
    }
    let age = identity.proved_at.map(|time| now().saturating_sub(time));
    let is_young = age.map_or(!again, |age| age < longest(again).as_secs());
    if is_young { Ok(()) } else { Err(problems::NOT_ASKED) }
}

async fn log_in(app: &App, session: &Session, identity: Identity, begun_at: u64) -> Result<()> {
    if session.owner().is_some_and(|owner| owner != identity.owner) {
        session.clear();
    }
    // The label shows which sessions a logout at the provider ends. A page of devices would add more to it.
    session.login_from(&identity.owner, identity.session.as_deref().unwrap_or_default())?;
    if let Some(time) = identity.proved_at {
        session.confirm_at(PROVIDER, time)?;
    }
    session.insert(NAME, identity.name)?;
    session.insert(ID_TOKEN, identity.id_token)?;
    session.save().await?;
    // From here on, a logout at the provider finds this session. An earlier logout has left its mark.
    let is_overtaken = is_overtaken(&app.marks, identity.session.as_deref(), &identity.subject, begun_at).await;
    if !matches!(is_overtaken, Ok(false)) {
        session.end();
        return Err(is_overtaken.err().unwrap_or(problems::NOT_BEGUN).into());
    }
    Ok(())
}

/// Whether the provider has logged the visitor out since the login began. Both times are from this site, so the
/// provider's clock does not matter, nor when it issued the code.
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
    // Before the request to the provider, during which Lambda may end the function.
    session.save().await?;
    // If the provider cannot be reached, the visitor is logged out here all the same.
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

/// Carries out a logout token (OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8).
async fn end_by_token(
    State(app): State<App>,
    sessions: Sessions,
    Form(Token { logout_token }): Form<Token>,
) -> Result<StatusCode> {
    let order = in_time(app.provider.logout_order(&logout_token)).await?;
    if app.marks.has(&order.token).await? {
        // Anyone who replays the token could otherwise end a later login.
        return Err(problems::BAD_TOKEN.into());
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
    // Last, because an order that failed half-way is not carried out, and the provider may send it again.
    app.marks.set(&order.token).await?;
    Ok(StatusCode::OK)
}

/// The proof that the session keeps.
const PROVIDER: &str = "provider";
const TEN_MINUTES: Duration = Duration::from_mins(10);
const TWELVE_HOURS: Duration = Duration::from_hours(12);
const BASKET: &str = "basket";
const NAME: &str = "name";
const ID_TOKEN: &str = "id_token";
const PENDING: &str = "logins";
const MOST_PENDING: usize = 8;
/// In seconds: how long a login may take.
const LONGEST_LOGIN: u64 = 10 * 60;
/// Large enough for codes and tokens, which are long.
const MOST_FORM_BYTES: usize = 16 * 1024;

/// In seconds since 1970.
fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
