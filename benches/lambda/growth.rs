//! What a session costs as it grows, and what goes over the wire.

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
use crate::routes::{Route, log_in};
use crate::sandbox::{Sandbox, bytes};
use crate::world::{Counter, Traffic, World};
use crate::{Failure, event::Event, say};

/// Variables, and how many bytes they have together.
const SIZES: [(usize, usize); 7] = [
    (1, 1_000),
    (10, 1_000),
    (100, 10_000),
    (1_000, 10_000),
    (1, 100_000),
    (1_000, 100_000),
    (1_000, 300_000),
];
const REQUESTS: usize = 40;

/// Store calls and bytes of one request of each kind.
pub(crate) fn traffic(artifacts: &Artifacts, world: &World) -> Result<Vec<(Route, Traffic)>, Failure> {
    let counter = Counter::start(&world.plain)?;
    let mut sandbox = Sandbox::start(&artifacts.product, &world.environment(&counter.endpoint))?;
    let mut all = Vec::new();
    for route in Route::ALL {
        for event in route.events(&mut sandbox, 1)? {
            let before = counter.traffic();
            sandbox.invoke(&event)?;
            all.push((route, counter.traffic() - before));
        }
    }
    Ok(all)
}

/// The table of growth, one line a size.
pub(crate) fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = client(&world.plain);
    let wire = Counter::start(&world.plain)?;
    let mut direct = Sandbox::start(&artifacts.cold, &world.environment(&world.plain))?;
    let mut counted = Sandbox::start(&artifacts.cold, &world.environment(&wire.endpoint))?;
    let mut lines = Vec::new();
    for (variables, size) in SIZES {
        say(&format!("growth: {variables} variables, {} KB", size / 1000));
        let cookie = log_in(&mut direct)?;
        runtime.block_on(fill(&client, &world.table, &cookie, variables, size))?;
        let view = bytes(Event::get("/").cookie(&cookie));
        let update = bytes(Event::get("/count").cookie(&cookie));
        for event in [&update, &view] {
            cpu(&mut direct, event, 5)?;
            counted.invoke(event)?;
        }
        let mut traffic = |event: &[u8]| -> Result<Traffic, Failure> {
            let before = wire.traffic();
            counted.invoke(event)?;
            Ok(wire.traffic() - before)
        };
        let (read, write) = (traffic(&view)?, traffic(&update)?);
        lines.push(json!({
            "variables": variables,
            "kilobytes": size / 1000,
            "view_cpu_us": cpu(&mut direct, &view, REQUESTS)?,
            "view_bytes_sent": read.sent,
            "view_bytes_received": read.received,
            "update_cpu_us": cpu(&mut direct, &update, REQUESTS)?,
            // An update reads the session first; that request is as long as a view's.
            "update_bytes_sent": write.sent - read.sent,
            "update_bytes_received": write.received - read.received,
        }));
    }
    Ok(lines)
}

/// CPU microseconds a request.
fn cpu(sandbox: &mut Sandbox, event: &[u8], times: usize) -> Result<f64, Failure> {
    let mut sample = Default::default();
    measure(sandbox, vec![event.to_vec(); times], &mut sample)?;
    Ok(sample.1.as_secs_f64() * 1e6 / times as f64)
}

/// Gives a session so many variables beside its own.
async fn fill(client: &Client, table: &str, cookie: &str, variables: usize, size: usize) -> Result<(), Failure> {
    let (_, signed) = cookie.split_once('=').ok_or("a cookie without a value")?;
    let id = BASE64.decode(signed.split('.').next().unwrap_or_default())?;
    let key = BASE64.encode(Sha256::digest(id));
    let name = |n| format!("variable_{n:04}");
    let text = "x".repeat((size / variables).saturating_sub(name(0).len()));
    let mut data: HashMap<_, _> = (0..variables)
        .map(|n| (name(n), AttributeValue::S(text.clone())))
        .collect();
    data.insert("username".to_owned(), AttributeValue::S("admin".to_owned()));
    let update = client.update_item().table_name(table).key("id", AttributeValue::S(key));
    let update = update
        .update_expression("SET #data = :data")
        .expression_attribute_names("#data", "data");
    update
        .expression_attribute_values(":data", AttributeValue::M(data))
        .send()
        .await?;
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
