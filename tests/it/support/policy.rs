//! The template, and what its policy lets the function do.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_yaml_ng::Value;

/// The properties of a resource of `template.yaml`.
pub(crate) fn resource(name: &str) -> Value {
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).expect("a template");
    let template: Value = serde_yaml_ng::from_str(&template).expect("YAML");
    template["Resources"][name]["Properties"].clone()
}

/// The DynamoDB operations that the function's role allows, as in `GetItem`.
pub(crate) static OPERATIONS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let role = resource("SessionRole");
    let policies = role["Policies"].as_sequence().expect("policies");
    policies
        .iter()
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().expect("statements"))
        .flat_map(|statement| statement["Action"].as_sequence().expect("actions"))
        .filter_map(|action| action.as_str()?.strip_prefix("dynamodb:").map(str::to_owned))
        .collect()
});

pub(crate) fn allows(operation: &str) -> bool {
    OPERATIONS.contains(operation)
}
