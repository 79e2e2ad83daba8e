//! A request's log line as CloudWatch reads metrics from it: the embedded metric format, which costs no call.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A request and its answer.
#[derive(Serialize)]
pub(crate) struct Answered<'a> {
    pub(crate) event: &'static str,
    pub(crate) route: &'static str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    pub(crate) store_calls: u32,
    pub(crate) duration_ms: f64,
    pub(crate) request_id: Option<&'a str>,
}

/// More bytes than a line has, so that it need not grow.
const MOST: usize = 1024;

/// The line, ending in a line break: first for people, then for CloudWatch.
///
/// Lambda drops lines whose level is below the function's, and takes one without level or RFC 3339 timestamp for INFO.
pub(crate) fn line(request: &Answered<'_>, level: &str, function: &str, cold: bool, now: OffsetDateTime) -> Vec<u8> {
    let timestamp = timestamp(now);
    let line = Line {
        timestamp: &timestamp,
        level,
        message: "answered",
        request,
        function_name: function,
        metrics: Metrics {
            requests: 1,
            latency: request.duration_ms,
            logins: (request.event == "login").into(),
            logouts: (request.event == "logout").into(),
            refused: (request.event == "refused").into(),
            store_failures: (request.status == 503).into(),
            cold_starts: cold.into(),
        },
        aws: Directive {
            timestamp: now.unix_timestamp() * 1_000 + i64::from(now.millisecond()),
            definitions: &DEFINITIONS,
        },
    };
    let mut json = Vec::with_capacity(MOST);
    // Neither the line nor a vector can fail.
    let _ = serde_json::to_writer(&mut json, &line);
    json.push(b'\n');
    json
}

/// A time as Lambda wants it.
pub(crate) fn timestamp(time: OffsetDateTime) -> String {
    // From the year 10,000 on there is no such text.
    time.format(&Rfc3339).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'static str,
    #[serde(flatten)]
    request: &'a Answered<'a>,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(flatten)]
    metrics: Metrics,
    #[serde(rename = "_aws")]
    aws: Directive<'a>,
}

/// The values, under the names that the template's alarms and dashboard look for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metrics {
    requests: u8,
    latency: f64,
    logins: u8,
    logouts: u8,
    refused: u8,
    store_failures: u8,
    cold_starts: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    /// Milliseconds since 1970.
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    definitions: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: [Metric; 7],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

/// The same on every line.
static DEFINITIONS: LazyLock<Box<RawValue>> = LazyLock::new(|| to_raw_value(&[DEFINITION]).unwrap_or_default());

const DEFINITION: Definition = Definition {
    namespace: "lambda-session",
    dimensions: [["FunctionName"]],
    metrics: [
        count("Requests"),
        Metric {
            name: "Latency",
            unit: "Milliseconds",
        },
        count("Logins"),
        count("Logouts"),
        count("Refused"),
        count("StoreFailures"),
        count("ColdStarts"),
    ],
};

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: "Count" }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::Duration;

    use super::*;

    fn parsed(event: &'static str, status: u16, cold: bool) -> Value {
        let request = Answered {
            event,
            route: "/login",
            method: "POST",
            status,
            store_calls: 1,
            duration_ms: 1.5,
            request_id: Some("an \"ID\"\n"),
        };
        let now = OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_767_225_600_123);
        let line = line(&request, "WARN", "sessions", cold, now);
        let end = line.iter().position(|&byte| byte == b'\n');
        assert_eq!(end, Some(line.len() - 1));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn every_defined_metric_is_a_number_on_the_line() {
        let line = parsed("login", 303, true);
        let definition = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(definition["Namespace"], "lambda-session");
        assert_eq!(definition["Dimensions"], json!([["FunctionName"]]));
        assert_eq!(line["FunctionName"], "sessions");
        assert_eq!(line["_aws"]["Timestamp"], 1_767_225_600_123_u64);
        assert_eq!(line["timestamp"], "2026-01-01T00:00:00.123Z");
        let metrics = definition["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 7);
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
        }
        assert_eq!(
            (&line["level"], &line["request_id"]),
            (&json!("WARN"), &json!("an \"ID\"\n"))
        );
    }

    #[test]
    fn each_event_counts_where_it_belongs() {
        for (event, status, metric) in [
            ("login", 303, "Logins"),
            ("logout", 303, "Logouts"),
            ("refused", 403, "Refused"),
            ("request", 503, "StoreFailures"),
        ] {
            let line = parsed(event, status, false);
            for name in ["Logins", "Logouts", "Refused", "StoreFailures", "ColdStarts"] {
                assert_eq!(line[name], u8::from(name == metric), "{name} of {event}");
            }
        }
    }
}
