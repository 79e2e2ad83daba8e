//! axum-login over the store, and the three steps from axum-login to the library, which the guide describes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::extract::Form;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, response::Result};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use lambda_session::testing::Browser;
use lambda_session::{Auth, CurrentUser, Keys, MemoryStore, RequireLoginLayer, SessionError, SessionLayer, Users};
use serde::Deserialize;
use tower_sessions::SessionManagerLayer;

use crate::store::TowerStore;

#[derive(Clone, Debug)]
struct Person {
    id: i64,
    password_hash: String,
}

impl AuthUser for Person {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password_hash.as_bytes()
    }
}

/// The hashes of the users' passwords, by the users' IDs.
#[derive(Clone, Debug)]
struct People(Arc<Mutex<BTreeMap<i64, String>>>);

impl People {
    fn person(&self, id: i64) -> Option<Person> {
        let password_hash = self.0.lock().expect("the people").get(&id)?.clone();
        Some(Person { id, password_hash })
    }

    fn change_password(&self, id: i64) {
        self.0.lock().expect("the people").insert(id, "new".to_owned());
    }
}

#[derive(Clone, Deserialize)]
struct Credentials {
    id: i64,
}

impl AuthnBackend for People {
    type User = Person;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, credentials: Credentials) -> std::result::Result<Option<Person>, Infallible> {
        Ok(self.person(credentials.id))
    }

    async fn get_user(&self, id: &i64) -> std::result::Result<Option<Person>, Infallible> {
        Ok(self.person(*id))
    }
}

impl Users for People {
    type User = Person;
    type Permission = ();
    type Error = Infallible;

    fn id(&self, person: &Person) -> String {
        person.id.to_string()
    }

    fn stamp(&self, person: &Person) -> String {
        person.password_hash.clone()
    }

    async fn find(&self, id: &str) -> std::result::Result<Option<Person>, Infallible> {
        Ok(id.parse().ok().and_then(|id| self.person(id)))
    }
}

/// The site at a step: axum-login alone (0), the library around it (1), logins in both (2), the library alone (3).
struct Site {
    people: People,
    store: MemoryStore,
    layer: SessionLayer,
}

impl Site {
    fn new() -> Self {
        let people = BTreeMap::from([1, 2].map(|id| (id, "old".to_owned())));
        let store = MemoryStore::default();
        let keys = Keys::new(b"a key for tests that is longer than thirty-two bytes").expect("a key");
        let layer = SessionLayer::builder(store.clone(), keys).cookie_name("shop").build();
        Self {
            people: People(Arc::new(Mutex::new(people))),
            store,
            layer: layer.expect("a layer"),
        }
    }

    fn at_step(&self, step: u8) -> Router {
        let routes = match step {
            0 | 1 => Router::new()
                .route("/login", post(log_in))
                .route("/logout", post(log_out)),
            2 => Router::new()
                .route("/login", post(log_in_twice))
                .route("/logout", post(log_out_twice)),
            _ => Router::new()
                .route("/login", post(log_in_here))
                .route("/logout", post(log_out_here)),
        };
        let routes = match step {
            0 => routes.route("/theme", get(theme).post(set_theme)),
            _ => routes.route("/theme", get(theme_here).post(set_theme_here)),
        };
        let orders = Router::new();
        let orders = match step {
            0..3 => orders
                .route("/orders", get(orders_of))
                .route_layer(login_required!(People, login_url = "/login")),
            _ => orders
                .route("/orders", get(orders_here))
                .route_layer(RequireLoginLayer::new("/login").users(self.people.clone())),
        };
        let site = orders.merge(routes).with_state(self.people.clone());
        let store = TowerStore {
            store: self.store.clone(),
            sessions: self.layer.sessions(),
        };
        let layer = SessionManagerLayer::new(store).with_name("__Host-session");
        let axum_login = AuthManagerLayerBuilder::new(self.people.clone(), layer).build();
        match step {
            0 => site.layer(axum_login),
            1 | 2 => site.layer(axum_login).layer(self.layer.clone()),
            _ => site.layer(self.layer.clone()),
        }
    }

    /// Returns how many sessions of the user there are.
    async fn sessions_of(&self, id: i64) -> usize {
        let list = self.layer.sessions().list(&id.to_string()).await;
        list.expect("a list").len()
    }
}

async fn log_in(mut auth: AuthSession<People>, Form(credentials): Form<Credentials>) -> StatusCode {
    let Ok(Some(person)) = auth.authenticate(credentials).await else {
        return StatusCode::UNAUTHORIZED;
    };
    auth.login(&person)
        .await
        .map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::NO_CONTENT)
}

async fn log_out(mut auth: AuthSession<People>) -> StatusCode {
    auth.logout()
        .await
        .map_or(StatusCode::INTERNAL_SERVER_ERROR, |_| StatusCode::NO_CONTENT)
}

async fn log_in_twice(auth: AuthSession<People>, here: Auth<People>, form: Form<Credentials>) -> Result<StatusCode> {
    let person = auth.backend.person(form.id).ok_or(StatusCode::UNAUTHORIZED)?;
    here.login(&person).await?;
    Ok(log_in(auth, form).await)
}

async fn log_out_twice(auth: AuthSession<People>, here: Auth<People>) -> StatusCode {
    here.logout();
    log_out(auth).await
}

async fn log_in_here(
    here: Auth<People>,
    axum::extract::State(people): axum::extract::State<People>,
    form: Form<Credentials>,
) -> Result<StatusCode> {
    let person = people.person(form.id).ok_or(StatusCode::UNAUTHORIZED)?;
    here.login(&person).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn log_out_here(here: Auth<People>) -> StatusCode {
    here.logout();
    StatusCode::NO_CONTENT
}

async fn orders_of(auth: AuthSession<People>) -> String {
    format!("Orders of {:?}", auth.user.map(|person| person.id))
}

async fn orders_here(CurrentUser(person): CurrentUser<People>) -> String {
    format!("Orders of {:?}", Some(person.id))
}

#[derive(Deserialize)]
struct Theme {
    theme: String,
}

async fn theme(session: tower_sessions::Session) -> String {
    session.get("theme").await.expect("a theme").unwrap_or_default()
}

async fn set_theme(session: tower_sessions::Session, Form(Theme { theme }): Form<Theme>) {
    session.insert("theme", theme).await.expect("an insert");
}

async fn theme_here(session: lambda_session::Session) -> Result<String, SessionError> {
    Ok(session.get("theme")?.unwrap_or_default())
}

async fn set_theme_here(
    session: lambda_session::Session,
    Form(Theme { theme }): Form<Theme>,
) -> Result<(), SessionError> {
    Ok(session.insert("theme", theme)?)
}

/// The browser's cookies with the site at another step.
fn at(site: &Site, step: u8, before: &Browser<Router>) -> Browser<Router> {
    let mut browser = Browser::new(site.at_step(step));
    for name in ["__Host-session", "__Host-shop"] {
        if let Some(value) = before.cookie(name) {
            browser = browser.with_cookie(&format!("{name}={value}"));
        }
    }
    browser
}

async fn user(site: &Site, step: u8, id: &str) -> Browser<Router> {
    let mut browser = Browser::new(site.at_step(step));
    assert_eq!(
        browser.post("/login", &[("id", id)]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(orders(&mut browser).await.as_deref(), Some(id));
    browser
}

/// Returns whose orders the browser sees; `None` if it is sent to the login page.
async fn orders(browser: &mut Browser<Router>) -> Option<String> {
    let page = browser.get("/orders").await;
    if page.status.is_redirection() {
        assert_eq!(page.location().map(|to| to.starts_with("/login")), Some(true));
        return None;
    }
    let id = page
        .body
        .strip_prefix("Orders of Some(")
        .expect("the orders of somebody");
    Some(id.trim_end_matches(')').to_owned())
}

#[tokio::test]
async fn a_change_of_the_password_ends_the_sessions_of_before_at_their_next_request() {
    let site = Site::new();
    let (mut phone, mut laptop, mut other) = (
        user(&site, 0, "1").await,
        user(&site, 0, "1").await,
        user(&site, 0, "2").await,
    );
    site.people.change_password(1);
    // The browser in which it was changed logs in again.
    let copied = phone.clone();
    assert_eq!(
        phone.post("/login", &[("id", "1")]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_ne!(phone.cookie("__Host-session"), copied.cookie("__Host-session"));
    assert_eq!(orders(&mut phone).await.as_deref(), Some("1"));
    for mut browser in [laptop.clone(), copied] {
        assert_eq!(orders(&mut browser).await, None);
        assert_eq!(browser.cookie("__Host-session"), None);
    }
    assert_eq!(orders(&mut laptop).await, None, "a copy of the cookie opens nothing");
    assert_eq!(orders(&mut other).await.as_deref(), Some("2"));
    assert_eq!((site.sessions_of(1).await, site.sessions_of(2).await), (1, 1));
}

#[tokio::test]
async fn another_users_login_over_a_session_keeps_its_id_and_each_of_both_can_end_it() {
    let site = Site::new();
    for user_who_ends in ["1", "2"] {
        let mut browser = user(&site, 0, "1").await;
        let before = browser.clone();
        assert_eq!(
            browser.post("/login", &[("id", "2")]).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(orders(&mut browser).await.as_deref(), Some("2"));
        assert_eq!(browser.cookie("__Host-session"), before.cookie("__Host-session"));
        site.layer.sessions().end_all(user_who_ends).await.expect("an end");
        assert_eq!(orders(&mut browser).await, None);
    }
}

#[tokio::test]
async fn the_site_works_after_each_of_the_three_steps() {
    let site = Site::new();
    let mut visitor = user(&site, 0, "1").await;

    // 1: nobody is logged out, and what needs no login is in the library's session.
    let mut visitor_at_1 = at(&site, 1, &visitor);
    assert_eq!(orders(&mut visitor_at_1).await.as_deref(), Some("1"));
    assert_eq!(
        visitor_at_1.post("/theme", &[("theme", "dark")]).await.status,
        StatusCode::OK
    );
    assert_eq!(visitor_at_1.get("/theme").await.body, "dark");
    let of_before = visitor_at_1.clone();

    // 2: a login is in both sessions, and one list has both.
    visitor = at(&site, 2, &visitor_at_1);
    assert_eq!(orders(&mut visitor).await.as_deref(), Some("1"));
    assert_eq!(
        visitor.post("/login", &[("id", "1")]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(visitor.get("/theme").await.body, "dark");
    assert_eq!(site.sessions_of(1).await, 2);
    let mut other = user(&site, 2, "1").await;
    assert_eq!(other.post("/logout", &[]).await.status, StatusCode::NO_CONTENT);
    assert_eq!((orders(&mut other).await, site.sessions_of(1).await), (None, 2));

    // 3: those who logged in after the second step still are.
    let mut visitor_at_3 = at(&site, 3, &visitor);
    assert_eq!(orders(&mut visitor_at_3).await.as_deref(), Some("1"));
    assert_eq!(visitor_at_3.get("/theme").await.body, "dark");
    assert_eq!(orders(&mut at(&site, 3, &of_before)).await, None);
    assert_eq!(orders(&mut user(&site, 3, "1").await).await.as_deref(), Some("1"));

    site.layer.sessions().end_all("1").await.expect("an end");
    for step in [1, 2, 3] {
        assert_eq!(orders(&mut at(&site, step, &visitor)).await, None, "step {step}");
    }
    assert_eq!(site.sessions_of(1).await, 0);
}
