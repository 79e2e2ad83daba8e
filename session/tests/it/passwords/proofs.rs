//! The password that is given again, and sessions without it.

use dev::lambda::Answer;
use dev::visitor::{assert_redirect, assert_refused};
use tokio::task::JoinSet;

use super::LIMITED_TEXT;
use super::site::{ANOTHER, PASSWORD, Site, WRONG};

const TEN_MINUTES: u64 = 10 * 60;
const WRONG_TEXT: &str = "The password is wrong.";

/// Checks that a request is refused until the password has been given again.
#[track_caller]
fn assert_unconfirmed(answer: &Answer) {
    assert_eq!((answer.status, answer.cookies.len()), (401, 0), "{answer:?}");
    assert_eq!(answer.headers["www-confirm"], "password", "{answer:?}");
}

#[tokio::test]
async fn a_stolen_session_without_the_password_ends_no_other_device_and_changes_no_password() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    site.tables.age_proofs(TEN_MINUTES);
    let mut thief = laptop.clone();
    assert_redirect(&thief.get("/sessions").await, "/confirm?next=/sessions");
    assert_unconfirmed(&thief.post("/sessions/end-others", &[]).await);
    assert_refused(&thief.post("/confirm", &[("password", WRONG)]).await, 401, WRONG_TEXT);
    assert_refused(&thief.post("/confirm", &[]).await, 401, WRONG_TEXT);
    assert_unconfirmed(&thief.post("/sessions/end-others", &[]).await);
    let change = [("current", WRONG), ("new", ANOTHER)];
    assert_eq!(thief.post("/password", &change).await.status, 403);
    assert_eq!(phone.who().await.as_deref(), Some("alice"));

    // The user gives the password, and the thief's copy of the session is not confirmed along with it.
    let form = laptop.get("/confirm?next=/sessions").await;
    assert!(form.body.contains("name=\"next\" value=\"/sessions\""), "{form:?}");
    let proof = [("password", PASSWORD), ("next", "/sessions")];
    assert_redirect(&laptop.post("/confirm", &proof).await, "/sessions");
    assert_ne!(laptop.session(), thief.session(), "a new ID");
    assert_eq!(thief.post("/sessions/end-others", &[]).await.status, 401);
    assert_eq!(thief.who().await, None);
    let page = laptop.get("/sessions").await;
    assert!(page.body.contains("on <b>2</b> devices"), "{page:?}");
    assert_redirect(&laptop.post("/sessions/end-others", &[]).await, "/sessions");
    let page = laptop.get("/sessions").await;
    assert!(page.body.contains("All other devices are logged out."), "{page:?}");
    assert!(page.body.contains("on <b>1</b> device."), "{page:?}");
    assert_eq!(phone.who().await, None);
    assert_eq!(laptop.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_login_and_a_change_of_the_password_prove_it_for_ten_minutes() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    site.tables.age_proofs(TEN_MINUTES / 2);
    assert_eq!(user.get("/sessions").await.status, 200);
    site.tables.age_proofs(TEN_MINUTES / 2);
    assert_redirect(&user.get("/sessions").await, "/confirm?next=/sessions");
    let change = [("current", PASSWORD), ("new", ANOTHER)];
    assert_redirect(&user.post("/password", &change).await, "/account");
    assert_eq!(user.get("/sessions").await.status, 200);
    site.tables.age_proofs(TEN_MINUTES);
    assert_redirect(&user.log_in("alice", ANOTHER).await, "/");
    assert_eq!(user.get("/sessions").await.status, 200);
}

#[tokio::test]
async fn the_password_of_another_user_proves_nothing() {
    let site = Site::new().await;
    let mut alice = site.user("alice").await;
    let bob = [("username", "bob"), ("password", ANOTHER)];
    assert_redirect(&site.visitor().post("/signup", &bob).await, "/");
    site.tables.age_proofs(TEN_MINUTES);
    let with_a_name = [("username", "bob"), ("password", ANOTHER)];
    assert_refused(&alice.post("/confirm", &with_a_name).await, 401, WRONG_TEXT);
    assert_unconfirmed(&alice.post("/sessions/end-others", &[]).await);
}

#[tokio::test]
async fn a_proof_is_for_whoever_is_logged_in_and_leads_to_no_other_site() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    assert_redirect(&visitor.get("/confirm").await, "/login?next=/confirm");
    assert_redirect(&visitor.get("/sessions").await, "/login?next=/sessions");
    assert_eq!(visitor.post("/confirm", &[("password", PASSWORD)]).await.status, 401);
    let mut user = site.user("alice").await;
    for (next, expected) in [("//evil.example", "/account"), ("", "/account"), ("/", "/")] {
        let proof = [("password", PASSWORD), ("next", next)];
        assert_redirect(&user.post("/confirm", &proof).await, expected);
    }
    let mut tricked = user.clone();
    tricked.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    for path in ["/confirm", "/sessions/end-others"] {
        let answer = tricked.post(path, &[("password", PASSWORD)]).await;
        assert_refused(&answer, 403, "Another site sent this.");
    }
}

#[tokio::test]
async fn of_many_guesses_at_once_in_a_stolen_session_at_most_ten_are_let_through() {
    let site = Site::new().await;
    let thief = site.user("alice").await;
    let mut tries = JoinSet::new();
    for _ in 0..15 {
        let mut thief = thief.clone();
        tries.spawn(async move { thief.post("/confirm", &[("password", WRONG)]).await.status });
    }
    let statuses = tries.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(401) + count(429), 15, "{statuses:?}");
    // Fewer get through if the reply to a count was lost, as on a machine that is too busy to answer.
    assert!((1..=10).contains(&count(401)), "{statuses:?}");
    let right = thief.clone().post("/confirm", &[("password", PASSWORD)]).await;
    assert_refused(&right, 429, LIMITED_TEXT);
}

#[tokio::test]
async fn a_proof_by_the_old_password_does_not_outlive_a_change_that_it_overlaps() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    // The write of the session's new record.
    let gate = site.tables.proxy.hold("PutItem");
    let proof = tokio::spawn(async move {
        let answer = phone.post("/confirm", &[("password", PASSWORD)]).await;
        (answer, phone)
    });
    gate.arrived().await;
    let change = [("current", PASSWORD), ("new", ANOTHER)];
    assert_redirect(&laptop.post("/password", &change).await, "/account");
    gate.release();
    let (answer, mut phone) = proof.await.expect("an answer");
    assert_ne!(answer.status, 303, "{answer:?}");
    assert_eq!(phone.who().await, None);
    assert_eq!(laptop.who().await.as_deref(), Some("alice"));
}
