//! A session is loaded, read or changed after its answer has left the layer. It reads what was saved, and no change is
//! accepted and then lost.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, header};
use lambda_session::{
    LazySession, MemoryStore, ResponseBody, Session, SessionErrorKind, SessionService, ValueErrorKind,
};
use tokio::sync::oneshot;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::site::{keys, layer, now};

type Views = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

/// A site that logs in, adds a variable or only reads, as the path says.
fn site(store: MemoryStore) -> SessionService<Views> {
    let layer = layer(store, keys()).clock(now).build().expect("a layer");
    layer.layer(BoxCloneSyncService::new(service_fn(views)))
}

async fn views(request: Request<String>) -> Result<Response<String>, Infallible> {
    let lazy = LazySession::of(&request).expect("a layer");
    match request.uri().path() {
        "/login" => {
            let session = lazy.load().await.expect("a session");
            session.renew();
            session.insert("username", "admin").expect("a name");
        }
        "/language" => {
            let session = lazy.load().await.expect("a session");
            session.insert("language", "en").expect("a language");
        }
        "/logout" => lazy.end(),
        _ => {}
    }
    Ok(Response::new(String::new()))
}

async fn visit(site: &SessionService<Views>, path: &str, cookie: &str) -> Response<String> {
    let request = Request::builder().uri(path).header(header::COOKIE, cookie);
    let Ok(response) = site
        .clone()
        .oneshot(request.body(String::new()).expect("a request"))
        .await;
    response.map(ResponseBody::into_inner)
}

fn cookie(response: &Response<String>) -> String {
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("ASCII");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// Loads the session as a middleware outside the layer does.
async fn outside(response: &Response<String>) -> Session {
    let lazy: &LazySession = response.extensions().get().expect("the layer leaves it there");
    lazy.load().await.expect("a session")
}

#[track_caller]
fn assert_saved(session: &Session, username: Option<&str>) {
    assert!(session.is_saved());
    let error = session.insert("theme", "dark").expect_err("it is saved");
    assert_eq!(error.kind(), ValueErrorKind::Closed);
    let error = session.increment("visits", 1).expect_err("it is saved");
    assert_eq!(error.kind(), ValueErrorKind::Closed);
    assert_eq!(session.remove("username"), None, "nothing is taken out");
    assert_eq!(session.pop::<String>("username").is_err(), username.is_some());
    session.clear();
    session.renew();
    session.end();
    let found: Option<String> = session.get("username").expect("a name");
    assert_eq!(found.as_deref(), username, "and it still reads what was saved");
}

#[tokio::test]
async fn an_outer_middleware_reads_what_was_saved_and_changes_nothing() {
    let site = site(MemoryStore::default());
    let login = visit(&site, "/login", "").await;
    assert_saved(&outside(&login).await, Some("admin"));
    let login = visit(&site, "/login", &cookie(&login)).await;
    assert_saved(&outside(&login).await, Some("admin"));
    let cookie = cookie(&login);

    // The session is loaded for the first time after the save.
    let about = visit(&site, "/about", &cookie).await;
    assert_saved(&outside(&about).await, Some("admin"));
    assert_saved(&outside(&visit(&site, "/about", "").await).await, None);

    let again = visit(&site, "/about", &cookie).await;
    assert_eq!(outside(&again).await.len(), 1, "nothing of it was kept");
    assert_saved(&outside(&visit(&site, "/logout", &cookie).await).await, None);
}

#[tokio::test]
async fn over_another_requests_write_the_handle_reads_both() {
    let store = MemoryStore::default();
    let other = site(store.clone());
    let cookie = cookie(&visit(&other, "/login", "").await);
    for renewed in [false, true] {
        let other = other.clone();
        let overtaken = service_fn(move |request: Request<String>| {
            let other = other.clone();
            async move {
                let session = Session::of(&request).await.expect("a session");
                let cookie = request.headers()[header::COOKIE].to_str().expect("ASCII");
                visit(&other, "/language", cookie).await;
                session.insert("theme", "dark").expect("a theme");
                if renewed {
                    session.renew();
                }
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        let layer = layer(store.clone(), keys()).clock(now).build().expect("a layer");
        let site = layer.layer(BoxCloneSyncService::new(overtaken));
        let response = visit(&site, "/", &cookie).await;
        assert_eq!(response.status(), 200);
        let session = outside(&response).await;
        assert_eq!(session.keys(), ["language", "theme", "username"], "renewed: {renewed}");
    }
}

#[tokio::test]
async fn a_task_that_goes_on_after_the_answer_reads_what_was_saved_and_changes_nothing() {
    let (give, mut given) = tokio::sync::mpsc::unbounded_channel();
    let spawning = service_fn(move |request: Request<String>| {
        let give = give.clone();
        async move {
            let lazy = LazySession::of(&request).expect("a layer");
            let (answered, wait) = oneshot::channel::<()>();
            let task = tokio::spawn(async move {
                let _ = wait.await;
                lazy.load().await.expect("a session")
            });
            let _ = give.send((answered, task));
            views(request).await
        }
    });
    let layer = layer(MemoryStore::default(), keys())
        .clock(now)
        .build()
        .expect("a layer");
    let site = layer.layer(BoxCloneSyncService::new(spawning));
    let mut jar = String::new();
    for path in ["/login", "/about", "/login", "/about"] {
        let response = visit(&site, path, &jar).await;
        if response.headers().contains_key(header::SET_COOKIE) {
            jar = cookie(&response);
        }
        let (answered, task) = given.recv().await.expect("a task");
        let _ = answered.send(());
        assert_saved(&task.await.expect("a session"), Some("admin"));
    }
}

/// These methods return no error, so a later `save` returns it.
#[tokio::test]
async fn what_is_done_too_late_shows_at_a_save() {
    type Change = fn(&Session);
    let done: [(&str, Change); 5] = [
        ("clear", Session::clear),
        ("renew", Session::renew),
        ("remember", |session| session.remember(Duration::from_mins(1))),
        ("remove", |session| drop(session.remove("username"))),
        ("end", Session::end),
    ];
    let site = site(MemoryStore::default());
    let login = cookie(&visit(&site, "/login", "").await);
    for (name, late) in done {
        let session = outside(&visit(&site, "/", &login).await).await;
        session.save().await.expect("nothing to save");
        late(&session);
        let error = session.save().await.expect_err(name);
        assert_eq!(error.kind(), SessionErrorKind::Saved, "{name}");
        let found = outside(&visit(&site, "/", &login).await).await;
        assert_eq!(found.keys(), ["username"], "{name}");
    }
}
