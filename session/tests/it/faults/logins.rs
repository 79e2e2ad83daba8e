//! A login over a session keeps what other requests write meanwhile, but nothing that may belong to another user.

use dev::proxy::Fault;

use super::World;

#[tokio::test]
async fn a_login_takes_over_what_was_written_while_it_replaced_the_session() {
    for held in ["PutItem", "UpdateItem"] {
        let (world, site, cookie) = World::logged_in().await;
        let gate = world.proxy.hold(held);
        let login = site.start("/login?admin", Some(&cookie));
        gate.arrived().await;
        let other = world.site();
        other.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
        other.visit("/set?colour=blue", Some(&cookie)).await.assert_done();
        gate.release();
        let new = login.await.expect("an answer").issued();
        assert_eq!(site.view(&new).await, "colour=blue theme=dark username=admin", "{held}");
        assert_eq!(site.view(&cookie).await, "", "{held}");
    }
}

#[tokio::test]
async fn a_login_takes_over_what_was_written_while_it_was_taking_over() {
    let (world, site, cookie) = World::logged_in().await;
    let writer = world.site();
    let tombstone = world.proxy.hold("UpdateItem");
    let login = site.start("/login?admin", Some(&cookie));
    tombstone.arrived().await;
    writer.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let taking_over = world.proxy.hold("UpdateItem");
    tombstone.release();
    taking_over.arrived().await;
    writer.visit("/set?colour=blue", Some(&cookie)).await.assert_done();
    taking_over.release();
    let new = login.await.expect("an answer").issued();
    assert_eq!(site.view(&new).await, "colour=blue theme=dark username=admin");
}

#[tokio::test]
async fn a_login_under_another_name_takes_nothing_over() {
    let (world, site, cookie) = World::logged_in().await;
    let gate = world.proxy.hold("UpdateItem");
    let login = site.start("/login?other", Some(&cookie));
    gate.arrived().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    gate.release();
    let new = login.await.expect("an answer").issued();
    assert_eq!(site.view(&new).await, "username=other");
}

/// Another login starts from the state that this one has read last, as after a double click, although writes came
/// between. After two of them this login waits and reads again.
#[tokio::test]
async fn a_login_that_another_one_overtook_from_the_state_that_it_had_read_last_is_good_too() {
    let (world, site, cookie) = World::logged_in().await;
    let writer = world.site();
    let first = world.proxy.hold("UpdateItem");
    let login = site.start("/login?admin", Some(&cookie));
    first.arrived().await;
    writer.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    // The login writes to its new session what was written meanwhile.
    world.proxy.once("UpdateItem", Fault::Pass);
    let second = world.proxy.hold("UpdateItem");
    first.release();
    second.arrived().await;
    writer.visit("/set?colour=blue", Some(&cookie)).await.assert_done();
    let look = world.proxy.hold("GetItem");
    second.release();
    look.arrived().await;
    let other = writer.login("admin", Some(&cookie)).await;
    look.release();
    let new = login.await.expect("an answer").issued();
    for cookie in [&other, &new] {
        assert_eq!(site.view(cookie).await, "colour=blue theme=dark username=admin");
    }
}

#[tokio::test]
async fn a_login_that_a_write_and_another_login_overtook_is_told_so() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let second = site.start("/login?admin", Some(&cookie));
    held.arrived().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let first = site.login("admin", Some(&cookie)).await;
    held.release();
    second.await.expect("an answer").assert_refused(409);
    assert_eq!(site.view(&first).await, "theme=dark username=admin");
}

/// Anybody who has planted an ID before a login gets nothing of what the login made of the session.
#[tokio::test]
async fn what_a_login_overtook_learns_nothing_of_it() {
    for slow in ["/renew", "/renew?theme=dark", "/login?other"] {
        let world = World::new().await;
        let site = world.site();
        let planted = site.visit("/set?planted=yes", None).await.issued();
        let held = world.proxy.hold("UpdateItem");
        let overtaken = site.start(slow, Some(&planted));
        held.arrived().await;
        let victim = world.site().login("victim", Some(&planted)).await;
        world.site().visit("/set?role=admin", Some(&victim)).await.assert_done();
        held.release();
        let overtaken = overtaken.await.expect("an answer");
        if let Some(cookie) = &overtaken.cookie {
            let found = site.view(cookie).await;
            assert!(!found.contains("victim") && !found.contains("role"), "{slow}: {found}");
        } else {
            overtaken.assert_refused(409);
        }
    }
}

/// A write that changed nothing when it was made does not undo what another request has written since.
#[tokio::test]
async fn a_login_that_writes_equal_values_keeps_what_another_request_wrote_meanwhile() {
    for (login, written, found) in [
        ("/login?admin", "/set?username=root", "theme=dark username=root"),
        ("/login?admin", "/set?theme=light", "theme=light username=admin"),
        ("/renew?theme=dark", "/set?theme=light", "theme=light username=admin"),
        ("/renew?theme=dark", "/pop?theme", "username=admin"),
        (
            "/renew?colour=blue",
            "/set?theme=light",
            "colour=blue theme=light username=admin",
        ),
    ] {
        for held in ["PutItem", "UpdateItem"] {
            let (world, site, cookie) = World::logged_in().await;
            site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
            let gate = world.proxy.hold(held);
            let login_answer = site.start(login, Some(&cookie));
            gate.arrived().await;
            world.site().visit(written, Some(&cookie)).await.assert_done();
            gate.release();
            let new = login_answer.await.expect("an answer").issued();
            assert_eq!(site.view(&new).await, found, "{login} {written} {held}");
        }
    }
}

#[tokio::test]
async fn a_login_after_an_end_in_one_request_begins_a_new_session() {
    let world = World::new().await;
    let site = world.site();
    for before in [None, Some("/log-in?alice"), Some("/set?basket=tea")] {
        let old = match before {
            Some(path) => Some(site.visit(path, None).await.issued()),
            None => None,
        };
        for path in ["/end-and-log-in?bob", "/end-log-in-and-save?bob"] {
            let new = site.visit(path, old.as_deref()).await.issued();
            let owner = site.visit("/owner", Some(&new)).await;
            assert_eq!(owner.body, "bob", "{before:?} {path}");
            let found = site.view(&new).await;
            let expected = if path.contains("save") {
                "after=saved"
            } else {
                "_flashes= theme=dark"
            };
            assert_eq!(found, expected, "{before:?} {path}");
            if let Some(old) = &old {
                assert_ne!(*old, new);
                assert_eq!(site.view(old).await, "", "the old session has ended");
            }
        }
    }
}

#[tokio::test]
async fn a_login_of_another_owner_finds_nothing_of_the_one_before() {
    let world = World::new().await;
    let site = world.site();
    let alice = site.visit("/log-in?alice", None).await.issued();
    site.visit("/both?role=admin&theme=light", Some(&alice))
        .await
        .assert_done();
    site.visit("/flash?welcome", Some(&alice)).await.assert_done();
    site.visit("/increment?logins", Some(&alice)).await.assert_done();
    let again = site.visit("/log-in?alice", Some(&alice)).await.issued();
    assert_eq!(site.view(&again).await, "_flashes= logins=1 role=admin theme=light");

    // What the request itself writes stays, and is computed from nothing of the other's.
    let bob = site.visit("/set-and-log-in?bob=dark", Some(&again)).await.issued();
    assert_eq!(site.view(&bob).await, "logins=1 theme=dark");
    assert_eq!(site.visit("/owner", Some(&bob)).await.body, "bob");
    assert_eq!(site.view(&again).await, "");
}

/// The other's session changes while the login is under way.
#[tokio::test]
async fn what_another_owner_writes_during_a_login_does_not_get_into_the_new_session() {
    let world = World::new().await;
    let site = world.site();
    let alice = site.visit("/log-in?alice", None).await.issued();
    let held = world.proxy.hold("UpdateItem");
    let login = site.start("/log-in?bob", Some(&alice));
    held.arrived().await;
    site.visit("/set?role=admin", Some(&alice)).await.assert_done();
    held.release();
    let bob = login.await.expect("an answer").issued();
    assert_eq!(site.view(&bob).await, "");
}

#[tokio::test]
async fn a_basket_without_an_owner_is_kept_over_a_login() {
    let world = World::new().await;
    let site = world.site();
    let basket = site.visit("/set?basket=tea", None).await.issued();
    let alice = site.visit("/log-in?alice", Some(&basket)).await.issued();
    assert_eq!(site.view(&alice).await, "basket=tea");
}
