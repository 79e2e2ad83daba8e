//! Saves in the middle of a request.

use std::convert::Infallible;

use dev::proxy::Fault;
use http::{Request, Response};
use lambda_session::Session;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::World;
use crate::support::own_table::number;
use crate::support::site::{keys, layer};

#[tokio::test]
async fn what_is_saved_in_the_middle_is_there_whatever_becomes_of_the_request() {
    let (world, site, cookie) = World::logged_in().await;
    let sessions = layer(world.store(), keys()).build().expect("a layer");
    let interrupted = sessions.layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        session.insert("order", "paid").expect("a small value");
        session.save().await.expect("saved");
        std::future::pending::<Result<Response<String>, Infallible>>().await
    }));
    let request = Request::builder()
        .header("cookie", &cookie)
        .body(String::new())
        .expect("a request");
    let mut running = Box::pin(interrupted.oneshot(request));
    while world
        .proxy
        .calls()
        .iter()
        .filter(|call| call.operation == "UpdateItem" && call.status.is_some())
        .count()
        == 0
    {
        tokio::select! {
            _ = &mut running => unreachable!("it never answers"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(running);
    assert_eq!(site.view(&cookie).await, "order=paid username=admin");
}

#[tokio::test]
async fn what_is_done_after_it_is_saved_too_and_each_once() {
    let (world, site, cookie) = World::logged_in().await;
    let (answer, calls) = world.cost(site.visit("/save-and-set?theme=dark", Some(&cookie))).await;
    answer.assert_done();
    assert_eq!(answer.body, "after=1 theme=dark username=admin");
    assert_eq!(calls, ["GetItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(site.view(&cookie).await, "after=1 theme=dark username=admin");
    assert_eq!(world.only_item().await["revision"], number(2));
}

#[tokio::test]
async fn a_save_with_nothing_after_it_costs_nothing_more() {
    let (world, site, cookie) = World::logged_in().await;
    let (answer, calls) = world.cost(site.visit("/save?theme=dark", Some(&cookie))).await;
    answer.assert_done();
    assert_eq!(calls, ["GetItem", "UpdateItem"]);
}

#[tokio::test]
async fn the_cookie_of_a_session_that_began_in_the_middle_leaves_with_the_answer() {
    let world = World::new().await;
    let site = world.site();
    let (answer, calls) = world.cost(site.visit("/save-and-set?theme=dark", None)).await;
    assert_eq!(calls, ["PutItem", "UpdateItem"]);
    let cookie = answer.issued();
    assert_eq!(site.view(&cookie).await, "after=1 theme=dark");
}

#[tokio::test]
async fn a_login_that_is_saved_in_the_middle_has_its_handle() {
    let (world, site, cookie) = World::logged_in().await;
    let answer = site.visit("/login-and-save?admin", Some(&cookie)).await;
    let handle = answer.body.clone();
    let new = answer.issued();
    assert!(site.visit("/handle", Some(&new)).await.body.contains(&handle));
    assert_eq!(site.view(&cookie).await, "", "the old ID is dead");
    drop(world);
}

#[tokio::test]
async fn what_is_set_after_a_save_that_left_nothing_begins_a_session() {
    for fault in [Fault::Pass, Fault::DropReply] {
        let world = World::new().await;
        let site = world.site();
        let old = site.visit("/set?color=red", None).await.issued();
        world.proxy.once("UpdateItem", fault);
        let new = site.visit("/clear-save-and-set?theme=dark", Some(&old)).await.issued();
        assert_eq!(
            (site.view(&new).await, site.view(&old).await),
            ("theme=dark".to_owned(), String::new())
        );
    }
}

#[tokio::test]
async fn a_logout_after_a_save_ends_what_was_saved() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/save-and-end?theme=dark", Some(&cookie))
        .await
        .assert_logged_out();
    assert_eq!(site.view(&cookie).await, "");
    // Nobody has the cookie of a session that began in the same request.
    site.visit("/save-and-end?theme=dark", None).await.assert_logged_out();
    let items = world.table.items().await;
    assert!(items.iter().all(|item| item.contains_key("ended")), "{items:?}");
}

/// A handler refuses a login after its save, for example because the password has changed meanwhile. The store fails,
/// so the session cannot be ended.
#[tokio::test]
async fn a_session_that_began_and_could_not_be_ended_has_no_cookie() {
    let world = World::new().await;
    world.spoil("UpdateItem", || Fault::DropCall);
    let answer = world.site().visit("/save-and-end?theme=dark", None).await;
    answer.assert_refused(503);
    assert_eq!(world.table.items().await.len(), 1, "it exists, and nobody has its ID");
}

#[tokio::test]
async fn a_failed_save_fails_the_request_even_if_the_view_goes_on() {
    let (world, site, cookie) = World::logged_in().await;
    world.spoil("UpdateItem", || Fault::DropCall);
    let answer = site.visit("/save-and-ignore?theme=dark", Some(&cookie)).await;
    answer.assert_refused(503);
    world.proxy.pass_everything();
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn a_save_that_finds_its_session_gone_is_told_so() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let saving = site.start("/save?theme=dark", Some(&cookie));
    held.arrived().await;
    world.site().visit("/logout", Some(&cookie)).await.assert_logged_out();
    held.release();
    saving.await.expect("an answer").assert_refused(409);
}

#[tokio::test]
async fn a_save_that_the_handler_drops_fails_the_request() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let sessions = layer(world.store(), keys()).build().expect("a layer");
    let impatient = sessions.layer(service_fn(move |request: Request<String>| {
        let held = held.clone();
        async move {
            let session = Session::of(&request).await.expect("a session");
            session.insert("theme", "dark").expect("a small value");
            tokio::select! {
                saved = session.save() => panic!("it is held: {saved:?}"),
                () = held.arrived() => {}
            }
            Ok::<_, Infallible>(Response::new("all is well".to_owned()))
        }
    }));
    let request = Request::builder()
        .header("cookie", &cookie)
        .body(String::new())
        .expect("a request");
    let answer = impatient.oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), 503, "{answer:?}");
    world.proxy.pass_everything();
    drop(site);
}
