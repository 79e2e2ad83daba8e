//! Sealing is turned on and off, and somebody changes the table.

use aws_sdk_dynamodb::types::AttributeValue;

use super::World;
use crate::support::site::{Site, keys, layer, now};

fn instance(world: &World, sealed: bool) -> Site {
    Site::of(
        layer(world.store(), keys())
            .clock(now)
            .sealed(sealed)
            .max_bytes(usize::MAX),
    )
}

async fn data(world: &World) -> std::collections::HashMap<String, AttributeValue> {
    match world.only_item().await.remove("data") {
        Some(AttributeValue::M(data)) => data,
        other => panic!("{other:?}"),
    }
}

async fn is_sealed(world: &World) -> bool {
    let values: Vec<_> = data(world).await.into_values().collect();
    let sealed = values.iter().filter(|value| value.is_b()).count();
    assert!(sealed == 0 || sealed == values.len(), "all or none: {values:?}");
    assert_eq!(world.only_item().await.contains_key("sealed"), sealed > 0);
    sealed > 0
}

#[tokio::test]
async fn a_session_from_before_is_sealed_when_it_is_next_written_and_stays_so() {
    let world = World::new().await;
    let (before, after) = (instance(&world, false), instance(&world, true));
    let cookie = before.login("admin", None).await;
    before.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    assert!(!is_sealed(&world).await);
    assert_eq!(after.view(&cookie).await, "theme=dark username=admin");
    assert!(!is_sealed(&world).await, "a view writes nothing");
    after.visit("/increment?visits", Some(&cookie)).await.assert_done();
    assert!(is_sealed(&world).await);
    // Two versions run side by side, as during a deployment.
    for (n, site) in [&before, &after, &before].into_iter().enumerate() {
        assert_eq!(
            site.view(&cookie).await,
            format!("theme=dark username=admin visits={}", n + 1)
        );
        site.visit("/increment?visits", Some(&cookie)).await.assert_done();
        assert!(is_sealed(&world).await);
    }
    before.visit("/pop?theme", Some(&cookie)).await.assert_done();
    assert_eq!(after.view(&cookie).await, "username=admin visits=4");
    world.proxy.forget_calls();
}

#[tokio::test]
async fn an_update_of_one_variable_writes_that_one() {
    let world = World::new().await;
    let site = instance(&world, true);
    let cookie = site.login("admin", None).await;
    let before = data(&world).await["username"].clone();
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let after = data(&world).await;
    assert_eq!(after["username"], before, "not even sealed anew");
    let update = world.proxy.calls().pop().expect("a call");
    assert!(
        update.request["ExpressionAttributeValues"].get(":v1").is_none(),
        "{update:?}"
    );
    // The same value is sealed once more, with a fresh nonce.
    site.visit("/pop?theme", Some(&cookie)).await.assert_done();
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    assert_ne!(data(&world).await["theme"], after["theme"]);
}

#[tokio::test]
async fn two_requests_at_once_seal_what_each_of_them_writes() {
    let world = World::new().await;
    let site = instance(&world, true);
    let cookie = site.login("admin", None).await;
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/increment?visits", Some(&cookie));
    held.arrived().await;
    instance(&world, true)
        .visit("/increment?visits", Some(&cookie))
        .await
        .assert_done();
    held.release();
    slow.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin visits=2");
    site.visit("/many?200=x", Some(&cookie)).await.assert_done();
    assert!(site.view(&cookie).await.contains("variable number 199=x"));
    assert!(is_sealed(&world).await);
}

#[tokio::test]
async fn a_login_seals_anew_under_the_new_id_and_the_owner_too() {
    let world = World::new().await;
    let site = instance(&world, true);
    let cookie = site.visit("/set?theme=dark", None).await.issued();
    let cookie = site.visit("/log-in?admin=phone", Some(&cookie)).await.issued();
    assert_eq!(site.view(&cookie).await, "theme=dark");
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "admin");
    assert!(
        site.visit("/sessions?admin", Some(&cookie))
            .await
            .body
            .starts_with("phone* ")
    );
    let items = format!("{:?}", world.table.items().await);
    assert!(!items.contains("dark") && !items.contains("admin"), "{items}");
    // An owner that was not sealed before is sealed with the variables.
    let open = instance(&world, false).visit("/log-in?somebody", None).await.issued();
    site.visit("/set?theme=light", Some(&open)).await.assert_done();
    assert_eq!(site.visit("/owner", Some(&open)).await.body, "somebody");
    let items = format!("{:?}", world.table.items().await);
    assert!(!items.contains("somebody"), "{items}");
    world.proxy.forget_calls();
}

#[tokio::test]
async fn a_value_that_somebody_moved_makes_the_record_malformed() {
    let world = World::new().await;
    let site = instance(&world, true);
    let cookie = site.login("admin", None).await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let mut item = world.only_item().await;
    let Some(AttributeValue::M(data)) = item.get_mut("data") else {
        panic!("{item:?}")
    };
    let moved = data["username"].clone();
    data.insert("theme".to_owned(), moved);
    world.table.put(item).await;
    assert_eq!(site.view(&cookie).await, "", "nobody is logged in");
    let anew = site.login("admin", Some(&cookie)).await;
    assert_eq!(site.view(&anew).await, "username=admin");
}

#[tokio::test]
async fn what_does_not_fit_when_it_is_sealed_is_refused_at_once() {
    let world = World::new().await;
    let site = instance(&world, true);
    let fits = 400 * 1024 - 4 * 1024 - "text".len() - 1 - r#"{"S":""}"#.len() - 40;
    let cookie = site.visit(&format!("/fill?text={fits}"), None).await.issued();
    let refused = site.visit(&format!("/fill?text={}", fits + 1), Some(&cookie)).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let found = site.visit("/", Some(&cookie)).await;
    assert_eq!(found.body.len(), "text=".len() + fits);
}
