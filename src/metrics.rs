//! A request's log line as CloudWatch reads metrics from it: the embedded metric format, which costs no call.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde::Serialize;

/// The namespace, and with the names in [`Metrics`] what the template's alarms and dashboard look for.
const NAMESPACE: &str = "lambda-session";

/// What a line says of a request, first to people, then to CloudWatch.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    /// RFC 3339, or Lambda does not use the level.
    pub(crate) timestamp: &'a str,
    pub(crate) level: &'static str,
    pub(crate) message: &'static str,
    #[serde(flatten)]
    pub(crate) request: &'a Request<'a>,
    #[serde(rename = "FunctionName")]
    pub(crate) function: &'a str,
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
    #[serde(rename = "_aws")]
    pub(crate) directive: Directive,
}

/// A request and its answer.
#[derive(Serialize)]
pub(crate) struct Request<'a> {
    pub(crate) event: &'static str,
    pub(crate) route: &'static str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    pub(crate) store_calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<&'a str>,
}

/// The values of one request's metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Metrics {
    pub(crate) requests: u8,
    /// Milliseconds.
    pub(crate) latency: f64,
    pub(crate) logins: u8,
    pub(crate) logouts: u8,
    pub(crate) refused: u8,
    pub(crate) store_failures: u8,
    pub(crate) cold_starts: u8,
}

/// Tells CloudWatch which members of the line are metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Directive {
    /// Milliseconds since 1970.
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    definitions: [Definition; 1],
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

impl Directive {
    pub(crate) fn at(timestamp: u64) -> Self {
        let count = |name| Metric { name, unit: "Count" };
        Self {
            timestamp,
            definitions: [Definition {
                namespace: NAMESPACE,
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
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_defined_metric_is_a_number_on_the_line() {
        let line = Line {
            timestamp: "2026-01-01T00:00:00Z",
            level: "INFO",
            message: "answered",
            request: &Request {
                event: "login",
                route: "/login",
                method: "POST",
                status: 303,
                store_calls: 1,
                request_id: None,
            },
            function: "sessions",
            metrics: Metrics {
                requests: 1,
                latency: 1.5,
                logins: 1,
                logouts: 0,
                refused: 0,
                store_failures: 0,
                cold_starts: 1,
            },
            directive: Directive::at(1_767_225_600_000),
        };
        let line: Value = serde_json::to_value(&line).unwrap();
        let definition = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(definition["Namespace"], "lambda-session");
        assert_eq!(definition["Dimensions"], json!([["FunctionName"]]));
        assert_eq!(line["FunctionName"], "sessions");
        assert_eq!(line["_aws"]["Timestamp"], 1_767_225_600_000_u64);
        for metric in definition["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
        }
    }
}
