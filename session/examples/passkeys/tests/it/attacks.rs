//! What an attacker sends who has no passkey of the account, or a copy, or an old answer, or another site.

use dev::visitor::{Visitor, assert_redirect, assert_refused};
use serde_json::{Value, json};

use crate::authenticator::Device;
use crate::site::{Site, account, add, begin, confirm, log_in, remove};

const NOT_BEGUN: &str = "This was not begun here";
const NOT_PROVED: &str = "This passkey cannot be used here.";

/// Checks that this login is refused, and that nobody is logged in then.
async fn assert_no_login(visitor: &mut Visitor, credential: &str, text: &str) {
    let status = if text == NOT_BEGUN { 400 } else { 403 };
    assert_refused(
        &visitor.post("/login", &[("credential", credential)]).await,
        status,
        text,
    );
    assert_eq!(visitor.who().await, None);
}

#[tokio::test]
async fn a_user_logs_in_on_another_browser_and_needs_no_name() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user(" Alice ").await;
    assert_eq!(alice.who().await.as_deref(), Some("Alice"));
    let mut another = site.visitor();
    let sent = account(&mut another).await;
    assert_redirect(&sent, "/login?next=/account");
    for (next, expected) in [("/account", "/account"), ("//evil.example", "/"), ("", "/")] {
        let options = begin(&mut another, "/login/begin", &[]).await;
        assert_eq!(options["allowCredentials"], json!([]), "the passkey says whose it is");
        let before = another.session().cloned();
        let form = [("credential", &*device.get(&options)), ("next", next)];
        assert_redirect(&another.post("/login", &form).await, expected);
        assert_ne!(another.session().cloned(), before, "a new ID");
    }
    assert_eq!(another.who().await.as_deref(), Some("Alice"));
    assert_redirect(&another.post("/logout", &[]).await, "/");
    assert_eq!((another.who().await, another.session()), (None, None));
}

#[tokio::test]
async fn a_name_that_somebody_has_is_like_any_other() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    let mut answers = Vec::new();
    for name in ["alice", "bob"] {
        let mut visitor = site.visitor();
        let mut options = begin(&mut visitor, "/signup/begin", &[("name", name)]).await;
        options["challenge"] = json!("");
        options["user"] = json!("");
        answers.push(options);
        // A login is begun without a name, and tells nothing even if one is sent.
        let mut options = begin(&mut visitor, "/login/begin", &[("name", name)]).await;
        options["challenge"] = json!("");
        assert_eq!(options["allowCredentials"], json!([]));
    }
    assert_eq!(answers[0], answers[1]);

    let (mut namesake, mut another) = site.user("alice").await;
    assert_eq!(site.users().await.len(), 2);
    for (visitor, device) in [(&mut alice, &mut device), (&mut namesake, &mut another)] {
        assert_refused(&remove(visitor, &Device::new()).await, 404, "You have no such passkey.");
        assert_redirect(&log_in(visitor, device).await, "/");
    }
    assert_ne!(device.user, another.user);
}

#[tokio::test]
async fn a_name_has_1_to_64_characters() {
    let site = Site::new().await;
    for name in ["", "   ", &"é".repeat(65)] {
        let answer = site.visitor().post("/signup/begin", &[("name", name)]).await;
        assert_refused(&answer, 400, "A name has 1 to 64 characters.");
    }
    site.user(&"é".repeat(64)).await;
}

#[tokio::test]
async fn an_answer_that_was_sent_before_is_refused() {
    let site = Site::new().await;
    let (_, mut device) = site.user("alice").await;
    let mut alice = site.visitor();
    let options = begin(&mut alice, "/login/begin", &[]).await;
    let credential = device.get(&options);
    let mut thief = alice.clone();
    assert_redirect(&alice.post("/login", &[("credential", &credential)]).await, "/");
    // In the session as it was before the login, in the one after it, and in one with a challenge of its own.
    let stale = thief.post("/login", &[("credential", &credential)]).await;
    assert_ne!(stale.status, 303, "{stale:?}");
    let again = alice.post("/login", &[("credential", &credential)]).await;
    assert_refused(&again, 400, NOT_BEGUN);
    let mut thief = site.visitor();
    assert_no_login(&mut thief, &credential, NOT_BEGUN).await;
    begin(&mut thief, "/login/begin", &[]).await;
    assert_no_login(&mut thief, &credential, NOT_PROVED).await;
    // The attempt has used that challenge up, too.
    assert_no_login(&mut thief, &credential, NOT_BEGUN).await;
}

#[tokio::test]
async fn of_two_requests_with_the_same_answer_one_logs_in() {
    let site = Site::new().await;
    let (_, mut device) = site.user("alice").await;
    // So that no answer is refused for its counter.
    device.counts = false;
    for _ in 0..8 {
        let mut first = site.visitor();
        let options = begin(&mut first, "/login/begin", &[]).await;
        let credential = device.get(&options);
        let mut second = first.clone();
        let form = [("credential", credential.as_str())];
        let (one, two) = tokio::join!(first.post("/login", &form), second.post("/login", &form));
        let entered = [one.status, two.status]
            .into_iter()
            .filter(|status| *status == 303)
            .count();
        assert_eq!(entered, 1, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_challenge_of_one_visitor_or_purpose_serves_no_other() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    let [mut first, mut second] = [site.visitor(), site.visitor()];
    let options = begin(&mut first, "/login/begin", &[]).await;
    begin(&mut second, "/login/begin", &[]).await;
    assert_no_login(&mut second, &device.get(&options), NOT_PROVED).await;

    // The challenge of the step-up does not log in, and the other way round.
    let options = begin(&mut alice, "/confirm/begin", &[]).await;
    let answer = alice.post("/login", &[("credential", &device.get(&options))]).await;
    assert_refused(&answer, 400, NOT_BEGUN);
    let options = begin(&mut alice, "/login/begin", &[]).await;
    let answer = alice.post("/confirm", &[("credential", &device.get(&options))]).await;
    assert_refused(&answer, 403, NOT_PROVED);

    // A registration is not an authentication, and the other way round.
    let options = begin(&mut first, "/login/begin", &[]).await;
    let credential = device
        .clone()
        .create(&json!({ "challenge": options["challenge"], "user": { "id": "" } }));
    assert_no_login(&mut first, &credential, NOT_PROVED).await;
    let options = begin(&mut first, "/signup/begin", &[("name", "mallory")]).await;
    let credential = device.get(&options);
    let answer = first.post("/signup", &[("credential", &credential)]).await;
    assert_refused(&answer, 403, NOT_PROVED);
    assert_eq!(site.users().await.len(), 1);
}

#[tokio::test]
async fn an_answer_from_another_sites_page_is_refused() {
    let site = Site::new().await;
    let (mut alice, device) = site.user("alice").await;
    for origin in [
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
    ] {
        let lured = Device {
            origin: origin.to_owned(),
            ..device.clone()
        };
        let mut visitor = site.visitor();
        let options = begin(&mut visitor, "/login/begin", &[]).await;
        assert_no_login(&mut visitor, &lured.clone().get(&options), NOT_PROVED).await;
        let options = begin(&mut visitor, "/signup/begin", &[("name", "bob")]).await;
        let answer = visitor
            .post("/signup", &[("credential", &lured.clone().create(&options))])
            .await;
        assert_refused(&answer, 403, NOT_PROVED);
        assert_refused(&confirm(&mut alice, &mut lured.clone()).await, 403, NOT_PROVED);
    }
    let mut elsewhere = Device {
        host: "evil.example".to_owned(),
        ..device
    };
    assert_refused(&log_in(&mut site.visitor(), &mut elsewhere).await, 403, NOT_PROVED);
    assert_eq!(site.users().await.len(), 1);

    // Another site's page cannot send the forms, either.
    for path in [
        "/login/begin",
        "/login",
        "/confirm",
        "/passkeys/remove",
        "/login/recovery",
    ] {
        alice.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
        assert_refused(&alice.post(path, &[]).await, 403, "Another site sent this.");
    }
}

#[tokio::test]
async fn a_device_that_has_not_verified_its_user_is_refused() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    device.verifies = false;
    assert_refused(&log_in(&mut site.visitor(), &mut device).await, 403, NOT_PROVED);
    assert_refused(&confirm(&mut alice, &mut device).await, 403, NOT_PROVED);
    assert_refused(
        &add(
            &mut alice,
            &mut Device {
                verifies: false,
                ..Device::new()
            },
            "a key",
        )
        .await,
        403,
        NOT_PROVED,
    );
    device.verifies = true;
    assert_redirect(&log_in(&mut site.visitor(), &mut device).await, "/");
}

#[tokio::test]
async fn another_users_passkey_opens_nothing() {
    let site = Site::new().await;
    let (mut alice, device) = site.user("alice").await;
    let (_, mut bobs) = site.user("bob").await;
    assert_refused(&confirm(&mut alice, &mut bobs).await, 403, NOT_PROVED);

    // Bob's passkey that claims to be of Alice, or Alice's; and one that no user has.
    let mut of_alice = Device {
        user: device.user.clone(),
        ..bobs.clone()
    };
    let mut as_alices = Device {
        id: device.id,
        user: device.user.clone(),
        ..bobs.clone()
    };
    let mut of_nobody = Device {
        user: vec![7; 16],
        ..device.clone()
    };
    let mut of_nothing = Device {
        user: Vec::new(),
        ..device.clone()
    };
    for forged in [&mut of_alice, &mut as_alices, &mut of_nobody, &mut of_nothing] {
        forged.counter = 100;
        assert_refused(&log_in(&mut site.visitor(), forged).await, 403, NOT_PROVED);
    }

    // Bob gets Alice's credential ID registered for himself, with a key of his own. It opens his account.
    let mut bob = site.visitor();
    assert_redirect(&log_in(&mut bob, &mut bobs).await, "/");
    let mut imitation = Device {
        id: device.id,
        ..Device::new()
    };
    assert_redirect(&add(&mut bob, &mut imitation, "not mine").await, "/account");
    for (mut device, name) in [(imitation, "bob"), (device, "alice")] {
        let mut visitor = site.visitor();
        assert_redirect(&log_in(&mut visitor, &mut device).await, "/");
        assert_eq!(visitor.who().await.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn what_one_user_began_another_in_the_same_browser_does_not_finish() {
    let site = Site::new().await;
    let (mut browser, mut alices) = site.user("alice").await;
    let (_, mut bobs) = site.user("bob").await;
    let added = begin(&mut browser, "/passkeys/begin", &[("label", "a key")]).await;
    let confirmed = begin(&mut browser, "/confirm/begin", &[]).await;
    assert_redirect(&log_in(&mut browser, &mut bobs).await, "/");
    let form = [("credential", &*Device::new().create(&added))];
    assert_refused(&browser.post("/passkeys", &form).await, 400, NOT_BEGUN);
    let form = [("credential", &*alices.get(&confirmed))];
    assert_refused(&browser.post("/confirm", &form).await, 400, NOT_BEGUN);
}

#[tokio::test]
async fn a_copied_passkey_whose_counter_does_not_advance_is_refused() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    let mut copy = device.clone();
    for _ in 0..2 {
        assert_redirect(&log_in(&mut site.visitor(), &mut device).await, "/");
    }
    assert_eq!(site.counters().await, [2]);
    // The copy counts on from where it was made: 1, and 2.
    for _ in 0..2 {
        assert_refused(&log_in(&mut site.visitor(), &mut copy).await, 403, NOT_PROVED);
        assert_eq!(site.counters().await, [2]);
    }
    // Ahead of the original, the copy gets in, and then the original is refused: either shows that there are two.
    assert_redirect(&log_in(&mut site.visitor(), &mut copy).await, "/");
    assert_refused(&confirm(&mut alice, &mut device).await, 403, NOT_PROVED);
    assert_eq!(site.counters().await, [3]);
}

#[tokio::test]
async fn of_a_passkey_and_its_copy_that_log_in_at_the_same_time_one_gets_in() {
    let site = Site::new().await;
    let (_, mut device) = site.user("alice").await;
    for _ in 0..8 {
        let [mut first, mut second] = [site.visitor(), site.visitor()];
        let mut copy = device.clone();
        let (one, two) = tokio::join!(log_in(&mut first, &mut device), log_in(&mut second, &mut copy));
        let entered = [one.status, two.status]
            .into_iter()
            .filter(|status| *status == 303)
            .count();
        assert_eq!(entered, 1, "{one:?} {two:?}");
    }
    assert_eq!(site.counters().await, [8]);
}

#[tokio::test]
async fn a_passkey_without_a_counter_logs_in_again_and_again() {
    let site = Site::new().await;
    let (_, mut device) = site.user("alice").await;
    device.counts = false;
    for _ in 0..2 {
        assert_redirect(&log_in(&mut site.visitor(), &mut device).await, "/");
    }
    assert_eq!(site.counters().await, [0]);
}

#[tokio::test]
async fn what_is_not_an_answer_is_refused() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    let options = begin(&mut site.visitor(), "/login/begin", &[]).await;
    let good: Value = serde_json::from_str(&device.get(&options)).expect("JSON");
    let mut wrong = vec![String::new(), "{}".to_owned(), "null".to_owned(), "[".to_owned()];
    for field in ["clientDataJSON", "authenticatorData", "signature", "userHandle"] {
        for value in [json!(""), json!("AAAA"), json!(null), json!(7), json!("not base64!")] {
            let mut damaged = good.clone();
            damaged["response"][field] = value;
            wrong.push(damaged.to_string());
        }
    }
    for (nth, credential) in wrong.iter().enumerate() {
        // Sign-ups from one address are limited.
        let mut visitor = site.visitor().at(&format!("198.51.100.{nth}"));
        for path in ["/login", "/signup"] {
            begin(&mut visitor, &format!("{path}/begin"), &[("name", "bob")]).await;
            assert_refused(
                &visitor.post(path, &[("credential", credential)]).await,
                403,
                NOT_PROVED,
            );
        }
    }
    assert_eq!(alice.who().await.as_deref(), Some("alice"));
}
