use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::routing::get;
use http::{Request, StatusCode, header};
use tokio::sync::Barrier;
use tower::ServiceExt as _;

use super::*;
use crate::{Keys, MemoryStore, RequireLoginLayer, SessionErrorKind, SessionLayer};

#[derive(Clone, Debug, PartialEq)]
struct Person {
    name: String,
    password: u32,
    is_editor: bool,
}

#[derive(Debug, PartialEq)]
enum Permission {
    Read,
    Write,
}

/// The users, and how often somebody looked one up.
#[derive(Clone, Default)]
struct People {
    by_name: Arc<std::sync::Mutex<HashMap<String, Person>>>,
    look_ups: Arc<AtomicU32>,
    /// Where a look-up waits until another request makes one, too.
    meeting: Option<Arc<Barrier>>,
}

impl People {
    fn new() -> Self {
        let people = Self::default();
        people.put("alice", 1);
        people.put("bob", 1);
        people
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Person>) -> T) -> T {
        f(&mut self.by_name.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a person with this password, or gives it to one who is there.
    fn put(&self, name: &str, password: u32) -> Person {
        let person = Person {
            name: name.to_owned(),
            password,
            is_editor: name == "alice",
        };
        self.with(|people| people.insert(name.to_owned(), person.clone()));
        person
    }

    fn look_ups(&self) -> u32 {
        self.look_ups.swap(0, Ordering::SeqCst)
    }
}

impl Users for People {
    type User = Person;
    type Permission = Permission;
    type Error = &'static str;

    fn id(&self, person: &Person) -> String {
        person.name.clone()
    }

    fn stamp(&self, person: &Person) -> String {
        person.password.to_string()
    }

    async fn find(&self, id: &str) -> Result<Option<Person>, &'static str> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if let Some(meeting) = &self.meeting {
            let both = tokio::time::timeout(Duration::from_secs(20), meeting.wait()).await;
            both.expect("another request looks up, too");
        }
        if id == "mallory" {
            return Err("the table of users is away");
        }
        Ok(self.with(|people| people.get(id).cloned()))
    }

    async fn may(&self, person: &Person, permission: &Permission) -> Result<bool, &'static str> {
        Ok(person.is_editor || *permission == Permission::Read)
    }
}

type Site = (Router, People);

async fn log_in(auth: Auth<People>, Path(name): Path<String>) -> Result<String, SessionError> {
    let person = auth.users.with(|people| people.get(&name).cloned()).unwrap();
    let session = auth.login(&person).await?;
    assert_eq!(
        auth.user().await?.as_ref(),
        Some(&person),
        "at once, and without a look-up"
    );
    Ok(session.owner().unwrap_or_default())
}

async fn change_password(auth: Auth<People>, CurrentUser(person): CurrentUser<People>) -> Result<(), SessionError> {
    let changed = auth.users.put(&person.name, person.password + 1);
    auth.login(&changed).await.map(drop)
}

async fn who(user: Option<CurrentUser<People>>) -> String {
    user.map_or("nobody".to_owned(), |user| user.name.clone())
}

async fn name(CurrentUser(person): CurrentUser<People>) -> String {
    person.name
}

/// Asks in every way, twice at once.
async fn all(
    auth: Auth<People>,
    user: Option<CurrentUser<People>>,
    CurrentUser(person): CurrentUser<People>,
    State(_): State<People>,
    session: Session,
) -> Result<String, SessionError> {
    let (one, other) = tokio::join!(auth.user(), auth.may(&Permission::Write));
    assert_eq!(one?, Some(person.clone()));
    assert!(other?);
    assert_eq!(user.map(|user| user.0), Some(person));
    Ok(session.owner().unwrap_or_default())
}

/// Asks twice at once, before anybody else has.
async fn twice(auth: Auth<People>) -> Result<String, SessionError> {
    let (one, other) = tokio::join!(auth.user(), auth.user());
    assert_eq!(one?, other?);
    Ok(String::new())
}

async fn put(session: Session, user: Option<CurrentUser<People>>) -> Result<String, SessionError> {
    let items = session.increment("basket", 1)?;
    Ok(format!(
        "{} {items}",
        user.map_or("nobody".to_owned(), |user| user.0.name)
    ))
}

/// Leaves the request's session with this owner, without `Auth`.
async fn plain_login(session: Session, Path(name): Path<String>) -> Result<(), SessionError> {
    session.login(&name)
}

async fn relogin(user: Option<CurrentUser<People>>, auth: Auth<People>) -> Result<(), SessionError> {
    assert!(user.is_none());
    let alice = auth.users.put("alice", 7);
    let session = auth.login(&alice).await?;
    session.save().await
}

/// The same for a user without a stamp.
async fn plain_relogin(user: Option<CurrentUser<People>>, session: Session) -> Result<(), SessionError> {
    assert!(user.is_none());
    session.login("carol")?;
    session.save().await
}

fn site_of(people: People) -> Site {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    let sessions = SessionLayer::builder(MemoryStore::default(), keys).build().unwrap();
    let guarded = Router::new()
        .route("/all", get(all))
        .layer(RequireLoginLayer::new("/login").may(people.clone(), Permission::Write))
        .layer(RequireLoginLayer::new("/login").users(people.clone()));
    let app = Router::new()
        .route("/login/{name}", get(log_in))
        .route("/plain/{name}", get(plain_login))
        .route("/logout", get(async |auth: Auth<People>| auth.logout()))
        .route("/password", get(change_password))
        .route("/who", get(who))
        .route("/name", get(name))
        .route("/twice", get(twice))
        .route("/put", get(put))
        .route("/relogin", get(relogin))
        .route("/plain-relogin", get(plain_relogin))
        .route(
            "/owner",
            get(async |session: Session| session.owner().unwrap_or_default()),
        )
        .merge(guarded)
        .layer(sessions)
        .with_state(people.clone());
    (app, people)
}

fn site() -> Site {
    site_of(People::new())
}

struct Answer {
    status: StatusCode,
    /// The cookie that it sets, empty if it clears it.
    cookie: Option<String>,
    store_calls: u32,
    error: Option<SessionErrorKind>,
    text: String,
}

async fn visit(app: &Router, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header(header::COOKIE, cookie);
    let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let cookie = answer.headers().get(header::SET_COOKIE).map(|cookie| {
        let cookie = cookie.to_str().unwrap();
        if cookie.contains("Max-Age=0") {
            String::new()
        } else {
            cookie.split(';').next().unwrap().to_owned()
        }
    });
    let extensions = answer.extensions();
    Answer {
        status: answer.status(),
        cookie,
        store_calls: extensions.get().map_or(0, LazySession::store_calls),
        error: extensions.get().map(SessionError::kind),
        text: String::from_utf8(to_bytes(answer.into_body(), 1000).await.unwrap().to_vec()).unwrap(),
    }
}

async fn cookie_of(app: &Router, name: &str) -> String {
    let answer = visit(app, &format!("/login/{name}"), "").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, name));
    answer.cookie.unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn two_guards_and_all_extractors_make_one_look_up_and_one_read() {
    let (app, people) = site();
    let cookie = cookie_of(&app, "alice").await;
    assert_eq!(people.look_ups(), 0, "a login knows its user");
    for path in ["/all", "/name", "/who", "/twice", "/put"] {
        let answer = visit(&app, path, &cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        let writes = u32::from(path == "/put");
        assert_eq!((people.look_ups(), answer.store_calls), (1, 1 + writes), "{path}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn where_nobody_is_logged_in_nothing_is_looked_up() {
    let (app, people) = site();
    for (path, text) in [
        ("/name", "nobody is logged in\n"),
        ("/who", "nobody"),
        ("/all", "nobody is logged in\n"),
    ] {
        let answer = visit(&app, path, "").await;
        assert_eq!(answer.text, text);
        assert_eq!((people.look_ups(), answer.store_calls), (0, 0), "{path}");
        assert_eq!(
            answer.error,
            (path != "/who").then_some(SessionErrorKind::Refused(Refusal::NotLoggedIn))
        );
    }
    let basket = visit(&app, "/put", "").await.cookie.unwrap();
    assert_eq!(visit(&app, "/who", &basket).await.text, "nobody");
    assert_eq!(people.look_ups(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn a_change_of_the_password_ends_the_sessions_of_before_at_their_next_request_and_not_the_one_that_made_it() {
    let (app, people) = site();
    let (cookie, other, bobs) = (
        cookie_of(&app, "alice").await,
        cookie_of(&app, "alice").await,
        cookie_of(&app, "bob").await,
    );
    let mine = visit(&app, "/password", &cookie).await;
    assert_eq!(mine.status, StatusCode::OK);
    let mine = mine.cookie.expect("a new ID");
    assert_eq!(visit(&app, "/name", &mine).await.text, "alice");
    assert_eq!(visit(&app, "/name", &bobs).await.text, "bob");

    people.look_ups();
    let ended = visit(&app, "/name", &other).await;
    assert_eq!(
        (ended.status, ended.error),
        (
            StatusCode::UNAUTHORIZED,
            Some(SessionErrorKind::Refused(Refusal::NotLoggedIn))
        )
    );
    assert_eq!(ended.cookie, None, "the browser may just have got a new one");
    assert_eq!((people.look_ups(), ended.store_calls), (1, 2), "a read and the end");
    people.put("alice", 1);
    assert_eq!(
        visit(&app, "/who", &other).await.text,
        "nobody",
        "the old password again does not revive it"
    );
    assert_eq!(people.look_ups(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn a_user_who_was_deleted_is_nobody_and_the_session_ends() {
    let (app, people) = site();
    let cookie = cookie_of(&app, "alice").await;
    let person = people.with(|people| people.remove("alice"));
    let answer = visit(&app, "/all", &cookie).await;
    assert_eq!(
        (answer.status, answer.error),
        (
            StatusCode::UNAUTHORIZED,
            Some(SessionErrorKind::Refused(Refusal::NotLoggedIn))
        )
    );
    assert_eq!(answer.cookie, None);
    people.with(|people| people.insert("alice".to_owned(), person.unwrap()));
    assert_eq!(visit(&app, "/who", &cookie).await.text, "nobody");
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_visitor_does_whose_session_was_of_before_begins_a_new_one_with_nothing_of_the_old_one() {
    let (app, people) = site();
    let cookie = cookie_of(&app, "alice").await;
    for text in ["alice 1", "alice 2"] {
        assert_eq!(visit(&app, "/put", &cookie).await.text, text);
    }
    people.put("alice", 2);
    let answer = visit(&app, "/put", &cookie).await;
    assert_eq!(answer.text, "nobody 1");
    let new = answer.cookie.unwrap();
    assert_eq!(visit(&app, "/put", &new).await.text, "nobody 2");
    assert_eq!(visit(&app, "/who", &cookie).await.text, "nobody");

    let cookie = cookie_of(&app, "bob").await;
    people.put("bob", 2);
    let answer = visit(&app, "/relogin", &cookie).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let alices = answer.cookie.unwrap();
    assert_eq!(visit(&app, "/who", &alices).await.text, "alice");
    assert_eq!(visit(&app, "/who", &cookie).await.text, "nobody");

    people.put("alice", 8);
    let answer = visit(&app, "/plain-relogin", &alices).await;
    assert_eq!(visit(&app, "/owner", &answer.cookie.unwrap()).await.text, "carol");
}

#[tokio::test(flavor = "current_thread")]
async fn of_two_requests_at_once_with_a_session_of_before_none_is_a_conflict() {
    let people = People {
        meeting: Some(Arc::new(Barrier::new(2))),
        ..People::new()
    };
    let (app, people) = site_of(people);
    let cookie = cookie_of(&app, "alice").await;
    people.put("alice", 2);
    let (one, other) = tokio::join!(visit(&app, "/name", &cookie), visit(&app, "/who", &cookie));
    assert_eq!(
        (one.status, one.error),
        (
            StatusCode::UNAUTHORIZED,
            Some(SessionErrorKind::Refused(Refusal::NotLoggedIn))
        )
    );
    assert_eq!((other.status, other.text.as_str()), (StatusCode::OK, "nobody"));
    assert_eq!([one.cookie, other.cookie], [None, None]);
}

#[tokio::test(flavor = "current_thread")]
async fn the_layer_says_403_to_who_is_logged_in_and_may_not_and_a_handler_is_told_the_same() {
    let (app, people) = site();
    let bobs = cookie_of(&app, "bob").await;
    let answer = visit(&app, "/all", &bobs).await;
    assert_eq!(
        (answer.status, answer.error),
        (
            StatusCode::FORBIDDEN,
            Some(SessionErrorKind::Refused(Refusal::NotPermitted))
        )
    );
    assert_eq!((people.look_ups(), answer.store_calls), (1, 1));
    for (name, permission, expected) in [
        (Some("alice"), Permission::Write, true),
        (Some("bob"), Permission::Write, false),
        (Some("bob"), Permission::Read, true),
        (None, Permission::Read, false),
    ] {
        let session = Session::default();
        let auth = Auth {
            users: people.clone(),
            session: LazySession(Arc::clone(&session.0)),
        };
        if let Some(name) = name {
            auth.login(&people.put(name, 1)).await.unwrap();
        }
        assert_eq!(
            auth.may(&permission).await.unwrap(),
            expected,
            "{name:?} {permission:?}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_session_without_a_stamp_is_not_one_with_the_users_stamp() {
    struct Guests;
    impl Users for Guests {
        type User = String;
        type Permission = ();
        type Error = std::convert::Infallible;

        fn id(&self, guest: &String) -> String {
            guest.clone()
        }

        async fn find(&self, id: &str) -> Result<Option<String>, Self::Error> {
            Ok(Some(id.to_owned()))
        }
    }

    let (app, _) = site();
    let cookie = visit(&app, "/plain/alice", "").await.cookie.unwrap();
    assert_eq!(visit(&app, "/who", &cookie).await.text, "nobody");

    let session = Session::default();
    session.login("alice").unwrap();
    assert_eq!(current(&session, &Guests).await.unwrap().as_deref(), Some("alice"));
    session.login("bob").unwrap();
    assert_eq!(current(&session, &Guests).await.unwrap().as_deref(), Some("bob"));
    assert!(
        !may(&session, &Guests, &()).await.unwrap(),
        "nobody may unless the site says so"
    );
    // Each kind of user is looked up for itself.
    assert_eq!(current(&session, &People::new()).await.unwrap(), None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_login_of_somebody_else_in_the_same_request_counts_at_once() {
    let people = People::new();
    let session = Session::default();
    let auth = Auth {
        users: people.clone(),
        session: LazySession(Arc::clone(&session.0)),
    };
    session.insert("basket", 1).unwrap();
    auth.login(&people.put("alice", 1)).await.unwrap();
    session.confirm("password").unwrap();
    auth.login(&people.put("alice", 2)).await.unwrap();
    assert!(session.contains_key("basket") && session.confirmed("password").is_some());
    auth.login(&people.put("bob", 1)).await.unwrap();
    assert_eq!(auth.user().await.unwrap().unwrap().name, "bob");
    assert_eq!(session.keys(), ["_stamp"], "nothing of alice's");
    session.login("alice").unwrap();
    session.login("bob").unwrap();
    assert_eq!(auth.user().await.unwrap(), None, "a login without the stamp is not his");
    auth.login(&people.put("bob", 1)).await.unwrap();
    auth.logout();
    assert_eq!(auth.user().await.unwrap(), None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_look_up_that_fails_is_503_and_the_session_stays() {
    let (app, people) = site();
    people.put("mallory", 1);
    let cookie = cookie_of(&app, "mallory").await;
    for path in ["/name", "/who", "/all"] {
        let answer = visit(&app, path, &cookie).await;
        assert_eq!(
            (answer.status, answer.cookie),
            (StatusCode::SERVICE_UNAVAILABLE, None),
            "{path}"
        );
        assert_eq!(answer.error, Some(SessionErrorKind::Users));
        assert!(!answer.text.contains("table"), "{}", answer.text);
    }
}

#[test]
fn debug_shows_no_user() {
    let session = LazySession(Arc::clone(&Session::default().0));
    let people = People::new();
    let person = people.put("alice", 1);
    let shown = format!("Auth {{ session: {session:?}, .. }} CurrentUser {{ .. }}");
    let (auth, user) = (Auth { users: people, session }, CurrentUser::<People>(person));
    assert_eq!(format!("{auth:?} {user:?}"), shown);
}

#[test]
fn the_session_keeps_no_stamp_and_every_owner_another_hash() {
    assert_eq!(hashed("alice", ""), None);
    assert_eq!(
        hashed("alice", "$argon2id$hash").as_deref(),
        Some("EOV6ecLV8qdccjqaqPn59NFansWuLQSbr3VDtf_hMno")
    );
    assert_ne!(hashed("alice", "1"), hashed("alice", "2"));
    assert_ne!(hashed("alic", "e1"), hashed("alice", "1"));
    let session = Session::default();
    for name in ["_stamp", "_confirmed"] {
        assert!(session.insert(name, "x").is_err(), "a handler cannot make one up");
    }
}

/// Other users of the same type: those who may see the back office.
#[derive(Clone)]
struct Staff(People);

impl Users for Staff {
    type User = Person;
    type Permission = ();
    type Error = &'static str;

    fn id(&self, person: &Person) -> String {
        self.0.id(person)
    }

    fn stamp(&self, person: &Person) -> String {
        self.0.stamp(person)
    }

    async fn find(&self, id: &str) -> Result<Option<Person>, &'static str> {
        Ok(self.0.find(id).await?.filter(|person| person.is_editor))
    }
}

#[tokio::test]
async fn what_some_users_have_found_says_nothing_for_other_users_of_the_same_type() {
    let people = People::new();
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    let sessions = SessionLayer::builder(MemoryStore::default(), keys).build().unwrap();
    let site: Router = Router::new()
        .route("/office", get(async || "the office"))
        .layer(RequireLoginLayer::new("/login").users(Staff(people.clone())))
        .layer(RequireLoginLayer::new("/login").users(people.clone()))
        .route("/login/{name}", get(log_in))
        .layer(sessions)
        .with_state(people);
    for (name, status) in [("alice", 200), ("bob", 401)] {
        let login = Request::get(format!("/login/{name}")).body(Body::empty()).unwrap();
        let login = site.clone().oneshot(login).await.unwrap();
        let cookie = login.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let office = Request::get("/office")
            .header(header::COOKIE, cookie)
            .body(Body::empty())
            .unwrap();
        assert_eq!(site.clone().oneshot(office).await.unwrap().status(), status, "{name}");
    }
}

#[tokio::test]
async fn what_else_is_required_is_required_beside_the_user() {
    let people = People::new();
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    let sessions = SessionLayer::builder(MemoryStore::default(), keys).build().unwrap();
    let second = |session: &Session| session.contains_key("second_factor");
    for guard in [
        RequireLoginLayer::new("/login")
            .logged_in_if(second)
            .users(people.clone()),
        RequireLoginLayer::new("/login")
            .users(people.clone())
            .logged_in_if(second),
        RequireLoginLayer::new("/login")
            .logged_in_if(second)
            .may(people.clone(), Permission::Read),
    ] {
        let site: Router = Router::new()
            .route("/orders", get(async || "orders"))
            .layer(guard)
            .route("/login/{name}", get(log_in))
            .layer(sessions.clone())
            .with_state(people.clone());
        let login = site
            .clone()
            .oneshot(Request::get("/login/alice").body(Body::empty()).unwrap())
            .await
            .unwrap();
        let cookie = login.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let orders = Request::get("/orders")
            .header(header::COOKIE, cookie)
            .body(Body::empty())
            .unwrap();
        assert_eq!(site.oneshot(orders).await.unwrap().status(), 401);
    }
}
