//! The store calls of each request, exactly.

use super::World;
use crate::support::site::wait;

#[tokio::test]
async fn every_request_costs_what_the_table_says() {
    let world = World::new().await;
    let site = world.site();
    for (path, expected) in [
        ("/", vec![]),
        ("/pop?absent", vec![]),
        ("/clear", vec![]),
        ("/end", vec![]),
        ("/logout", vec![]),
    ] {
        let (answer, cost) = world.cost(site.visit(path, None)).await;
        assert_eq!((cost, answer.store_calls), (expected as Vec<String>, Some(0)), "{path}");
    }
    let (answer, cost) = world.cost(site.visit("/set?theme=dark", None)).await;
    assert_eq!(cost, ["PutItem"]);
    let cookie = answer.issued();
    for (path, expected) in [
        ("/", vec!["GetItem"]),
        ("/set?theme=dark", vec!["GetItem"]),
        ("/pop?absent", vec!["GetItem"]),
        ("/set?theme=light", vec!["GetItem", "UpdateItem"]),
        ("/end", vec!["GetItem", "UpdateItem"]),
    ] {
        let (answer, cost) = world.cost(site.visit(path, Some(&cookie))).await;
        assert_eq!(cost, expected, "{path}");
        assert_eq!(answer.store_calls, u32::try_from(cost.len()).ok(), "{path}");
    }
    let cookie = site.login("admin", None).await;
    let reads = world.proxy.calls();
    let mut reads = reads.iter().filter(|call| call.operation == "GetItem");
    assert!(
        reads.all(|call| call.request["ConsistentRead"] == true),
        "what was acknowledged is read"
    );
    wait(180);
    assert_eq!(
        world.cost(site.visit("/", Some(&cookie))).await.1,
        ["GetItem", "UpdateItem"]
    );
    wait(179);
    assert_eq!(world.cost(site.visit("/", Some(&cookie))).await.1, ["GetItem"]);
    assert_eq!(
        world.cost(site.visit("/pop?username", Some(&cookie))).await.1,
        ["GetItem", "UpdateItem"]
    );
}

/// The SDK's own user agent is seven times as long, and names the system, the compiler and the configuration. Another
/// header would number the attempt.
#[tokio::test]
async fn a_call_tells_whose_it_is_and_no_more() {
    let (world, ..) = World::logged_in().await;
    let name = concat!("lambda-session/", env!("CARGO_PKG_VERSION"));
    assert_eq!(world.proxy.calls()[0].needless, [name, "", ""]);
}
