//! `cargo dynamodb`, as `sam local` finds it.

use aws_sdk_dynamodb::Client;
use dev::PATIENCE;
use dev::lambda::signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::support::{command, sdk_at};

#[tokio::test]
async fn it_makes_the_table_at_every_address_it_prints_and_stops_when_asked() {
    let mut command = command(env!("CARGO_BIN_EXE_dynamodb"), &["--port", "0"]);
    let mut process = command.env("TABLE_NAME", "Another").spawn().expect("the command");
    let mut printed = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut lines = Vec::new();
    while lines
        .last()
        .is_none_or(|line: &String| !line.contains("sam local start-api"))
    {
        let line = timeout(PATIENCE, printed.next_line()).await.expect("a line in time");
        lines.push(line.expect("a readable pipe").expect("a line"));
    }
    let endpoints: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("DynamoDB listens on "))
        .collect();
    assert!(endpoints[0].starts_with("http://127.0.0.1:"), "{lines:?}");
    for endpoint in endpoints {
        let tables = Client::from_conf(sdk_at(endpoint).build())
            .list_tables()
            .send()
            .await
            .expect("an answer");
        assert_eq!(tables.table_names(), ["Another"], "{endpoint}");
    }
    signal(process.id().expect("a running command"), "TERM");
    let status = timeout(PATIENCE, process.wait())
        .await
        .expect("an end in time")
        .expect("a status");
    assert_eq!(status.code(), Some(0));
}
