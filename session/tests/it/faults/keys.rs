//! A rotation of the secret key logs nobody out, and two layers with one key cannot open each other's cookies.

use lambda_session::Keys;

use super::World;
use crate::support::site::{Site, layer, now};

const OLD: &[u8] = b"the secret key before the rotation, long enough";
const NEW: &[u8] = b"the secret key after the rotation, long enough, too";

fn site(world: &World, keys: Keys) -> Site {
    Site::with(world.store(), now, keys)
}

#[tokio::test]
async fn a_cookie_signed_before_a_rotation_opens_its_session_after_it() {
    let world = World::new().await;
    let before = site(&world, Keys::new(OLD).expect("a key"));
    let cookie = before.login("admin", None).await;
    let rotated = Keys::new(NEW).and_then(|keys| keys.with_fallback(OLD)).expect("keys");
    let after = site(&world, rotated);
    assert_eq!(after.view(&cookie).await, "username=admin");
    after.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let renewed = after.login("admin", Some(&cookie)).await;

    let dropped = site(&world, Keys::new(NEW).expect("a key"));
    assert_eq!(dropped.view(&renewed).await, "theme=dark username=admin");
    let (answer, cost) = world.cost(dropped.visit("/", Some(&cookie))).await;
    assert_eq!(
        (answer.body.as_str(), cost.len()),
        ("", 0),
        "a cookie whose key is missing counts as forged"
    );
}

#[tokio::test]
async fn during_a_rotation_both_instances_serve_the_same_visitor() {
    let world = World::new().await;
    let old = site(
        &world,
        Keys::new(OLD).and_then(|keys| keys.with_fallback(NEW)).expect("keys"),
    );
    let new = site(
        &world,
        Keys::new(NEW).and_then(|keys| keys.with_fallback(OLD)).expect("keys"),
    );
    for (first, second) in [(&old, &new), (&new, &old)] {
        let cookie = first.login("admin", None).await;
        assert_eq!(second.view(&cookie).await, "username=admin");
        second.visit("/logout", Some(&cookie)).await.assert_logged_out();
        assert_eq!(first.view(&cookie).await, "");
    }
}

/// A rotation takes two deployments: after the first every instance verifies with the new key, after the second it
/// signs.
#[tokio::test]
async fn while_a_rotation_is_deployed_in_two_steps_no_instance_meets_a_cookie_it_cannot_verify() {
    let world = World::new().await;
    let signing = |key: &[u8], other: Option<&[u8]>| {
        let keys = Keys::new(key).and_then(|keys| other.map_or(Ok(keys.clone()), |other| keys.with_fallback(other)));
        site(&world, keys.expect("keys"))
    };
    let steps = [
        signing(OLD, None),
        signing(OLD, Some(NEW)),
        signing(NEW, Some(OLD)),
        signing(NEW, None),
    ];
    // During each deployment, instances of two neighbouring steps run. Before the last one, sessions of the old key
    // have ended.
    for pair in steps[..3].windows(2) {
        for (issuer, reader) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            let cookie = issuer.login("admin", None).await;
            assert_eq!(reader.view(&cookie).await, "username=admin");
            reader.visit("/logout", Some(&cookie)).await.assert_logged_out();
        }
    }
    let cookie = steps[2].login("admin", None).await;
    assert_eq!(steps[3].view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn a_cookie_of_one_layer_opens_nothing_under_anothers_name() {
    let world = World::new().await;
    let named = |name: &'static str| {
        let keys = Keys::new(OLD).expect("a key");
        Site::of(layer(world.store(), keys).clock(now).cookie_name(name))
    };
    let (shop, backoffice) = (named("__Host-shop"), named("__Host-backoffice"));
    let cookie = shop.login("admin", None).await;
    assert_eq!(shop.view(&cookie).await, "username=admin");
    let renamed = cookie.replace("__Host-shop=", "__Host-backoffice=");
    let (answer, cost) = world.cost(backoffice.visit("/", Some(&renamed))).await;
    assert_eq!((answer.body.as_str(), cost.len()), ("", 0));
}
