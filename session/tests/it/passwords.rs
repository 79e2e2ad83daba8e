//! The passwords example over a DynamoDB that fails, without one, and in Chromium.

mod browser;
mod changes;
mod doors;
mod proofs;
mod site;

use std::collections::BTreeSet;
use std::sync::Arc;

use dev::lambda::Lambda;
use dev::program::Program;
use dev::proxy::Fault;
use dev::visitor::{Visitor, assert_redirect, assert_refused};
use tokio::task::JoinSet;

use self::site::{ANOTHER, PASSWORD, Site, WRONG};
use crate::support::{SECRET_KEY, example};

const WRONG_TEXT: &str = "The username or the password is wrong.";
const LIMITED_TEXT: &str = "That was tried too often.";

#[tokio::test]
async fn a_basket_has_at_most_twenty_items_of_a_hundred_characters() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let long = "x".repeat(101);
    assert_eq!(visitor.post("/basket", &[("item", &long)]).await.status, 400);
    for number in 0..=20 {
        let item = format!("item {number} {}", &long[..80]);
        assert_redirect(&visitor.post("/basket", &[("item", &item)]).await, "/");
    }
    let page = visitor.get("/").await.body;
    assert_eq!(page.matches("<li>item ").count(), 20, "{page}");
    assert!(!page.contains("item 0 ") && page.contains("item 20 "), "{page}");
}

#[tokio::test]
async fn a_basket_is_kept_over_the_login_and_not_over_another_persons() {
    let site = Site::new().await;
    let in_memory = Arc::new(Program::server(example("passwords"), None, &[]).await);
    for mut visitor in [site.visitor(), Visitor::of(&in_memory)] {
        assert_redirect(&visitor.post("/basket", &[("item", "tea & milk")]).await, "/");
        let before = visitor.clone();
        let signed_up = visitor
            .post("/signup", &[("username", " Alice "), ("password", PASSWORD)])
            .await;
        assert_redirect(&signed_up, "/");
        assert_ne!(visitor.session(), before.session(), "a new ID");
        assert_eq!(before.clone().who().await, None, "the old ID opens nothing");
        assert_eq!(visitor.who().await.as_deref(), Some("alice"));
        assert!(visitor.get("/").await.body.contains("<li>tea &amp; milk</li>"));

        let mut bob = visitor.clone();
        bob.post("/signup", &[("username", "bob"), ("password", PASSWORD)])
            .await;
        assert_eq!(bob.who().await.as_deref(), Some("bob"));
        assert!(!bob.get("/").await.body.contains("tea"));

        assert_redirect(&bob.post("/logout", &[]).await, "/");
        assert_eq!((bob.who().await, bob.session()), (None, None));
        bob.post("/basket", &[("item", "bread")]).await;
        let remembered = [("username", "alice"), ("password", PASSWORD), ("remember", "on")];
        let remembered = bob.post("/login", &remembered).await;
        assert_redirect(&remembered, "/");
        let lasting = remembered
            .cookies
            .iter()
            .any(|cookie| cookie.contains("Max-Age=2592000"));
        assert!(lasting, "{remembered:?}");
        assert!(bob.get("/").await.body.contains("<li>bread</li>"));
    }
}

#[tokio::test]
async fn a_login_goes_on_to_the_page_that_was_asked_for_and_to_no_other_site() {
    let site = Site::new().await;
    site.user("alice").await;
    let mut visitor = site.visitor();
    let sent = visitor.get("/account").await;
    assert_redirect(&sent, "/login?next=/account");
    let form = visitor.get("/login?next=/account").await;
    assert!(form.body.contains("name=\"next\" value=\"/account\""), "{form:?}");
    for (next, expected) in [("/account", "/account"), ("//evil.example", "/"), ("", "/")] {
        let form = [("username", "alice"), ("password", PASSWORD), ("next", next)];
        assert_redirect(&visitor.post("/login", &form).await, expected);
    }
    assert_refused(
        &site.visitor().post("/password", &[]).await,
        401,
        "Please log in first.",
    );
}

#[tokio::test]
async fn a_hash_is_kept_and_nothing_that_was_typed_is_logged() {
    let site = Site::with(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")]).await;
    let mut user = site.user("alice").await;
    user.log_in("alice", WRONG).await;
    user.log_in("no name at all!", WRONG).await;
    let users = site.users().await;
    let hash = users[0]["password"].as_s().expect("a text");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    site.user("bob").await;
    let users = site.users().await;
    let hashes: BTreeSet<_> = users.iter().filter_map(|user| user["password"].as_s().ok()).collect();
    assert_eq!(hashes.len(), 2, "each has a salt");

    site.tables
        .proxy
        .once("GetItem", Fault::Error(400, "AccessDeniedException"));
    assert_eq!(user.get("/").await.status, 500);

    let cookie = user.session().expect("a session");
    let (id, mac) = cookie.split_once('.').expect("an ID and a MAC");
    let secrets = ["horse", "alice", "no name", id, mac].map(str::to_owned);
    drop(user);
    let Some(Program::Function(mut function)) = Arc::into_inner(site.function) else {
        panic!("somebody uses the function")
    };
    let exit = function.kill().await;
    for secret in secrets {
        assert!(
            !exit.stdout.contains(&secret) && !exit.stderr.contains(&secret),
            "{secret} in {exit:?}"
        );
    }
    assert!(
        exit.stdout.contains("store failure"),
        "the library's events are logged: {exit:?}"
    );
}

#[tokio::test]
async fn a_password_is_the_same_however_a_keyboard_spells_it() {
    let (composed, decomposed) = (
        "crème brûlée à la carte",
        "cre\u{300}me bru\u{302}le\u{301}e a\u{300} la carte",
    );
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let form = [("username", "alice"), ("password", decomposed)];
    assert_redirect(&visitor.post("/signup", &form).await, "/");
    for spelled in [composed, decomposed] {
        assert_redirect(&site.visitor().log_in("alice", spelled).await, "/");
    }
    assert_refused(
        &site.visitor().log_in("alice", "creme brulee a la carte").await,
        401,
        WRONG_TEXT,
    );
    let change = [("current", composed), ("new", PASSWORD)];
    assert_redirect(&visitor.post("/password", &change).await, "/account");
}

#[tokio::test]
async fn what_is_easy_to_guess_or_taken_is_refused() {
    let site = Site::new().await;
    site.user("alice").await;
    let mut visitor = site.visitor();
    let short = "at least 15 characters";
    for (name, password, status, text) in [
        ("bob", "fourteen chars", 400, short),
        ("bobbobbobbobbob", "BobBobBobBobBob1", 400, "more than your name"),
        ("", PASSWORD, 400, "A name has"),
        ("b o b", PASSWORD, 400, "A name has"),
        ("böb", PASSWORD, 400, "A name has"),
        ("ALICE", ANOTHER, 409, "Somebody has that name already."),
    ] {
        let answer = visitor
            .post("/signup", &[("username", name), ("password", password)])
            .await;
        assert_refused(&answer, status, text);
    }
    assert_eq!(site.users().await.len(), 1);
    assert_redirect(&visitor.log_in("alice", PASSWORD).await, "/");
    let long = "x".repeat(5_000);
    let too_long = visitor.log_in("alice", &long).await;
    assert_refused(&too_long, 413, "too much");
    let twice = visitor.get("/login?next=/&next=/").await;
    assert_refused(&twice, 400, "<p>A field is missing or damaged.</p>");
    let not_that_way = visitor.get("/logout").await;
    assert_refused(&not_that_way, 405, "<p>This address cannot be used that way.</p>");
    assert_eq!(not_that_way.headers["allow"], "POST");
}

/// Returns the processor time that the function has used, in hundredths of a second.
#[cfg(target_os = "linux")]
fn processor_time(site: &Site) -> u64 {
    let Program::Function(function) = &*site.function else {
        panic!("a server")
    };
    let id = function.process_id().expect("a running function");
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("its status");
    // After the name, which is in parentheses, user and system time are the 14th and 15th field of the line.
    let fields: Vec<_> = status.rsplit(") ").next().expect("fields").split(' ').collect();
    let time = |index: usize| fields[index].parse::<u64>().expect("a number");
    time(11) + time(12)
}

#[tokio::test]
async fn an_unknown_name_is_answered_as_a_wrong_password_and_takes_the_same_hash() {
    let site = Site::new().await;
    site.user("alice").await;
    let wrong = site.visitor().log_in("alice", WRONG).await;
    assert_refused(&wrong, 401, WRONG_TEXT);
    for name in ["mallory", "no name at all!", ""] {
        let unknown = site.visitor().log_in(name, PASSWORD).await;
        assert_refused(&unknown, 401, WRONG_TEXT);
        let without = |page: &str, name| page.replace(&format!("name=\"username\" value=\"{name}\""), "");
        assert_eq!(without(&unknown.body, name), without(&wrong.body, "alice"));
    }
    // A busy machine stretches the clock's time, but not the processor's. A hash takes tens of times as much as the
    // rest.
    #[cfg(target_os = "linux")]
    {
        let mut spent = Vec::new();
        for name in ["alice", "mallory", "no name at all!"] {
            site.end_windows();
            let before = processor_time(&site);
            for _ in 0..16 {
                site.visitor().log_in(name, WRONG).await;
            }
            spent.push(processor_time(&site) - before);
        }
        assert!(
            spent[0] >= 16,
            "a hash takes more than a hundredth of a second: {spent:?}"
        );
        assert!(spent.iter().all(|one| *one > spent[0] / 2), "{spent:?}");
    }
}

#[tokio::test]
async fn attempts_are_limited_by_address_and_a_network_is_one() {
    let site = Site::new().await;
    site.user("alice").await;
    let mut let_through = 0;
    for n in 0.. {
        let mut guesser = site.visitor().at(&format!("2001:db8:1:2::{n:x}"));
        let answer = guesser.log_in(&format!("user-{n}"), WRONG).await;
        if answer.status != 401 {
            assert_refused(&answer, 429, LIMITED_TEXT);
            let seconds: u64 = answer.headers["retry-after"].parse().expect("seconds");
            assert!((1..=900).contains(&seconds), "{seconds}");
            break;
        }
        let_through += 1;
    }
    // Fewer get through if the reply to a count was lost, as on a machine that is too busy to answer.
    assert!((10..=20).contains(&let_through), "{let_through}");
    let mut neighbour = site.visitor().at("2001:db8:1:2:ffff::1");
    assert_refused(&neighbour.log_in("alice", PASSWORD).await, 429, LIMITED_TEXT);
    let mut elsewhere = site.visitor().at("2001:db8:1:3::1");
    assert_redirect(&elsewhere.log_in("alice", PASSWORD).await, "/");
    site.end_windows();
    assert_redirect(&neighbour.log_in("alice", PASSWORD).await, "/");
    let ends: Vec<_> = site
        .counters()
        .await
        .iter()
        .map(|item| item["expires_at"].clone())
        .collect();
    assert!(
        ends.iter().all(|ends| ends.as_n().is_ok()),
        "DynamoDB deletes them: {ends:?}"
    );
}

#[tokio::test]
async fn however_many_guess_an_account_at_once_at_most_fifty_are_let_through_and_the_user_is_not_kept_out() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let mut tries = JoinSet::new();
    for n in 0..60 {
        let mut guesser = site.visitor().at(&format!("198.51.100.{n}"));
        tries.spawn(async move { guesser.log_in("Alice", WRONG).await.status });
    }
    let statuses = tries.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(401) + count(429), 60, "{statuses:?}");
    // Fewer get through if the reply to a count was lost, as on a machine that is too busy to answer.
    assert!((30..=50).contains(&count(401)), "{statuses:?}");

    let mut stranger = site.visitor();
    assert_refused(&stranger.log_in("alice", PASSWORD).await, 429, LIMITED_TEXT);
    user.post("/logout", &[]).await;
    assert_redirect(&user.log_in("alice", PASSWORD).await, "/");
    // To another account the device is unknown. To its own account it gives a limited number of attempts.
    let mut bob = site.user("bob").await;
    assert_refused(&bob.log_in("alice", PASSWORD).await, 429, LIMITED_TEXT);
    for guess in 0.. {
        let mut thief = user.clone();
        let answer = thief.log_in("alice", WRONG).await;
        if answer.status != 401 {
            assert_refused(&answer, 429, LIMITED_TEXT);
            break;
        }
        assert!(guess < 10);
    }
    assert_eq!(site.users().await.len(), 2);
}

#[tokio::test]
async fn a_login_that_succeeds_does_not_count() {
    let site = Site::new().await;
    site.user("alice").await;
    // More attempts than may fail from one address.
    for _ in 0..25 {
        assert_redirect(&site.visitor().log_in("alice", PASSWORD).await, "/");
    }
}

#[tokio::test]
async fn no_attempt_is_let_through_where_none_can_be_counted() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    site.tables.proxy.rule(|call| match call.operation.as_str() {
        "UpdateItem" => Fault::Error(500, "InternalServerError"),
        _ => Fault::Pass,
    });
    let answer = site.visitor().log_in("alice", PASSWORD).await;
    assert_refused(&answer, 503, "cannot be done at the moment");
    assert_eq!(answer.headers["retry-after"], "5");
    site.tables.proxy.pass_everything();
    assert_eq!(user.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_missing_users_table_is_named_and_the_program_ends() {
    let environment = [("TABLE_NAME", "sessions"), ("SECRET_KEY", SECRET_KEY)];
    let exit = Lambda::start(example("passwords"), environment).await.exit().await;
    assert!(!exit.status.success());
    assert!(exit.stderr.contains("USERS_TABLE_NAME"), "{exit:?}");
}
