//! What a session costs as it grows, and how many bytes are sent to the store.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::artifact::Artifacts;
use crate::rounds::measure;
use crate::routes::{Route, cookie_of, log_in};
use crate::sandbox::Sandbox;
use crate::world::{Traffic, World};
use crate::{Failure, say};

/// The numbers of variables, and their total bytes.
const SIZES: [(usize, usize); 5] = [
    (1, 1_000),
    (100, 10_000),
    (1, 100_000),
    (1_000, 100_000),
    (1_000, 300_000),
];
const REQUESTS: usize = 40;

/// Counts the store calls and bytes of one request of each kind.
pub(crate) async fn traffic(artifacts: &Artifacts, world: &World) -> Result<Vec<(Route, Traffic)>, Failure> {
    let environment = world.environment(&world.counter.endpoint);
    let sandbox = Sandbox::start(&artifacts.product, &environment).await?;
    let mut all = Vec::new();
    for route in Route::ALL {
        let cookie = log_in(&sandbox).await?;
        all.push((route, counted(&sandbox, world, route, &cookie).await?));
    }
    Ok(all)
}

async fn counted(sandbox: &Sandbox, world: &World, route: Route, cookie: &str) -> Result<Traffic, Failure> {
    let before = world.counter.traffic();
    sandbox.invoke(&route.event(cookie)).await?;
    Ok(world.counter.traffic() - before)
}

/// Measures each size: a view of the session, and a login over it, which writes the whole session.
pub(crate) async fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    let client = client(&world.plain);
    let start = async |endpoint| Sandbox::start(&artifacts.product, &world.environment(endpoint)).await;
    let direct = start(&world.plain).await?;
    let through_counter = start(&world.counter.endpoint).await?;
    let mut lines = Vec::new();
    for (variables, size) in SIZES {
        say(&format!("growth: {variables} variables, {} KB", size / 1000));
        let cookie = log_in(&direct).await?;
        fill(&client, &world.table, &cookie, variables, size).await?;
        let view = Route::View.event(&cookie);
        measure(&direct, &view, 5).await?;
        let (_, cpu) = measure(&direct, &view, REQUESTS).await?;
        let view = counted(&through_counter, world, Route::View, &cookie).await?;
        let login = counted(&through_counter, world, Route::LoginAgain, &cookie).await?;
        lines.push(json!({
            "variables": variables,
            "kilobytes": size / 1000,
            "view_cpu_us": (cpu.as_secs_f64() * 1e6 / REQUESTS as f64).round(),
            "view_bytes_received": view.received,
            "login_bytes_sent": login.sent,
        }));
    }
    Ok(lines)
}

/// The numbers of variables of a session that is measured sealed and unsealed.
const SEALED: [usize; 3] = [1, 10, 100];
const SEALED_BYTES: usize = 20;
const BLOCKS: usize = 20;

/// Measures what sealing costs, for each number of variables and kind of request, in turns with the same unsealed.
pub(crate) async fn sealed(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    let client = client(&world.plain);
    let view: fn(&str) -> Vec<u8> = |cookie| Route::View.event(cookie);
    let mut lines = Vec::new();
    for (kind, program) in [("view", &artifacts.product), ("update", &artifacts.counter)] {
        let start = async |endpoint: &str, sealed: bool| {
            let mut environment = world.environment(endpoint);
            environment.push(("SESSION_SEALED".to_owned(), sealed.to_string()));
            Sandbox::start(program, &environment).await
        };
        let plain = start(&world.plain, false).await?;
        let sealed = start(&world.plain, true).await?;
        let through_counter = start(&world.counter.endpoint, false).await?;
        for variables in SEALED {
            say(&format!("sealed: {kind} of {variables} variables"));
            let first = if kind == "view" {
                Route::Login.event("")
            } else {
                view("")
            };
            let mut cookies = Vec::new();
            for _ in 0..2 {
                let cookie = cookie_of(&plain.invoke(&first).await?.0)?;
                // `fill` also adds `username`.
                fill(
                    &client,
                    &world.table,
                    &cookie,
                    variables - 1,
                    (variables - 1) * SEALED_BYTES,
                )
                .await?;
                cookies.push(cookie);
            }
            // The next write seals the whole record: a login, or an update.
            let write = if kind == "view" {
                Route::LoginAgain.event(&cookies[1])
            } else {
                view(&cookies[1])
            };
            let (answer, _) = sealed.invoke(&write).await?;
            if kind == "view" {
                cookies[1] = cookie_of(&answer)?;
            }
            let events = [view(&cookies[0]), view(&cookies[1])];
            let mut cpu = [0.0; 2];
            for block in 0..=BLOCKS {
                for (n, sandbox) in [&plain, &sealed].into_iter().enumerate() {
                    let (_, took) = measure(sandbox, &events[n], REQUESTS).await?;
                    // The first block lets the programs settle.
                    if block > 0 {
                        cpu[n] += took.as_secs_f64() * 1e6 / (BLOCKS * REQUESTS) as f64;
                    }
                }
            }
            let mut bytes = Vec::new();
            for event in &events {
                let before = world.counter.traffic();
                through_counter.invoke(event).await?;
                let traffic = world.counter.traffic() - before;
                bytes.push((traffic.sent, traffic.received));
            }
            lines.push(json!({
                "request": kind,
                "variables": variables,
                "cpu_us": cpu[0].round(),
                "sealed_cpu_us": cpu[1].round(),
                "ratio": (cpu[1] / cpu[0] * 1e3).round() / 1e3,
                "bytes_sent_received": bytes[0],
                "sealed_bytes_sent_received": bytes[1],
            }));
        }
    }
    Ok(lines)
}

/// Gives a session this many variables beside its own.
async fn fill(client: &Client, table: &str, cookie: &str, variables: usize, size: usize) -> Result<(), Failure> {
    let (_, signed) = cookie.split_once('=').ok_or("a cookie without a value")?;
    let id = BASE64.decode(signed.split('.').next().unwrap_or_default())?;
    let key = BASE64.encode(Sha256::digest(id));
    let name = |n| format!("variable_{n:04}");
    let text = "x".repeat((size / variables.max(1)).saturating_sub(name(0).len()));
    let mut data: HashMap<_, _> = (0..variables)
        .map(|n| (name(n), AttributeValue::S(text.clone())))
        .collect();
    data.insert("username".to_owned(), AttributeValue::S("admin".to_owned()));
    let update = client.update_item().table_name(table).key("id", AttributeValue::S(key));
    let update = update
        .update_expression("SET #data = :data")
        .expression_attribute_names("#data", "data");
    let update = update.expression_attribute_values(":data", AttributeValue::M(data));
    update.send().await?;
    Ok(())
}

fn client(endpoint: &str) -> Client {
    let keys = Credentials::new("local", "local", None, None, "bench");
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"));
    let http = HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let config = config.credentials_provider(keys).http_client(http.build_https());
    Client::from_conf(config.endpoint_url(endpoint).build())
}
