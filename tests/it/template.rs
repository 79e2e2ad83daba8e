//! What the template deploys is what the code expects.

use std::fs;

use lambda_session::session::dynamodb::{PARTITION_KEY, TTL_ATTRIBUTE};
use serde_yaml_ng::Value;

use crate::embedded::table;

fn resource(name: &str) -> Value {
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).expect("a template");
    let template: Value = serde_yaml_ng::from_str(&template).expect("YAML");
    template["Resources"][name]["Properties"].clone()
}

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
