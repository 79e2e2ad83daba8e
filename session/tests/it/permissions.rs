//! The examples with users in `SQLite`: a login form, a change of the password, and pages for those who have a
//! permission.

use std::sync::Arc;

use dev::program::Program;
use dev::visitor::{Visitor, assert_redirect, assert_refused};

use crate::support::example;

const PASSWORD: &str = "correct horse battery staple";
const ANOTHER: &str = "another correct horse battery";

async fn visitors<const N: usize>(name: &str) -> [Visitor; N] {
    let program = Arc::new(Program::server(example(name), None, &[]).await);
    [(); N].map(|()| Visitor::of(&program))
}

/// Submits the login form.
async fn log_in(visitor: &mut Visitor, name: &str, password: &str, next: &str) -> dev::lambda::Answer {
    let form = [("name", name), ("password", password), ("next", next)];
    visitor.post("/login", &form).await
}

#[tokio::test]
async fn a_login_goes_on_to_the_page_that_was_asked_for_and_a_logout_ends_it() {
    for name in ["sqlite", "permissions"] {
        let [mut visitor] = visitors(name).await;
        assert_redirect(&visitor.get("/").await, "/login?next=/");
        assert_eq!(visitor.get("/elsewhere").await.status, 404);
        let form = visitor.get("/login?next=/?a=1").await;
        assert!(form.body.contains("name=\"next\" value=\"/?a=1\""), "{form:?}");
        let wrong = log_in(&mut visitor, "ferris", "hunter42", "/?a=1").await;
        assert_refused(&wrong, 401, "The name or the password is wrong.");
        assert!(wrong.body.contains("value=\"ferris\"") && wrong.body.contains("value=\"/?a=1\""));
        assert!(!wrong.body.contains("hunter42"), "{wrong:?}");
        let unknown = log_in(&mut visitor, "mallory", PASSWORD, "").await;
        assert_refused(&unknown, 401, "The name or the password is wrong.");

        assert_redirect(&log_in(&mut visitor, "ferris", PASSWORD, "/?a=1").await, "/?a=1");
        let page = visitor.get("/").await;
        assert!(page.body.contains("You are logged in as ferris."), "{page:?}");
        assert_eq!(visitor.who().await.as_deref(), Some("ferris"));
        assert!(!visitor.get("/").await.body.contains("You are logged in as"), "once");
        let mut copy = visitor.clone();
        assert_redirect(&visitor.post("/logout", &[]).await, "/login");
        assert_redirect(&copy.get("/").await, "/login?next=/");
        assert_redirect(&log_in(&mut visitor, "admin", PASSWORD, "//evil.example").await, "/");
    }
}

#[tokio::test]
async fn who_may_not_gets_403_and_who_is_not_logged_in_the_login_page() {
    let [mut ferris, mut admin] = visitors("permissions").await;
    assert_redirect(&ferris.get("/restricted").await, "/login?next=/restricted");
    assert_redirect(
        &log_in(&mut ferris, "ferris", PASSWORD, "/restricted").await,
        "/restricted",
    );
    assert_refused(&ferris.get("/restricted").await, 403, "you may not do this");
    assert!(ferris.get("/").await.body.contains("protected.read"));
    assert_redirect(
        &log_in(&mut admin, "admin", PASSWORD, "/restricted").await,
        "/restricted",
    );
    assert!(admin.get("/restricted").await.body.contains("restricted.read"));
    assert!(admin.get("/").await.body.contains("protected.read"));
}

#[tokio::test]
async fn a_change_of_the_password_ends_the_sessions_of_before_by_the_stamp() {
    let [mut laptop, mut phone, mut admin] = visitors("sqlite").await;
    for (visitor, name) in [(&mut laptop, "ferris"), (&mut phone, "ferris"), (&mut admin, "admin")] {
        assert_redirect(&log_in(visitor, name, PASSWORD, "").await, "/");
    }
    let stranger = phone.clone();
    let change = |current, new| [("current", current), ("new", new)];
    let wrong = phone.post("/password", &change("wrong", ANOTHER)).await;
    assert_refused(&wrong, 403, "The current password is wrong.");
    assert_eq!(laptop.who().await.as_deref(), Some("ferris"));

    let before = laptop.clone();
    assert_redirect(&laptop.post("/password", &change(PASSWORD, ANOTHER)).await, "/");
    assert_ne!(laptop.session(), before.session(), "a new ID");
    let page = laptop.get("/").await;
    assert!(page.body.contains("all other devices are logged out"), "{page:?}");
    assert_eq!(laptop.who().await.as_deref(), Some("ferris"));
    for mut ended in [before, phone, stranger] {
        assert_redirect(&ended.get("/").await, "/login?next=/");
    }
    assert_eq!(admin.who().await.as_deref(), Some("admin"));
    let old = log_in(&mut laptop, "ferris", PASSWORD, "").await;
    assert_refused(&old, 401, "The name or the password is wrong.");
    assert_redirect(&log_in(&mut laptop, "ferris", ANOTHER, "").await, "/");
}
