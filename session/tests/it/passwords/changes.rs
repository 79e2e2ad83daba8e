//! Changes of password, and the requests that overlap with them.

use dev::dynamodb::table;
use dev::proxy::{Fault, Gate};
use dev::visitor::{assert_redirect, assert_refused};

use super::site::{ANOTHER, PASSWORD, Site, WRONG};
use super::{LIMITED_TEXT, WRONG_TEXT};

#[tokio::test]
async fn a_change_of_password_logs_out_everywhere_else() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    let change = |current, new| [("current", current), ("new", new)];
    assert_refused(
        &laptop.post("/password", &change(WRONG, ANOTHER)).await,
        403,
        "The current password is wrong.",
    );
    assert_refused(
        &laptop.post("/password", &change(PASSWORD, "short")).await,
        400,
        "at least 15",
    );
    assert_eq!(phone.who().await.as_deref(), Some("alice"), "nothing has changed");

    let before = laptop.clone();
    assert_redirect(&laptop.post("/password", &change(PASSWORD, ANOTHER)).await, "/account");
    assert_ne!(laptop.session(), before.session(), "a new ID");
    assert!(laptop.get("/account").await.body.contains("Your password is changed"));
    assert_eq!(laptop.who().await.as_deref(), Some("alice"));
    assert_eq!(before.clone().who().await, None, "the old ID opens nothing");
    assert_eq!(phone.who().await, None);
    let mut stranger = site.visitor();
    assert_refused(&stranger.log_in("alice", PASSWORD).await, 401, WRONG_TEXT);
    assert_redirect(&stranger.log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn a_login_with_the_old_password_does_not_outlive_a_change_that_it_overlaps() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let [verified, late] = [site.visitor(), site.visitor()];
    // The password is verified, and then the write that enters the login into the user's list is delayed.
    let gate = hold_lists(&site);
    let mut slow = verified.clone();
    let login = tokio::spawn(async move {
        let answer = slow.log_in("alice", PASSWORD).await;
        (answer, slow)
    });
    gate.arrived().await;
    site.tables.proxy.pass_everything();
    let changed = user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await;
    assert_redirect(&changed, "/account");
    gate.release();
    let (answer, mut slow) = login.await.expect("an answer");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!((slow.who().await, slow.session()), (None, None));

    // The list already names the session when the change ends all sessions.
    let mut late_one = late.clone();
    let gate = site.tables.proxy.hold("PutItem");
    let login = tokio::spawn(async move {
        let answer = late_one.log_in("alice", ANOTHER).await;
        (answer, late_one)
    });
    gate.arrived().await;
    let changed = user.post("/password", &[("current", ANOTHER), ("new", PASSWORD)]).await;
    assert_redirect(&changed, "/account");
    gate.release();
    let (answer, mut late_one) = login.await.expect("an answer");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(late_one.who().await, None);
    assert_eq!(user.who().await.as_deref(), Some("alice"));
}

/// Holds the writes that enter a login into the user's list.
fn hold_lists(site: &Site) -> Gate {
    let gate = Gate::new();
    let held = gate.clone();
    site.tables.proxy.rule(move |call| {
        let is_list = call.request["TableName"] == table::NAME
            && call.operation == "UpdateItem"
            && call.request["Key"]["id"]["S"]
                .as_str()
                .is_some_and(|id| !id.starts_with("attempts:"));
        if is_list {
            Fault::Hold(held.clone())
        } else {
            Fault::Pass
        }
    });
    gate
}

#[tokio::test]
async fn a_sign_up_does_not_outlive_a_change_of_password_that_it_overlaps() {
    let site = Site::new().await;
    let [mut slow, mut other] = [site.visitor(), site.visitor()];
    let gate = hold_lists(&site);
    let sign_up = tokio::spawn(async move {
        let form = [("username", "alice"), ("password", PASSWORD)];
        let answer = slow.post("/signup", &form).await;
        (answer, slow)
    });
    gate.arrived().await;
    site.tables.proxy.pass_everything();
    assert_redirect(&other.log_in("alice", PASSWORD).await, "/");
    let changed = other
        .post("/password", &[("current", PASSWORD), ("new", ANOTHER)])
        .await;
    assert_redirect(&changed, "/account");
    gate.release();
    let (answer, mut slow) = sign_up.await.expect("an answer");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!((slow.who().await, slow.session()), (None, None));
    assert_eq!(other.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn after_a_change_of_password_only_the_browser_that_made_it_is_known() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let mut thief = site.visitor();
    assert_redirect(&thief.log_in("alice", PASSWORD).await, "/");
    let changed = user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await;
    assert_redirect(&changed, "/account");
    user.post("/logout", &[]).await;
    // Uses up all attempts that strangers have at this address.
    let mut stranger = site.visitor();
    for _ in 0..=20 {
        stranger.log_in("nobody", WRONG).await;
    }
    assert!(thief.jar.contains_key("__Host-device"));
    assert_refused(&thief.log_in("alice", ANOTHER).await, 429, LIMITED_TEXT);
    assert_redirect(&user.log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let mut other = site.visitor();
    other.log_in("alice", PASSWORD).await;
    let gate = site.tables.proxy.hold("GetItem");
    let slow = tokio::spawn(async move {
        let change = [("current", PASSWORD), ("new", "a password that loses")];
        other.post("/password", &change).await
    });
    gate.arrived().await;
    let won = user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await;
    assert_redirect(&won, "/account");
    gate.release();
    assert_ne!(slow.await.expect("an answer").status, 303);
    assert_redirect(&site.visitor().log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn what_lost_its_reply_was_done_once() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    site.tables.proxy.once("PutItem", Fault::DropReply);
    let form = [("username", "alice"), ("password", PASSWORD)];
    assert_redirect(&visitor.post("/signup", &form).await, "/");
    assert_eq!(visitor.who().await.as_deref(), Some("alice"));
    // The second `UpdateItem` of a change writes the user; the first counts the attempt.
    let mut seen = 0;
    site.tables.proxy.rule(move |call| {
        seen += usize::from(call.operation == "UpdateItem");
        if call.operation == "UpdateItem" && seen <= 3 {
            Fault::DropReply
        } else {
            Fault::Pass
        }
    });
    let change = [("current", PASSWORD), ("new", ANOTHER)];
    assert_redirect(&visitor.post("/password", &change).await, "/account");
    site.tables.proxy.pass_everything();
    assert_redirect(&site.visitor().log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn a_change_that_could_not_end_the_other_sessions_says_so() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    let mut user_changed = false;
    site.tables.proxy.rule(move |call| {
        if user_changed {
            return Fault::Error(500, "InternalServerError");
        }
        user_changed = call.operation == "UpdateItem" && call.request["TableName"] != table::NAME;
        Fault::Pass
    });
    let change = [("current", PASSWORD), ("new", ANOTHER)];
    let answer = laptop.post("/password", &change).await;
    assert_refused(&answer, 503, "Your password is changed.");
    site.tables.proxy.pass_everything();
    assert_eq!(phone.who().await.as_deref(), Some("alice"));
    let again = [("current", ANOTHER), ("new", PASSWORD)];
    assert_redirect(&laptop.post("/password", &again).await, "/account");
    assert_eq!(phone.who().await, None);
}

#[tokio::test]
async fn a_change_that_may_have_been_made_ends_the_other_sessions_and_says_so() {
    let site = Site::new().await;
    let [mut laptop, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    site.tables.proxy.rule(|call| {
        if call.operation == "UpdateItem" && call.request["TableName"] != table::NAME {
            Fault::DropReply
        } else {
            Fault::Pass
        }
    });
    let change = [("current", PASSWORD), ("new", ANOTHER)];
    let answer = laptop.post("/password", &change).await;
    assert_refused(&answer, 503, "may or may not have been changed");
    site.tables.proxy.pass_everything();
    assert_eq!(phone.who().await, None);
    assert_eq!(laptop.who().await.as_deref(), Some("alice"));
    assert_redirect(&site.visitor().log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn a_change_during_which_the_session_ends_does_not_say_that_nothing_was_saved() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let mut tab = user.clone();
    let gate = Gate::new();
    let held = gate.clone();
    site.tables.proxy.rule(move |call| {
        if call.operation == "UpdateItem" && call.request["TableName"] != table::NAME {
            Fault::Hold(held.clone())
        } else {
            Fault::Pass
        }
    });
    let change = tokio::spawn(async move { user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await });
    gate.arrived().await;
    site.tables.proxy.pass_everything();
    assert_redirect(&tab.post("/logout", &[]).await, "/");
    gate.release();
    let answer = change.await.expect("an answer");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("may or may not have been saved"), "{answer:?}");
    assert_redirect(&site.visitor().log_in("alice", ANOTHER).await, "/");
}

#[tokio::test]
async fn wrong_passwords_in_a_stolen_session_do_not_keep_the_user_from_changing_it() {
    let site = Site::new().await;
    let [mut user, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    let mut thief = phone.clone();
    let change = |current, new| [("current", current), ("new", new)];
    for _ in 0..5 {
        assert_eq!(thief.post("/password", &change(WRONG, ANOTHER)).await.status, 403);
        assert_eq!(thief.post("/confirm", &[("password", WRONG)]).await.status, 401);
    }
    let guesses = [
        thief.post("/password", &change(PASSWORD, ANOTHER)).await,
        thief.post("/confirm", &[("password", PASSWORD)]).await,
    ];
    for guess in &guesses {
        assert_refused(guess, 429, LIMITED_TEXT);
    }
    assert_redirect(&user.post("/password", &change(PASSWORD, ANOTHER)).await, "/account");
    assert_eq!((thief.who().await, phone.who().await), (None, None));
}

#[tokio::test]
async fn a_change_whose_own_session_cannot_be_replaced_ends_all_of_them() {
    let site = Site::new().await;
    let [mut user, mut phone] = [site.user("alice").await, site.visitor()];
    phone.log_in("alice", PASSWORD).await;
    let mut copy = user.clone();
    // The write that creates the new session.
    let refused = Fault::Error(400, "AccessDeniedException");
    site.tables.proxy.once("PutItem", refused);
    let changed = user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await;
    assert_eq!(changed.status, 500, "{changed:?}");
    for visitor in [&mut user, &mut phone, &mut copy] {
        assert_eq!(visitor.who().await, None);
    }
    assert_redirect(&user.log_in("alice", ANOTHER).await, "/");
}

/// Otherwise somebody with a copy of the cookie could renew the session after the list was read.
#[tokio::test]
async fn the_session_of_a_change_is_replaced_before_the_others_end() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let before = site.tables.proxy.calls().len();
    let changed = user.post("/password", &[("current", PASSWORD), ("new", ANOTHER)]).await;
    assert_redirect(&changed, "/account");
    let calls = site.tables.proxy.calls().split_off(before);
    let of_sessions = calls.iter().filter(|call| call.request["TableName"] == table::NAME);
    let operations: Vec<_> = of_sessions.map(|call| call.operation.as_str()).collect();
    let created = operations
        .iter()
        .position(|operation| *operation == "PutItem")
        .expect("the new session");
    let listed = operations
        .iter()
        .rposition(|operation| *operation == "GetItem")
        .expect("the list");
    assert!(created < listed, "{operations:?}");
}
