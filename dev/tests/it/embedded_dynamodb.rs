//! The embedded DynamoDB keeps the items in the table that it was told to make, and refuses web pages.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use dev::dynamodb::{Embedded, table};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{mode, sdk_at};

async fn start(directory: &std::path::Path) -> (Embedded, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let embedded = Embedded::start([listener], table::NAME, Some(directory)).expect("a database");
    let client = Client::from_conf(sdk_at(embedded.endpoint()).build());
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

#[tokio::test]
async fn its_files_are_closed_to_other_users_whatever_they_were_before() {
    let directory = tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("a mode");
    let names = ["dynamodb.sqlite", "dynamodb.sqlite-wal", "dynamodb.sqlite-shm"];
    let files = names.map(|name| directory.path().join(name));
    for opened in ["by this run", "by an earlier one"] {
        let (embedded, client) = start(directory.path()).await;
        put(&client, "live", "9999999999").await;
        for file in &files {
            assert_eq!(mode(file), 0o600, "{} {opened}", file.display());
        }
        embedded.stop().await;
        fs::write(&files[1], "").expect("a file");
        for file in files.iter().filter(|file| file.exists()) {
            fs::set_permissions(file, Permissions::from_mode(0o644)).expect("a mode");
        }
    }
}

/// Sends what a client without the SDK sends, and returns the answer's status and headers.
async fn send(embedded: &Embedded, method: &str, headers: &str) -> String {
    let address = embedded.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "{method} / HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: 2\r\n\
         x-amz-target: DynamoDB_20120810.ListTables\r\nx-amz-date: 20261016T080000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.to_lowercase()
}

#[tokio::test]
async fn it_answers_under_its_own_addresses_only() {
    let embedded = Embedded::in_memory().await;
    let endpoint = embedded.endpoint();
    let port = endpoint.rsplit(':').next().expect("a port");
    for (host, status) in [
        (&format!("127.0.0.1:{port}")[..], 200),
        (&format!("LocalHost:{port}"), 200),
        (&format!("[::1]:{port}"), 200),
        ("host.docker.internal", 200),
        ("host.docker.internal:8000", 200),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        (&format!("attacker.example:{port}"), 403),
        (&format!("127.0.0.1.attacker.example:{port}"), 403),
        (&format!("127.0.0.1:{port}@attacker.example"), 403),
        (&format!("attacker.example@127.0.0.1:{port}"), 403),
        (&format!("0.0.0.0:{port}"), 403),
        ("", 403),
    ] {
        let answer = send(&embedded, "POST", &format!("host: {host}\r\n")).await;
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{host}: {answer}");
    }
    let twice = format!("host: 127.0.0.1:{port}\r\nhost: attacker.example\r\n");
    for headers in [twice.as_str(), ""] {
        let answer = send(&embedded, "POST", headers).await;
        assert!(answer.starts_with("http/1.1 40"), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn it_answers_no_web_page() {
    let embedded = Embedded::in_memory().await;
    let own = embedded.endpoint();
    let host = own.replace("http://", "");
    for method in ["GET", "POST", "OPTIONS"] {
        for origin in ["https://attacker.example", "null", &own] {
            let headers = format!("host: {host}\r\norigin: {origin}\r\n");
            let answer = send(&embedded, method, &headers).await;
            assert!(answer.starts_with("http/1.1 403 "), "{method} from {origin}: {answer}");
            assert!(!answer.contains("access-control"), "{method} from {origin}: {answer}");
        }
    }
}

#[tokio::test]
async fn it_answers_as_whoever_it_was_told_to_be() {
    let embedded = Embedded::in_memory().await;
    embedded.answer_as("localhost:8443").expect("a host");
    let answer = send(&embedded, "POST", "host: localhost:8443\r\n").await;
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn what_it_cannot_do_has_dynamodbs_names() {
    use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;

    let embedded = Embedded::in_memory().await;
    let client = Client::from_conf(sdk_at(embedded.endpoint()).build());
    let put = |table: &str, number: &str| {
        let put = client.put_item().table_name(table);
        put.item("id", AttributeValue::S("a".to_owned()))
            .item("n", AttributeValue::N(number.to_owned()))
    };
    let code = async |put: aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder| {
        put.send().await.map_err(|error| error.code().map(str::to_owned)).err()
    };
    assert_eq!(code(put(table::NAME, "1")).await, None);
    let named = |name: &str| Some(Some(name.to_owned()));
    let existing = put(table::NAME, "1").condition_expression("attribute_not_exists(id)");
    assert_eq!(code(existing).await, named("ConditionalCheckFailedException"));
    assert_eq!(code(put("Another", "1")).await, named("ResourceNotFoundException"));
    assert_eq!(code(put(table::NAME, "no number")).await, named("ValidationException"));
    assert_eq!(
        code(put(table::NAME, &"1".repeat(39))).await,
        named("ValidationException")
    );
    let unknown = client.list_backups().send().await.expect_err("an error");
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}
