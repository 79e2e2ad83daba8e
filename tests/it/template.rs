//! What the template deploys is what the code expects.

use std::collections::BTreeSet;
use std::fs;

use lambda_session::session::DynamoDbStore;
use lambda_session::session::dynamodb::{PARTITION_KEY, TTL_ATTRIBUTE};
use serde_yaml_ng::Value;

use crate::embedded::table;
use crate::sdk;
use crate::support::policy::{self, resource};
use crate::support::proxy::Proxy;
use crate::support::site::{self, Site};
use crate::support::{dynamodb, endpoint};

#[test]
fn the_local_table_is_the_deployed_one() {
    let deployed = resource(table::NAME);
    let local = table::properties();
    for (property, value) in local.as_object().expect("properties") {
        let deployed: serde_json::Value =
            serde_yaml_ng::from_value(deployed[property].clone()).expect("a plain property");
        assert_eq!(&deployed, value, "{property}");
    }
    assert_eq!(deployed["KeySchema"][0]["AttributeName"], PARTITION_KEY);
    assert_eq!(deployed["TimeToLiveSpecification"]["AttributeName"], TTL_ATTRIBUTE);
}

#[test]
fn the_template_declares_every_variable_the_code_reads_and_no_other() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config.rs")).expect("source");
    let code = source.split("mod tests").next().expect("code");
    let mut read: Vec<_> = code
        .split("read(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        // Lambda sets these itself.
        .filter(|name| !name.starts_with("AWS_LAMBDA_"))
        .collect();
    read.sort_unstable();

    let variables = resource("SessionFunction")["Environment"]["Variables"].clone();
    let variables = variables.as_mapping().expect("variables");
    let mut declared: Vec<_> = variables.keys().filter_map(Value::as_str).collect();
    declared.sort_unstable();
    assert_eq!(declared, read);
}

/// The proxy denies everything else, so the whole suite shows that this is enough.
#[tokio::test]
async fn the_policy_allows_what_a_session_calls_and_nothing_more() {
    let dynamodb = dynamodb().await;
    let proxy = Proxy::start(&endpoint(&dynamodb));
    let store = DynamoDbStore::new(&sdk::config(), table::NAME, Some(&proxy.endpoint()));
    store.warm_up().await;
    let site = Site::new(store);
    let first = site.login("admin", None).await;
    let second = site.login("other", Some(&first)).await;
    site::wait(site::IDLE / 2);
    site.view(&second).await;
    site.visit("/set?theme=dark", Some(&second)).await;
    site.visit("/logout", Some(&second)).await;
    let called: BTreeSet<_> = proxy.operations().into_iter().collect();
    assert_eq!(called, *policy::OPERATIONS);
}
