//! Proofs that the provider gives again, and those that it does not give.

use dev::lambda::Answer;
use dev::visitor::{Visitor, assert_redirect, assert_refused};
use serde_json::{Value, json};

use crate::fake::now;
use crate::site::{Begun, Site, begin, with};

const AGAIN: &str = "/login?again=true&next=/sessions";
const NOT_ASKED: &str = "did not ask you again who you are";

impl Site {
    /// The address to which the browser comes back with a token that says when `subject` has proved it.
    fn proved(&self, begun: &Begun, code: &str, subject: &str, auth_time: Value) -> String {
        let claims = with(self.provider.claims(subject, &begun.nonce), "auth_time", auth_time);
        self.answer(begun, code, Some(self.provider.sign(&claims)))
    }

    /// A visitor who is logged in as Alice by a session at the provider that is an hour old.
    async fn alice(&self, code: &str) -> Visitor {
        let mut alice = self.visitor();
        let begun = begin(&mut alice, "/login").await;
        let back = self.proved(&begun, code, "alice", json!(now() - 3_600));
        assert_redirect(&alice.get(&back).await, "/");
        alice
    }
}

/// Checks that a request is refused until the user has proved it again.
#[track_caller]
fn assert_unconfirmed(answer: &Answer) {
    assert_eq!((answer.status, answer.cookies.len()), (401, 0), "{answer:?}");
    assert_eq!(answer.headers["www-confirm"], "provider", "{answer:?}");
}

#[tokio::test]
async fn who_has_not_proved_it_lately_ends_no_other_device_and_the_provider_asks_again() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.alice("laptop").await, site.alice("phone").await];
    let mut thief = laptop.clone();
    assert_redirect(&thief.get("/sessions").await, AGAIN);
    assert_unconfirmed(&thief.post("/sessions/end-others", &[]).await);
    assert_eq!(phone.who().await.as_deref(), Some("alice"));

    let begun = begin(&mut laptop, AGAIN).await;
    assert_eq!(
        (begun.max_age.as_str(), begun.prompt.as_deref()),
        ("540", Some("login"))
    );
    let back = site.proved(&begun, "again", "alice", json!(now()));
    assert_redirect(&laptop.get(&back).await, "/sessions");
    assert_eq!(thief.who().await, None, "a copy of the session opens nothing");
    let page = laptop.get("/sessions").await;
    assert!(page.body.contains("on <b>2</b> devices"), "{page:?}");
    assert_redirect(&laptop.post("/sessions/end-others", &[]).await, "/sessions");
    assert_eq!(phone.who().await, None);
    assert_eq!(laptop.who().await.as_deref(), Some("alice"));

    site.table.age_proofs(600);
    assert_redirect(&laptop.get("/sessions").await, AGAIN);
    assert_unconfirmed(&laptop.post("/sessions/end-others", &[]).await);
}

#[tokio::test]
async fn a_provider_that_does_not_ask_again_proves_nothing() {
    let site = Site::new().await;
    let mut user = site.alice("login").await;
    let times = [
        json!(now() - 600),
        json!(now() - 3_600),
        json!(0),
        json!(-1),
        Value::Null,
    ];
    for (n, time) in times.into_iter().enumerate() {
        let begun = begin(&mut user, AGAIN).await;
        let back = site.proved(&begun, &format!("again-{n}"), "alice", time.clone());
        assert_refused(&user.get(&back).await, 403, NOT_ASKED);
        assert_refused(&user.get(&back).await, 400, "was not begun here");
        assert_eq!(user.who().await.as_deref(), Some("alice"), "{time}");
        assert_unconfirmed(&user.post("/sessions/end-others", &[]).await);
    }
    // A visitor removes what makes the provider ask: a login without it, by a session that is old at the provider.
    let begun = begin(&mut user, "/login?next=/sessions").await;
    let back = site.proved(&begun, "without", "alice", json!(now() - 3_600));
    assert_redirect(&user.get(&back).await, "/sessions");
    assert_unconfirmed(&user.post("/sessions/end-others", &[]).await);
}

#[tokio::test]
async fn a_login_by_a_proof_that_is_older_than_the_provider_was_asked_for_is_refused() {
    let site = Site::new().await;
    let mut user = site.visitor();
    let hour = 60 * 60;
    for (n, age, is_refused) in [(0, 12 * hour, true), (1, 100 * hour, true), (2, 11 * hour, false)] {
        let begun = begin(&mut user, "/login").await;
        assert_eq!((begun.max_age.as_str(), begun.prompt.as_deref()), ("43140", None));
        let back = site.proved(&begun, &format!("login-{n}"), "alice", json!(now() - age));
        let answer = user.get(&back).await;
        if is_refused {
            assert_refused(&answer, 403, NOT_ASKED);
            assert_eq!(user.who().await, None);
        } else {
            assert_redirect(&answer, "/");
            assert_eq!(user.who().await.as_deref(), Some("alice"));
        }
    }
}

#[tokio::test]
async fn a_login_at_a_provider_that_says_no_time_is_a_login_and_no_proof() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    assert_eq!(user.who().await.as_deref(), Some("alice"));
    assert_redirect(&user.get("/sessions").await, AGAIN);
}

#[tokio::test]
async fn a_login_that_was_proved_just_now_is_a_proof() {
    let site = Site::new().await;
    let mut user = site.visitor();
    let begun = begin(&mut user, "/login").await;
    // The provider's clock is ahead.
    let back = site.proved(&begun, "login", "alice", json!(now() + 30));
    assert_redirect(&user.get(&back).await, "/");
    assert_eq!(user.get("/sessions").await.status, 200);
    site.table.age_proofs(600);
    assert_redirect(&user.get("/sessions").await, AGAIN);
}

#[tokio::test]
async fn somebody_elses_proof_is_refused_and_changes_nothing() {
    let site = Site::new().await;
    let mut alice = site.alice("login").await;
    alice.post("/basket", &[("item", "tea")]).await;
    let begun = begin(&mut alice, AGAIN).await;
    let back = site.proved(&begun, "bob", "bob", json!(now()));
    assert_refused(&alice.get(&back).await, 403, "Somebody else has logged in");
    assert_eq!(alice.who().await.as_deref(), Some("alice"));
    assert!(alice.get("/").await.body.contains("<li>tea</li>"));
    assert_unconfirmed(&alice.post("/sessions/end-others", &[]).await);
}
