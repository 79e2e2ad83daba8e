//! Several passkeys, a lost one, recovery codes, and a session that a password began.

use dev::visitor::{assert_redirect, assert_refused};

use crate::authenticator::Device;
use crate::site::{Site, account, add, begin, codes, confirm, log_in, remove};

const PASSWORD: &str = "correct horse battery staple";
const NOT_RIGHT: &str = "The number of the account is wrong";

#[tokio::test]
async fn a_lost_passkey_is_removed_and_what_it_began_ends() {
    let site = Site::new().await;
    let (mut alice, mut lost) = site.user("alice").await;
    let mut other = Device::new();
    assert_refused(&remove(&mut alice, &lost).await, 409, "This is your only passkey.");
    let options = begin(&mut alice, "/passkeys/begin", &[("label", "a key")]).await;
    assert_eq!(
        options["excludeCredentials"][0]["id"],
        lost.id(),
        "the first device makes no second passkey"
    );
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_redirect(&add(&mut alice, &mut other, "<b>key</b>").await, "/account");
    let page = account(&mut alice).await;
    assert!(
        page.body.contains("Your passkey is added.") && page.body.contains("&lt;b&gt;key&lt;/b&gt;"),
        "{page:?}"
    );

    let mut finder = site.visitor();
    assert_redirect(&log_in(&mut finder, &mut lost).await, "/");
    let mut late = site.visitor();
    let options = begin(&mut late, "/login/begin", &[]).await;
    let late_answer = lost.get(&options);
    assert_redirect(&remove(&mut alice, &lost).await, "/account");
    assert_eq!(finder.who().await, None);
    assert_refused(
        &late.post("/login", &[("credential", &late_answer)]).await,
        403,
        "This passkey cannot be used",
    );
    let page = account(&mut alice).await;
    assert!(page.body.contains("all other devices are logged out"), "{page:?}");
    assert_refused(
        &confirm(&mut alice, &mut lost).await,
        403,
        "This passkey cannot be used",
    );
    assert_redirect(&confirm(&mut alice, &mut other).await, "/account");
    assert_redirect(&log_in(&mut site.visitor(), &mut other).await, "/");
    assert_refused(&remove(&mut alice, &other).await, 409, "This is your only passkey.");
}

#[tokio::test]
async fn each_recovery_code_lets_its_user_in_once_and_the_table_has_only_hashes() {
    let site = Site::new().await;
    let (mut alice, lost) = site.user("alice").await;
    let number = site.number().await;
    let old = codes(&mut alice).await;
    let new = codes(&mut alice).await;
    assert_eq!((old.len(), new.len()), (8, 8));
    let kept = site.only_user().await.to_string();
    assert!(new.iter().all(|code| !kept.contains(code.as_str())), "{kept}");

    let mut visitor = site.visitor();
    for wrong in [&old[0], "", "0000-0000-0000-0000-0000-0000"] {
        let form = [("account", number.as_str()), ("secret", wrong)];
        assert_refused(&visitor.post("/login/recovery", &form).await, 403, NOT_RIGHT);
    }
    let typed = new[0].to_uppercase().replace('-', " ");
    let form = [("account", number.as_str()), ("secret", typed.as_str())];
    assert_redirect(&visitor.post("/login/recovery", &form).await, "/account");
    let page = account(&mut visitor).await;
    assert!(page.body.contains("You have 7 codes left."), "{page:?}");
    assert_eq!(alice.who().await, None, "whoever has the lost device");
    assert_refused(&site.visitor().post("/login/recovery", &form).await, 403, NOT_RIGHT);

    // With it the user gets a passkey for the lost one.
    let mut another = Device::new();
    assert_redirect(&add(&mut visitor, &mut another, "a new phone").await, "/account");
    assert_redirect(&remove(&mut visitor, &lost).await, "/account");
    assert_redirect(&log_in(&mut site.visitor(), &mut another).await, "/");
}

#[tokio::test]
async fn of_two_requests_with_the_same_recovery_code_one_gets_in() {
    let site = Site::new().await;
    let (mut alice, _) = site.user("alice").await;
    let number = site.number().await;
    for code in codes(&mut alice).await {
        let [mut first, mut second] = [site.visitor(), site.visitor()];
        let form = [("account", number.as_str()), ("secret", code.as_str())];
        let path = "/login/recovery";
        let (one, two) = tokio::join!(first.post(path, &form), second.post(path, &form));
        let entered = [one.status, two.status]
            .into_iter()
            .filter(|status| *status == 303)
            .count();
        assert_eq!(entered, 1, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_session_that_a_password_began_needs_a_passkey_for_the_account() {
    let site = Site::new().await;
    let (mut alice, mut device) = site.user("alice").await;
    let number = site.number().await;
    assert_refused(
        &alice.post("/password", &[("password", "short")]).await,
        400,
        "at least 15 characters",
    );
    assert_redirect(&alice.post("/password", &[("password", PASSWORD)]).await, "/account");
    let kept = site.only_user().await.to_string();
    assert!(kept.contains("$argon2id$") && !kept.contains(PASSWORD), "{kept}");

    let mut visitor = site.visitor();
    let form = [("account", number.as_str()), ("secret", PASSWORD)];
    assert_redirect(&visitor.post("/login/password", &form).await, "/");
    assert_eq!(visitor.who().await.as_deref(), Some("alice"));
    assert_redirect(&account(&mut visitor).await, "/confirm?next=/account");
    for path in [
        "/passkeys/begin",
        "/passkeys",
        "/passkeys/remove",
        "/codes",
        "/password",
    ] {
        let answer = visitor.post(path, &[("label", "mine"), ("password", PASSWORD)]).await;
        assert_refused(&answer, 401, "Please confirm with your passkey first");
        assert_eq!(answer.headers["www-confirm"], "passkey");
    }
    let options = begin(&mut visitor, "/confirm/begin", &[]).await;
    assert_eq!(options["allowCredentials"][0]["id"], device.id());
    assert_redirect(&confirm(&mut visitor, &mut device).await, "/account");
    assert_eq!(account(&mut visitor).await.status, 200);
    assert_eq!(site.counters().await, [1], "the step-up counts, too");

    // Another password ends the sessions of the old one.
    let another = "another correct horse battery";
    assert_redirect(&alice.post("/password", &[("password", another)]).await, "/account");
    assert_eq!(visitor.who().await, None);
    assert_refused(&site.visitor().post("/login/password", &form).await, 403, NOT_RIGHT);
}

#[tokio::test]
async fn a_wrong_number_and_a_wrong_secret_are_answered_alike_and_limited() {
    let site = Site::new().await;
    site.user("alice").await;
    let number = site.number().await;
    for path in ["/login/password", "/login/recovery"] {
        let mut answers = Vec::new();
        for account in [number.as_str(), "no number", "00000000-0000-4000-8000-000000000000"] {
            let mut visitor = site.visitor();
            let answer = visitor.post(path, &[("account", account), ("secret", PASSWORD)]).await;
            assert_refused(&answer, 403, NOT_RIGHT);
            answers.push(answer.body);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    let mut last = 0;
    for _ in 0..20 {
        let form = [("account", number.as_str()), ("secret", "0000")];
        last = site.visitor().post("/login/recovery", &form).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn the_attempts_for_one_account_are_limited_however_its_number_is_written() {
    let site = Site::new().await;
    site.user("alice").await;
    let number = site.number().await;
    let spellings = [
        number.clone(),
        number.to_uppercase(),
        number.replace('-', ""),
        format!("{{{number}}}"),
        format!(" urn:uuid:{number}"),
    ];
    let mut last = 0;
    for attempt in 0..=50 {
        let mut visitor = site.visitor();
        visitor.address = format!("203.0.113.{attempt}");
        let account = spellings[attempt % spellings.len()].as_str();
        let form = [("account", account), ("secret", "0000")];
        last = visitor.post("/login/recovery", &form).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_stranger_who_asks_for_what_is_not_there_is_told_that() {
    let site = Site::new().await;
    let answer = site.visitor().get("/elsewhere").await;
    assert_refused(&answer, 404, "There is nothing at this address.");
}
