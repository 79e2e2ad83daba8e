//! The embedded DynamoDB keeps what it is told to keep, in the table it is told to make.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use tempfile::tempdir;
use tokio::net::TcpListener;

use crate::embedded::{Embedded, table};
use crate::support::{endpoint, sdk_at};

async fn start(directory: &std::path::Path) -> (Embedded, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let embedded = Embedded::start([listener], table::NAME, Some(directory)).expect("a database");
    let client = Client::from_conf(sdk_at(endpoint(&embedded)).build());
    (embedded, client)
}

async fn put(client: &Client, id: &str, expires_at: &str) {
    let put = client
        .put_item()
        .table_name(table::NAME)
        .item("id", AttributeValue::S(id.to_owned()));
    put.item("expires_at", AttributeValue::N(expires_at.to_owned()))
        .send()
        .await
        .expect("a put");
}

async fn has(client: &Client, id: &str) -> bool {
    let get = client
        .get_item()
        .table_name(table::NAME)
        .key("id", AttributeValue::S(id.to_owned()));
    get.send().await.expect("an answer").item.is_some()
}

#[tokio::test]
async fn a_file_keeps_items_over_a_restart_and_expired_ones_only_until_then() {
    let directory = tempdir().expect("a directory");
    let (embedded, client) = start(directory.path()).await;
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
    put(&client, "live", &(now + 3600).to_string()).await;
    put(&client, "expired", &(now - 3600).to_string()).await;
    assert!(has(&client, "expired").await, "DynamoDB deletes late, too");
    embedded.stop().await;

    let (_embedded, client) = start(directory.path()).await;
    assert!(has(&client, "live").await);
    assert!(!has(&client, "expired").await);
}

#[tokio::test]
async fn the_table_deletes_by_time() {
    let directory = tempdir().expect("a directory");
    let (_embedded, client) = start(directory.path()).await;
    let described = client
        .describe_time_to_live()
        .table_name(table::NAME)
        .send()
        .await
        .expect("an answer");
    let time_to_live = described.time_to_live_description().expect("a description");
    assert_eq!(time_to_live.attribute_name(), Some("expires_at"));
    assert_eq!(time_to_live.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
}
