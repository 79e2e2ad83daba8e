//! The JSON protocol of DynamoDB: a POST names an operation in a header and carries its parameters.

use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::auth_material::{self, AuthMaterial};
use dynoxide::{Database, DynoxideError};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::hosts::Hosts;

/// The largest request that DynamoDB accepts, in bytes.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Answers one request.
pub(super) async fn answer(database: Database, hosts: Hosts, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    if !hosts.allow(&parts) {
        let reason = "The embedded DynamoDB answers programs on this machine, not web pages.\n";
        return response(StatusCode::FORBIDDEN, "text/plain", reason.to_owned());
    }
    if parts.method != Method::POST {
        return response(StatusCode::NOT_FOUND, "text/plain", String::new());
    }
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return response(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", String::new());
    };
    let (status, body) = call(&database, &parts, &body.to_bytes());
    response(status, "application/x-amz-json-1.0", body)
}

fn call(database: &Database, parts: &Parts, body: &[u8]) -> (StatusCode, String) {
    let Some(operation) = header(&parts.headers, "x-amz-target").and_then(|target| target.split_once('.')) else {
        return unknown();
    };
    let signature = auth_material::validate(AuthMaterial {
        authorization: header(&parts.headers, AUTHORIZATION.as_str()),
        query: parts.uri.query().unwrap_or_default(),
        has_date_header: parts.headers.contains_key("x-amz-date") || parts.headers.contains_key(DATE),
    });
    if let Some(error) = signature {
        return (StatusCode::BAD_REQUEST, error);
    }
    let outcome = match operation.1 {
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteTable" => run(body, |request| database.delete_table(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        _ => return unknown(),
    };
    match outcome {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.to_json())
        }
    }
}

fn run<P: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(P) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let answer = operation(serde_json::from_slice(body).map_err(refusal)?)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Converts an error of parameters that cannot be read. `dynoxide`'s types mark what DynamoDB calls a validation error.
fn refusal(error: serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(text, _)| text);
    let marked = ["VALIDATION:", "VALIDATION_REQUEST:"]
        .iter()
        .find_map(|marker| message.strip_prefix(marker));
    match marked {
        Some(message) => DynoxideError::ValidationException(message.to_owned()),
        None if message.starts_with("missing field") => DynoxideError::ValidationException(message.to_owned()),
        None => DynoxideError::SerializationException(message.to_owned()),
    }
}

fn unknown() -> (StatusCode, String) {
    let error = json!({ "__type": "com.amazon.coral.service#UnknownOperationException" });
    (StatusCode::BAD_REQUEST, error.to_string())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    // Digits are a valid header value.
    if let Ok(id) = format!("LOCAL{number:047}").parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
