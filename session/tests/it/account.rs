//! The account example: its whole interface over a DynamoDB that fails, without one, and in Chromium.

mod browser;
mod site;

use std::collections::BTreeMap;
use std::sync::Arc;

use dev::lambda::{Answer, Lambda};
use dev::proxy::Fault;
use serde_json::{Value, json as value};

use self::site::{PASSWORD, Site, Table, Visitor, assert_redirect, json};
use crate::support::example;

#[track_caller]
fn assert_error(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.cookies.len()), (status, 0), "{answer:?}");
    assert!(json(answer)["error"].is_string(), "{answer:?}");
}

/// Returns the handles in a list, by their labels.
fn handles(list: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let sessions = list["sessions"].as_array().expect("a list");
    let pairs = sessions
        .iter()
        .map(|session| (text(&session["label"]), text(&session["handle"])));
    pairs.collect()
}

/// Checks each row of the interface's table, in its order.
async fn every_route_answers_as_documented(site: &Arc<Site>) {
    let mut visitor = Visitor::program(site);
    assert_eq!(visitor.json("/").await, value!({ "username": null }));
    assert_eq!(visitor.json("/visits").await, value!({ "visits": 0 }));
    for number in 1..3 {
        let counted = visitor.post("/visits", &[]).await;
        assert_eq!((counted.status, json(&counted)), (200, value!({ "visits": number })));
    }
    let before = visitor.clone();
    let logged_in = visitor.log_in("alice", &[("label", "A program")]).await;
    assert!(!logged_in.cookies[0].contains("Max-Age"), "{logged_in:?}");
    assert_ne!(visitor.cookie, before.cookie, "a new ID");
    let old = before.clone().json("/visits").await;
    assert_eq!(old, value!({ "visits": 0 }), "the old ID opens nothing");
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
    assert_eq!(visitor.json("/visits").await, value!({ "visits": 2 }));

    assert_eq!(
        visitor.post("/set", &[("name", "a b"), ("value", "ä&=")]).await.status,
        204
    );
    assert_eq!(visitor.json("/get?name=a+b").await, value!({ "value": "ä&=" }));
    assert_eq!(visitor.json("/get?name=missing").await, value!({ "value": null }));
    assert_eq!(
        visitor.post("/take", &[("name", "a b")]).await.body,
        r#"{"value":"ä&="}"#
    );
    assert_eq!(
        visitor.post("/take", &[("name", "a b")]).await.body,
        r#"{"value":null}"#
    );
    let old = visitor.clone();
    assert_eq!(visitor.post("/renew", &[]).await.status, 204);
    assert_ne!(visitor.cookie, old.cookie, "a new ID");
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
    let peeked = visitor.json("/peek").await;
    assert_eq!(peeked["username"], "alice");
    assert!(
        (1..=1_800).contains(&peeked["seconds_left"].as_u64().expect("seconds")),
        "{peeked}"
    );
    assert_eq!(visitor.post("/confirm", &[("password", PASSWORD)]).await.status, 204);
    assert_error(&visitor.post("/confirm", &[("password", "wrong")]).await, 401);
    for name in ["", "_flashes", "_confirmed", "visits"] {
        let refused = visitor.post("/set", &[("name", name), ("value", "x")]).await;
        assert_error(&refused, 400);
    }
    assert_error(&visitor.post("/set", &[("name", "no value")]).await, 422);

    for fields in [&[("text", "first")][..], &[("text", "second"), ("level", "warning")]] {
        assert_redirect(&visitor.post("/flash", fields).await, "/");
    }
    let unknown = visitor.post("/flash", &[("text", "third"), ("level", "loud")]).await;
    assert_error(&unknown, 422);
    assert_eq!(
        visitor.json("/flashes").await,
        value!({ "flashes": [{ "level": "info", "text": "first" }, { "level": "warning", "text": "second" }] })
    );
    assert_eq!(visitor.json("/flashes").await, value!({ "flashes": [] }));

    let list = visitor.json("/sessions").await;
    let [session] = list["sessions"].as_array().expect("a list").as_slice() else {
        panic!("{list}")
    };
    assert_eq!(
        (&session["label"], &session["current"]),
        (&value!("A program"), &value!(true))
    );
    let time = |name: &str| session[name].as_u64().expect("seconds");
    assert!(time("created_at") <= time("last_seen") && time("last_seen") < time("expires_at"));

    let nobodys = visitor.post("/sessions/end", &[("handle", "no such handle")]).await;
    assert_error(&nobodys, 404);
    assert_redirect(&visitor.post("/sessions/end-others", &[]).await, "/sessions");
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
    assert_redirect(&visitor.post("/logout", &[]).await, "/");
    assert_eq!(visitor.cookie, None);
    assert_eq!(visitor.json("/").await, value!({ "username": null }));

    assert_error(&visitor.get("/sessions").await, 401);
    for path in ["/sessions/end", "/sessions/end-others", "/sessions/end-all"] {
        assert_error(&visitor.post(path, &[("handle", "x")]).await, 401);
    }
    assert_error(&visitor.get("/elsewhere").await, 404);
    assert_error(&visitor.get("/flash").await, 405);
}

#[tokio::test]
async fn the_function_answers_as_documented() {
    let table = Table::new().await;
    every_route_answers_as_documented(&Site::function(&table).await).await;
    assert!(sent(&table).contains("A program") && sent(&table).contains("ä&="));
}

#[tokio::test]
async fn the_function_answers_the_same_with_sealed_sessions() {
    let table = Table::new().await;
    let site = Site::function_with("SESSION_SEALED", "true", &table).await;
    every_route_answers_as_documented(&site).await;
    assert!(
        sent(&table).contains("A program"),
        "labels are shown without the cookie"
    );
    assert!(!sent(&table).contains("ä&="));
}

/// Returns all that was sent to DynamoDB.
fn sent(table: &Table) -> String {
    let calls = table.proxy.calls();
    calls.iter().map(|call| call.request.to_string()).collect()
}

#[tokio::test]
async fn the_server_answers_as_documented_with_a_table_and_without() {
    let table = Table::new().await;
    every_route_answers_as_documented(&Site::server(Some(&table)).await).await;
    every_route_answers_as_documented(&Site::server(None).await).await;
}

#[tokio::test]
async fn a_missing_key_is_named_and_the_program_ends() {
    let mut lambda = Lambda::start(example("account"), [("TABLE_NAME", "sessions")]).await;
    let exit = lambda.exit().await;
    assert!(!exit.status.success());
    assert!(exit.stderr.contains("SECRET_KEY"), "{exit:?}");
}

/// Counts 20 visits at once. Returns how many were answered with 200, how many with 503, and the number after them.
async fn count_at_once(site: &Arc<Site>) -> (u64, u64, u64) {
    let mut visitor = Visitor::program(site);
    visitor.log_in("alice", &[]).await;
    let mut tabs = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut tab = visitor.clone();
        tabs.spawn(async move { tab.post("/visits", &[]).await.status });
    }
    let statuses = tabs.join_all().await;
    let [done, unknown] = [200, 503].map(|wanted| statuses.iter().filter(|status| **status == wanted).count() as u64);
    assert_eq!((done > 0, done + unknown), (true, 20), "{statuses:?}");
    let visits = visitor.json("/visits").await["visits"].as_u64().expect("a number");
    (done, unknown, visits)
}

#[tokio::test]
async fn every_visit_of_many_at_once_counts_once() {
    let table = Table::new().await;
    for site in [Site::function(&table).await, Site::server(Some(&table)).await] {
        assert_those_count_that_were_answered(count_at_once(&site).await);
    }
    let (done, _, visits) = count_at_once(&Site::server(None).await).await;
    assert_eq!(visits, done, "in memory no reply is lost");
}

#[tokio::test]
async fn no_visit_counts_twice_where_replies_are_lost() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    table.proxy.rule(|call| match (call.operation.as_str(), call.nth % 7) {
        ("UpdateItem", 0) => Fault::DropReply,
        _ => Fault::Pass,
    });
    assert_those_count_that_were_answered(count_at_once(&site).await);
}

/// After a 503 it is unknown whether the visit is counted. A busy machine may be too slow for a reply of the table.
#[track_caller]
fn assert_those_count_that_were_answered((done, unknown, visits): (u64, u64, u64)) {
    assert!(
        (done..=done + unknown).contains(&visits),
        "{done} + {unknown}: {visits}"
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_the_same_401_and_cost_no_store_call() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    visitor.log_in("alice", &[]).await;
    let calls = table.proxy.calls().len();
    let wrong = [("username", "admin"), ("password", "correct horse")];
    let unknown = [("username", "mallory"), ("password", PASSWORD)];
    let answers = [
        visitor.post("/login", &wrong).await,
        visitor.post("/login", &unknown).await,
    ];
    for answer in &answers {
        assert_error(answer, 401);
        assert_eq!(answer.body, answers[0].body);
    }
    assert_error(&visitor.post("/login", &[]).await, 401);
    assert_eq!(table.proxy.calls().len(), calls);
    assert_eq!(
        visitor.json("/").await,
        value!({ "username": "alice" }),
        "nothing changed"
    );

    let page = visitor.with_browser().post("/login", &unknown).await;
    assert_eq!((page.status, page.cookies.len()), (401, 0), "{page:?}");
    assert!(
        page.body.contains("value=\"mallory\"") && page.body.contains("is wrong"),
        "{page:?}"
    );
    assert!(
        !page.body.contains("value=\"correct"),
        "the password is not shown: {page:?}"
    );
}

#[tokio::test]
async fn another_person_finds_nothing_of_the_one_before() {
    let site = Site::server(None).await;
    let mut visitor = Visitor::program(&site);
    visitor.post("/visits", &[]).await;
    visitor.log_in("alice", &[]).await;
    visitor.log_in("alice", &[]).await;
    assert_eq!(
        visitor.json("/visits").await,
        value!({ "visits": 1 }),
        "the same person again"
    );
    visitor.log_in("admin", &[]).await;
    assert_eq!(visitor.json("/visits").await, value!({ "visits": 0 }));
    assert_eq!(visitor.json("/").await, value!({ "username": "admin" }));
}

#[tokio::test]
async fn a_login_whose_reply_is_lost_logs_in_once() {
    for operation in ["PutItem", "UpdateItem"] {
        let table = Table::new().await;
        let site = Site::function(&table).await;
        let mut visitor = Visitor::program(&site);
        table.proxy.once(operation, Fault::DropReply);
        visitor.log_in("alice", &[]).await;
        assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
        let list = visitor.json("/sessions").await;
        assert_eq!(
            list["sessions"].as_array().map(Vec::len),
            Some(1),
            "{operation}: {list}"
        );
    }
}

#[tokio::test]
async fn an_outage_is_503_and_nobody_is_logged_out_by_it() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    visitor.log_in("alice", &[]).await;
    table.proxy.rule(|_| Fault::Error(500, "InternalServerError"));
    let refused = visitor.get("/").await;
    assert_error(&refused, 503);
    let page = visitor.with_browser().get("/").await;
    for answer in [&refused, &page] {
        assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "5"));
    }
    assert!(page.body.contains("<h1>Please try again</h1>"), "{page:?}");
    let form = visitor.with_browser().post("/login", &[("username", "alice")]).await;
    assert_eq!(form.status, 401, "what needs no store works");
    table.proxy.pass_everything();
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
}

#[tokio::test]
async fn a_visit_that_a_logout_overtakes_is_409() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    visitor.log_in("alice", &[]).await;
    for browser in [false, true] {
        visitor.log_in("alice", &[]).await;
        let mut slow = if browser {
            visitor.with_browser()
        } else {
            visitor.clone()
        };
        let gate = table.proxy.hold("UpdateItem");
        let counted = tokio::spawn(async move { slow.post("/visits", &[]).await });
        gate.arrived().await;
        visitor.post("/logout", &[]).await;
        gate.release();
        let counted = counted.await.expect("an answer");
        if browser {
            assert_eq!((counted.status, counted.cookies.len()), (409, 0), "{counted:?}");
            assert!(counted.body.contains("<h1>Session ended</h1>"), "{counted:?}");
        } else {
            assert_error(&counted, 409);
        }
    }
}

#[tokio::test]
async fn what_the_table_cannot_hold_is_413() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    visitor.post("/visits", &[]).await;
    let large = "x".repeat(420_000);
    assert_error(&visitor.post("/set", &[("name", "a"), ("value", &large)]).await, 413);
    assert_error(&visitor.post("/flash", &[("text", &large)]).await, 413);
    assert_error(&visitor.post("/set", &[("name", &large), ("value", "x")]).await, 400);
    assert_eq!(visitor.json("/visits").await, value!({ "visits": 1 }));

    // A label is cut, and at a character.
    assert_redirect(
        &visitor
            .log_in("alice", &[("label", &format!("x{}", "é".repeat(300)))])
            .await,
        "/",
    );
    let list = visitor.json("/sessions").await;
    assert_eq!(list["sessions"][0]["label"], format!("x{}", "é".repeat(127)));
}

#[tokio::test]
async fn one_device_ends_another_and_nobody_elses() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let [mut laptop, mut phone, mut admin] = [(); 3].map(|()| Visitor::program(&site));
    laptop.log_in("alice", &[("label", " Laptop ")]).await;
    phone.log_in("alice", &[]).await;
    admin.log_in("admin", &[("label", "Office")]).await;
    let list = laptop.json("/sessions").await;
    for session in list["sessions"].as_array().expect("a list") {
        assert_eq!(session["current"], session["label"] == "Laptop", "{list}");
    }
    let devices = handles(&list);
    let labels: Vec<_> = devices.keys().map(String::as_str).collect();
    assert_eq!(labels, ["Firefox on Linux", "Laptop"]);

    let office = &handles(&admin.json("/sessions").await)["Office"];
    assert_error(&laptop.post("/sessions/end", &[("handle", office)]).await, 404);
    assert_eq!(admin.json("/").await, value!({ "username": "admin" }));

    let handle = &devices["Firefox on Linux"];
    assert_redirect(&laptop.post("/sessions/end", &[("handle", handle)]).await, "/sessions");
    assert_eq!(phone.json("/").await, value!({ "username": null }));
    assert_error(&laptop.post("/sessions/end", &[("handle", handle)]).await, 404);

    phone.log_in("alice", &[]).await;
    assert_redirect(&laptop.post("/sessions/end-others", &[]).await, "/sessions");
    assert_eq!(phone.json("/").await, value!({ "username": null }));
    assert_eq!(laptop.json("/").await, value!({ "username": "alice" }));

    let own = &handles(&laptop.json("/sessions").await)["Laptop"];
    assert_redirect(&laptop.clone().post("/sessions/end", &[("handle", own)]).await, "/");
    assert_eq!(laptop.json("/").await, value!({ "username": null }));

    laptop.log_in("alice", &[]).await;
    phone.log_in("alice", &[]).await;
    assert_redirect(&laptop.post("/sessions/end-all", &[]).await, "/");
    assert_eq!(laptop.cookie, None);
    assert_eq!(phone.json("/").await, value!({ "username": null }));
    assert_eq!(admin.json("/").await, value!({ "username": "admin" }));
}

#[tokio::test]
async fn a_stolen_session_without_the_password_ends_no_session_after_ten_minutes() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let [mut laptop, mut phone] = [(); 2].map(|()| Visitor::program(&site));
    laptop.log_in("alice", &[("label", "Laptop")]).await;
    phone.log_in("alice", &[("label", "Phone")]).await;
    let handle = handles(&laptop.json("/sessions").await)["Phone"].clone();
    table.age_proofs(600);
    let mut thief = laptop.clone();
    for proof in [None, Some("wrong")] {
        if let Some(wrong) = proof {
            assert_error(&thief.post("/confirm", &[("password", wrong)]).await, 401);
        }
        for path in ["/sessions/end", "/sessions/end-others", "/sessions/end-all"] {
            let refused = thief.post(path, &[("handle", &handle)]).await;
            assert_error(&refused, 401);
            assert_eq!(refused.headers["www-confirm"], "password", "{refused:?}");
            let person = thief.with_browser().post(path, &[("handle", &handle)]).await;
            assert_redirect(&person, "/confirm");
        }
    }
    assert_eq!(phone.json("/").await, value!({ "username": "alice" }));

    // The user gives the password, and the thief's copy of the session is not confirmed along with it.
    assert_eq!(laptop.post("/confirm", &[("password", PASSWORD)]).await.status, 204);
    assert_error(&thief.post("/sessions/end-others", &[]).await, 401);
    assert_eq!(thief.json("/").await, value!({ "username": null }));
    assert_redirect(&laptop.post("/sessions/end-others", &[]).await, "/sessions");
    assert_eq!(phone.json("/").await, value!({ "username": null }));
    assert_redirect(&laptop.post("/sessions/end-all", &[]).await, "/");
    assert_eq!(laptop.json("/").await, value!({ "username": null }));
}

#[tokio::test]
async fn who_is_remembered_gets_a_lasting_cookie_once() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    let answer = visitor.log_in("alice", &[("remember", "on")]).await;
    assert_eq!(answer.cookies[0].matches("Max-Age=2592000").count(), 1, "{answer:?}");
    // `json` checks that no cookie is set.
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
    let list = visitor.json("/sessions").await;
    let session = &list["sessions"][0];
    let time = |name: &str| session[name].as_u64().expect("seconds");
    assert_eq!(time("expires_at") - time("created_at"), 30 * 24 * 60 * 60);
    assert!(visitor.post("/visits", &[]).await.cookies.is_empty());
}

#[tokio::test]
async fn a_message_is_shown_to_one_of_two_at_once() {
    let table = Table::new().await;
    let site = Site::function(&table).await;
    let mut visitor = Visitor::program(&site);
    visitor.log_in("alice", &[]).await;
    visitor.post("/flash", &[("text", "hello")]).await;
    let [mut one, mut other] = [visitor.clone(), visitor.clone()];
    let (one, other) = tokio::join!(one.json("/flashes"), other.json("/flashes"));
    let mut both = [one, other];
    both.sort_by_key(|flashes| std::cmp::Reverse(flashes.to_string().len()));
    assert_eq!(
        both,
        [
            value!({ "flashes": [{ "level": "info", "text": "hello" }] }),
            value!({ "flashes": [] })
        ]
    );

    visitor.post("/flash", &[("text", "<b>&")]).await;
    visitor.json("/").await;
    let mut browser = visitor.with_browser();
    let page = browser.get("/").await;
    assert!(page.body.contains(">&lt;b&gt;&amp;</p>"), "{page:?}");
    assert!(!browser.get("/").await.body.contains("&lt;b&gt;"));
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let site = Site::server(None).await;
    let mut visitor = Visitor::program(&site);
    visitor.log_in("alice", &[]).await;
    let mut tricked = visitor.clone();
    tricked.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    for path in ["/login", "/logout", "/visits", "/set", "/flash", "/sessions/end-all"] {
        assert_error(&tricked.post(path, &[]).await, 403);
    }
    tricked.headers = vec![("origin", site.address().to_owned())];
    assert_eq!(
        tricked.post("/visits", &[]).await.status,
        200,
        "without `Sec-Fetch-Site`"
    );
    assert_eq!(visitor.json("/").await, value!({ "username": "alice" }));
    assert_eq!(visitor.json("/visits").await, value!({ "visits": 1 }));
}
