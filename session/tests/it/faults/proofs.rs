//! The proofs of `confirm` while the session is renewed, or goes over to another user, and when replies are lost.

use dev::proxy::Fault;

use super::World;
use super::lost_replies::overtaken_by;
use crate::support::site::{Site, now};

/// A visitor who is logged in, on one instance.
async fn owned() -> (World, Site, String) {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/log-in?admin", None).await.issued();
    (world, site, cookie)
}

async fn confirmed(site: &Site, how: &str, cookie: &str) -> String {
    site.visit(&format!("/confirmed?{how}"), Some(cookie)).await.body
}

/// What becomes of the proof, by what replaces the session.
fn fates() -> [(&'static str, String); 3] {
    let proved = now().to_string();
    [
        ("/renew", proved.clone()),
        ("/log-in?admin", proved),
        ("/log-in?other", String::new()),
    ]
}

#[tokio::test]
async fn a_proof_that_is_noted_meanwhile_goes_with_its_owner() {
    for (replace, fate) in fates() {
        // The owner's list, and the tombstone.
        for before in 0..2 {
            let (world, site, cookie) = owned().await;
            for _ in 0..before {
                world.proxy.once("UpdateItem", Fault::Pass);
            }
            let gate = world.proxy.hold("UpdateItem");
            let replacing = site.start(replace, Some(&cookie));
            gate.arrived().await;
            let other = world.site();
            other.visit("/confirm?password", Some(&cookie)).await.assert_done();
            gate.release();
            let new = replacing.await.expect("an answer").issued();
            assert_eq!(
                confirmed(&site, "password", &new).await,
                fate,
                "{replace} after {before}"
            );
            assert_eq!(
                confirmed(&site, "password", &cookie).await,
                "",
                "{replace} after {before}"
            );
        }
    }
}

#[tokio::test]
async fn a_proof_whose_reply_was_lost_is_noted_once_and_goes_with_its_owner() {
    for (replace, fate) in fates() {
        let (world, site, cookie) = owned().await;
        let (first, between) = overtaken_by(&world, &site, &cookie, "/confirm?password", &[replace]).await;
        first.assert_done();
        let new = between[0].cookie.as_deref().expect("a cookie");
        assert_eq!(confirmed(&site, "password", new).await, fate, "{replace}");
    }
}

#[tokio::test]
async fn the_session_that_comes_after_has_the_proof_or_not_whatever_reply_is_lost() {
    for (replace, fate) in fates() {
        for (operation, before) in [("PutItem", 0), ("UpdateItem", 0), ("UpdateItem", 1)] {
            for fault in [Fault::DropReply, Fault::DropCall] {
                let (world, site, cookie) = owned().await;
                site.visit("/confirm?password", Some(&cookie)).await.assert_done();
                let case = format!("{replace}, {operation} after {before}, {fault:?}");
                for _ in 0..before {
                    world.proxy.once(operation, Fault::Pass);
                }
                world.proxy.once(operation, fault);
                let new = site.visit(replace, Some(&cookie)).await.issued();
                assert_eq!(confirmed(&site, "password", &new).await, fate, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_proofs_at_once_both_are_noted() {
    for second in ["passkey", "password"] {
        let (world, site, cookie) = owned().await;
        let gate = world.proxy.hold("UpdateItem");
        let first = site.start("/confirm?password", Some(&cookie));
        gate.arrived().await;
        let other = world.site();
        let path = format!("/confirm?{second}");
        other.visit(&path, Some(&cookie)).await.assert_done();
        gate.release();
        first.await.expect("an answer").assert_done();
        for how in ["password", second] {
            assert_eq!(confirmed(&site, how, &cookie).await, now().to_string(), "{how}");
        }
    }
}
