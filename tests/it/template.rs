//! The template deploys the table, the variables and the permissions that the code needs.

use std::collections::BTreeSet;
use std::fs;

use dev::dynamodb::table;
use dev::proxy::ALLOWED_OPERATIONS;
use serde_yaml_ng::Value;

fn resources() -> serde_yaml_ng::Mapping {
    resources_of("template.yaml")
}

fn resources_of(template: &str) -> serde_yaml_ng::Mapping {
    let template = fs::read_to_string(format!("{}/{template}", env!("CARGO_MANIFEST_DIR"))).expect("a template");
    let template: Value = serde_yaml_ng::from_str(&template).expect("YAML");
    template["Resources"].as_mapping().expect("resources").clone()
}

/// The properties of a resource.
fn resource(name: &str) -> Value {
    resources()[name]["Properties"].clone()
}

fn text(value: &Value) -> String {
    serde_yaml_ng::to_string(value).expect("YAML")
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
}

#[test]
fn the_template_and_the_page_on_configuration_have_every_variable_the_code_reads() {
    let sources = [
        "src/config.rs",
        "session/src/config/environment.rs",
        "session/src/store/dynamodb/environment.rs",
    ]
    .map(|file| fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).expect(file));
    let read: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| source.split('"'))
        .filter(|text| text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        // Lambda sets these itself.
        .filter(|name| !name.starts_with("AWS_"))
        .collect();
    let variables = resource("SessionFunction")["Environment"]["Variables"].clone();
    let variables = variables.as_mapping().expect("variables");
    let declared: BTreeSet<_> = variables.keys().filter_map(Value::as_str).collect();
    assert_eq!(declared, read);
    assert!(declared.len() > 5, "{declared:?}");
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).expect("a page");
    for name in declared {
        let row = format!("\n| `{name}` | ");
        assert!(page.contains(&row), "{name} in docs/configuration.md");
    }
}

/// The tests' proxy denies all other operations, so the tests together show that these permissions suffice.
#[test]
fn the_policy_allows_what_the_tests_allow() {
    let role = resource("SessionRole");
    let policies = role["Policies"].as_sequence().expect("policies");
    let statements = policies
        .iter()
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().expect("statements"));
    let actions = statements.flat_map(|statement| statement["Action"].as_sequence().expect("actions").clone());
    let allowed: BTreeSet<_> = actions
        .filter_map(|action| action.as_str()?.strip_prefix("dynamodb:").map(str::to_owned))
        .collect();
    assert_eq!(allowed, ALLOWED_OPERATIONS.map(str::to_owned).into());
}

/// AWS bills X-Ray by the trace.
#[test]
fn traces_are_made_and_allowed_only_with_the_parameter() {
    let function = resource("SessionFunction");
    assert_eq!(
        text(&function["Tracing"]),
        "!If\n- HasTracing\n- Active\n- PassThrough\n"
    );
    let variable = &function["Environment"]["Variables"]["XRAY_TRACING"];
    assert_eq!(text(variable), "!If\n- HasTracing\n- 'true'\n- 'false'\n");
    let policy = &resources()["TracingPolicy"];
    assert_eq!(policy["Condition"], "HasTracing");
    let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_sequence();
    let [statement] = &statements.expect("statements")[..] else {
        panic!("{statements:?}")
    };
    assert_eq!(
        text(&statement["Action"]),
        "- xray:PutTraceSegments\n- xray:PutTelemetryRecords\n"
    );
}

#[test]
fn the_starter_deploys_the_table_and_the_permissions_that_the_app_has() {
    let starter = resources_of("starter/template/template.yaml");
    let table = &starter[table::NAME]["Properties"];
    for property in table::properties().as_object().expect("properties").keys() {
        assert_eq!(table[property], resource(table::NAME)[property], "{property}");
    }
    // Without a role of the template's own, SAM would add a managed policy that allows every log group.
    assert_eq!(text(&starter["Site"]["Properties"]["Role"]), "!GetAtt SiteRole.Arn\n");
    let [ours, starters] = [&resource("SessionRole"), &starter["SiteRole"]["Properties"]].map(|role| {
        assert_eq!(role["ManagedPolicyArns"], Value::Null);
        text(&role["Policies"])
    });
    assert_eq!(starters, ours.replace("SessionLogs", "SiteLogs"));
}

/// The metrics that the template reads from the log, each with its pattern.
pub(crate) fn metric_filters() -> Vec<(String, String)> {
    let filters = resources()
        .into_iter()
        .filter(|(_, body)| body["Type"] == "AWS::Logs::MetricFilter");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let read = |properties: &Value| {
        let metric = text(&properties["MetricTransformations"][0]["MetricName"]);
        (metric, text(&properties["FilterPattern"]))
    };
    filters.map(|(_, body)| read(&body["Properties"])).collect()
}

/// Whether CloudWatch would match a line: the two forms of its JSON patterns that the template has.
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>
pub(crate) fn matches(pattern: &str, line: &serde_json::Value) -> bool {
    let inside = pattern.strip_prefix("{ $.").and_then(|rest| rest.strip_suffix(" }"));
    let inside = inside.unwrap_or_else(|| panic!("another form: {pattern}"));
    if let Some((name, text)) = inside.split_once(" = ") {
        return line[name] == text.trim_matches('"');
    }
    let name = inside
        .strip_suffix(" IS TRUE")
        .unwrap_or_else(|| panic!("another form: {pattern}"));
    line[name] == true
}
