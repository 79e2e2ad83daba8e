//! What each request costs, exactly.

use super::World;
use crate::support::SECRET_KEY;
use crate::support::environment;
use crate::support::event::Event;
use crate::support::lambda::{Answer, Lambda};
use crate::support::own_table::number;
use crate::support::site::wait;

/// The compiled function.
struct Function<'a> {
    world: &'a World,
    lambda: Lambda,
}

impl<'a> Function<'a> {
    async fn start(world: &'a World) -> Self {
        let secret = ("SECRET_KEY".to_owned(), SECRET_KEY.to_owned());
        let lambda = Lambda::start(environment(&world.proxy.endpoint()).into_iter().chain([secret])).await;
        let function = Self { world, lambda };
        // The warm-up read comes before the first answer.
        function.answer(Event::get("/login")).await;
        assert_eq!(world.proxy.operations(), ["GetItem"]);
        function
    }

    async fn answer(&self, event: Event) -> Answer {
        self.lambda.invoke(event.into_value()).await.expect("an answer")
    }

    #[track_caller]
    fn costs(&self, event: Event, expected: &[&str]) -> impl Future<Output = Answer> {
        let caller = std::panic::Location::caller();
        async move {
            let (answer, cost) = self.world.cost(self.answer(event)).await;
            assert_eq!(cost, expected, "at {caller}: {answer:?}");
            answer
        }
    }
}

fn login(name: &str) -> Event {
    Event::post_form("/login", &[("username", name)])
}

#[tokio::test]
async fn the_compiled_function_keeps_to_the_table() {
    let world = World::new().await;
    let function = Function::start(&world).await;

    function.costs(Event::get("/"), &[]).await;
    function.costs(Event::new("HEAD", "/"), &[]).await;
    function.costs(Event::get("/login"), &[]).await;
    function.costs(Event::get("/elsewhere"), &[]).await;
    function.costs(Event::get("/logout"), &[]).await;
    let forged = format!("__Host-session={}.{}", "A".repeat(43), "A".repeat(43));
    for path in ["/", "/login", "/logout"] {
        function.costs(Event::get(path).cookie(&forged), &[]).await;
    }

    let first = function
        .costs(login("admin").cookie(&forged), &["PutItem"])
        .await
        .cookie();
    function.costs(Event::get("/").cookie(&first), &["GetItem"]).await;
    function
        .costs(Event::new("HEAD", "/").cookie(&first), &["GetItem"])
        .await;
    function.costs(Event::get("/login").cookie(&first), &[]).await;
    let second = function
        .costs(login("admin").cookie(&first), &["GetItem", "PutItem", "UpdateItem"])
        .await;
    let third = function
        .costs(
            login("other").cookie(&second.cookie()),
            &["GetItem", "PutItem", "UpdateItem"],
        )
        .await;
    function.costs(Event::get("/").cookie(&first), &["GetItem"]).await;
    function
        .costs(Event::get("/logout").cookie(&third.cookie()), &["UpdateItem"])
        .await;
    function
        .costs(login("admin").cookie(&first), &["GetItem", "PutItem"])
        .await;
}

#[tokio::test]
async fn a_view_costs_one_write_more_when_its_slide_is_due() {
    let world = World::new().await;
    let function = Function::start(&world).await;
    let cookie = function.costs(login("admin"), &["PutItem"]).await.cookie();
    let mut item = world.only_item().await;
    let expires_at: u64 = item["expires_at"]
        .as_n()
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("seconds");
    item.insert("expires_at".to_owned(), number(expires_at - 200));
    world.table.put(item).await;
    function
        .costs(Event::get("/").cookie(&cookie), &["GetItem", "UpdateItem"])
        .await;
    function.costs(Event::get("/").cookie(&cookie), &["GetItem"]).await;
}

#[tokio::test]
async fn views_of_the_librarys_users_keep_to_the_table() {
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

/// The SDK's own is seven times as long and tells the system, the compiler and the configuration.
#[tokio::test]
async fn a_call_tells_whose_it_is_and_no_more() {
    let (world, ..) = World::logged_in().await;
    let name = concat!("lambda-session/", env!("CARGO_PKG_VERSION"));
    assert_eq!(world.proxy.calls()[0].user_agents, [name, ""]);
}
