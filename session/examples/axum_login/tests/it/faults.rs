//! What can go wrong between requests, the function and DynamoDB. Calls are held to make interleavings.

use dev::proxy::{Fault, Gate};
use dev::visitor::Visitor;

use crate::site::{Site, basket_and_theme, buy, paint, who};

/// Puts tea into the basket, in a task of its own.
fn start(visitor: &Visitor) -> tokio::task::JoinHandle<u16> {
    let mut visitor = visitor.clone();
    tokio::spawn(async move { buy(&mut visitor, "tea").await })
}

#[tokio::test]
async fn two_requests_that_change_different_variables_are_both_kept() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    let held = site.table.proxy.hold("UpdateItem");
    let basket = start(&tab);
    held.arrived().await;
    assert_eq!(paint(&mut tab, "dark").await, 303);
    held.release();
    assert_eq!(basket.await.expect("an answer"), 303);
    assert_eq!(basket_and_theme(&mut tab).await, ("tea".to_owned(), "dark".to_owned()));
}

#[tokio::test]
async fn a_change_whose_reply_was_lost_is_made_once_and_undoes_no_other() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    site.table.proxy.once("UpdateItem", Fault::DropReply);
    assert_eq!(buy(&mut tab, "tea").await, 303);
    assert_eq!(paint(&mut tab, "dark").await, 303);
    assert_eq!(basket_and_theme(&mut tab).await, ("tea".to_owned(), "dark".to_owned()));
    let late = site.table.proxy.deliver_late("UpdateItem");
    assert_eq!(paint(&mut tab, "light").await, 303);
    assert_eq!(paint(&mut tab, "dark").await, 303);
    late.release();
    late.delivered().await;
    assert_eq!(basket_and_theme(&mut tab).await, ("tea".to_owned(), "dark".to_owned()));
}

#[tokio::test]
async fn a_change_that_fails_at_first_is_made_once() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    let mut bought = Vec::new();
    let faults = [
        Fault::DropReply,
        Fault::DropCall,
        Fault::Garbage,
        Fault::Error(500, "InternalServerError"),
        Fault::Error(400, "ProvisionedThroughputExceededException"),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        site.table.proxy.once("UpdateItem", fault.clone());
        bought.push(number.to_string());
        assert_eq!(buy(&mut tab, &number.to_string()).await, 303, "{fault:?}");
        assert_eq!(basket_and_theme(&mut tab).await.0, bought.join(", "), "{fault:?}");
    }
}

#[tokio::test]
async fn a_change_whose_reply_was_lost_is_not_made_again_over_a_newer_one() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    let again = Gate::new();
    let (gate, mut updates) = (again.clone(), 0);
    site.table.proxy.rule(move |call| {
        updates += u32::from(call.operation == "UpdateItem");
        match (call.operation.as_str(), updates) {
            ("UpdateItem", 1) => Fault::DropReply,
            ("UpdateItem", 2) => Fault::Hold(gate.clone()),
            _ => Fault::Pass,
        }
    });
    let first = start(&tab);
    again.arrived().await;
    assert_eq!(basket_and_theme(&mut tab).await.0, "tea");
    assert_eq!(buy(&mut tab, "cake").await, 303);
    again.release();
    assert_eq!(first.await.expect("an answer"), 303);
    assert_eq!(basket_and_theme(&mut tab).await.0, "tea, cake");
}

#[tokio::test]
async fn a_session_that_is_too_large_is_refused_and_stays_as_it_was() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    assert_eq!(paint(&mut tab, "dark").await, 303);
    assert_eq!(paint(&mut tab, &"x".repeat(17_000)).await, 500);
    assert_eq!(who(&mut tab).await.as_deref(), Some("alice"));
    assert_eq!(basket_and_theme(&mut tab).await.1, "dark");
}

#[tokio::test]
async fn a_login_whose_reply_was_lost_makes_one_session() {
    let site = Site::new().await;
    site.table.proxy.once("PutItem", Fault::DropReply);
    site.user("alice").await;
    let items = site.items().await;
    let records = items.iter().filter(|item| item.contains_key("owner")).count();
    assert_eq!(records, 1, "{items:?}");
}

#[tokio::test]
async fn no_write_revives_a_session_that_was_logged_out() {
    let site = Site::new().await;
    let late_login = site.table.proxy.deliver_late("PutItem");
    let mut tab = site.user("alice").await;
    let mut thief = tab.clone();
    let late = site.table.proxy.deliver_late("UpdateItem");
    assert_eq!(paint(&mut tab, "dark").await, 303);
    let held = site.table.proxy.hold("UpdateItem");
    let basket = start(&tab);
    held.arrived().await;
    assert_eq!(tab.post("/logout", &[]).await.status, 303);
    assert_eq!(tab.session(), None);
    held.release();
    assert_eq!(basket.await.expect("an answer"), 500);
    for late in [late, late_login] {
        late.release();
        late.delivered().await;
    }
    assert_eq!(who(&mut thief).await, None);
    assert_eq!(basket_and_theme(&mut thief).await, (String::new(), String::new()));
}

#[tokio::test]
async fn log_out_everywhere_ends_all_sessions_of_the_user_and_a_login_on_its_way() {
    let site = Site::new().await;
    let (mut phone, mut laptop, mut other) = (
        site.user("alice").await,
        site.user("alice").await,
        site.user("admin").await,
    );
    let mut late = site.visitor();
    let held = site.table.proxy.hold("PutItem");
    let login = tokio::spawn(async move {
        let answer = late.log_in("alice", "correct horse battery staple").await;
        (answer.status, late)
    });
    held.arrived().await;
    assert_eq!(phone.clone().post("/logout-everywhere", &[]).await.status, 303);
    held.release();
    let (status, late) = login.await.expect("an answer");
    assert_eq!((status, late.session()), (500, None));
    for tab in [&mut phone, &mut laptop] {
        assert_eq!(who(tab).await, None);
    }
    assert_eq!(who(&mut other).await.as_deref(), Some("admin"));
    let again = site.user("alice").await;
    assert!(again.session().is_some());
}

#[tokio::test]
async fn a_login_whose_user_could_not_be_enlisted_hands_out_no_cookie() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    // The first is that of the ID which the login replaces, the second the list's.
    let mut updates = 0;
    site.table.proxy.rule(move |call| {
        updates += u32::from(call.operation == "UpdateItem");
        match (call.operation.as_str(), updates) {
            ("UpdateItem", 2..) => Fault::DropCall,
            _ => Fault::Pass,
        }
    });
    let answer = visitor.log_in("alice", "correct horse battery staple").await;
    assert_eq!((answer.status, visitor.session()), (500, None), "{answer:?}");
    assert!(site.items().await.iter().all(|item| !item.contains_key("owner")));
}

#[tokio::test]
async fn an_expired_session_opens_nothing_and_no_write_under_way_revives_it() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    let held = site.table.proxy.hold("UpdateItem");
    let basket = start(&tab);
    held.arrived().await;
    site.expire().await;
    held.release();
    assert_eq!(basket.await.expect("an answer"), 500);
    assert_eq!(who(&mut tab).await, None);
    assert_eq!(basket_and_theme(&mut tab).await.0, "");
}

#[tokio::test]
async fn an_outage_is_an_error_and_logs_nobody_out() {
    let site = Site::new().await;
    let mut tab = site.user("alice").await;
    site.table.proxy.rule(|_| Fault::DropCall);
    let answer = tab.get("/").await;
    assert_eq!((answer.status, answer.cookies.len()), (500, 0), "{answer:?}");
    assert_eq!(buy(&mut tab, "tea").await, 500);
    site.table.proxy.pass_everything();
    assert_eq!(who(&mut tab).await.as_deref(), Some("alice"));
}
