//! A session written by hand, on the parts that the app uses: the cookie with its MAC, a record as the app's, a form,
//! and nothing that a second request at the same time, a renewal, a retry or another site would need. It does not warm
//! up, and its page, its headers and its line of the log are the app's, but ready-made. What the app takes beyond this
//! is the library, the app's own checks, and making those.

// The futures of the SDK are nested deeper than rustc expects.
#![recursion_limit = "256"]

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue::{M, N, S};
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Error, Request, Response, service_fn};
use lambda_session::{DynamoDbStore, lambda};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

// Takes the place of `malloc`.
use mimalloc as _;

static KEY: LazyLock<Hmac<Sha256>> = LazyLock::new(|| {
    let key = std::env::var("SECRET_KEY").expect("SECRET_KEY");
    Hmac::new_from_slice(key.as_bytes()).expect("keys may have any length")
});

/// A page of the app, as Lambda gets it.
#[derive(Deserialize)]
struct Page {
    headers: HashMap<String, String>,
    body: String,
}

/// As long as the app's line for a view.
const LINE: &str = concat!(
    r#"{"timestamp":"2026-01-01T00:00:00.123456Z","level":"INFO","event":"request","route":"/","method":"GET","#,
    r#""status":200,"store_calls":1,"duration_ms":1.234,"request_id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}"#,
);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let store = DynamoDbStore::from_env()?;
    let page: Page = serde_json::from_str(&std::env::var("PAGE")?)?;
    let headers = HeaderMap::try_from(&page.headers)?;
    let (headers, page): (&_, &_) = (Box::leak(Box::new(headers)), Box::leak(page.body.into_boxed_str()));
    lambda::run(service_fn(move |request: Request| {
        let store = store.clone();
        async move {
            let mut response = respond(&store, &request, page).await.expect("an answer of DynamoDB");
            response.headers_mut().extend(headers.clone());
            println!("{LINE}");
            Ok(response)
        }
    }))
    .await
}

async fn respond(store: &DynamoDbStore, request: &Request, page: &str) -> Result<Response<Body>, Error> {
    if request.method() == "POST" {
        let cookie = log_in(store, request.body()).await?;
        let response = Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header("location", "/");
        return Ok(response.header("set-cookie", cookie).body(Body::Empty)?);
    }
    if let Some(cookie) = request.headers().get("cookie") {
        username(store, cookie.to_str()?).await?;
    }
    Ok(Response::new(page.into()))
}

/// Writes a record, and returns its cookie.
async fn log_in(store: &DynamoDbStore, form: &[u8]) -> Result<String, Error> {
    let mut fields = form_urlencoded::parse(form);
    let (_, username) = fields.find(|(name, _)| name == "username").ok_or("no username")?;
    let mut id = [0; 32];
    getrandom::fill(&mut id)?;
    let id = URL_SAFE_NO_PAD.encode(id);
    let mac = URL_SAFE_NO_PAD.encode(mac(&id).finalize().into_bytes());
    let put = store.client().put_item().table_name(store.table());
    put.item("id", S(hash(&id)))
        .item("data", M([("username".to_owned(), S(username.into()))].into()))
        .item("created_at", N(now()?.to_string()))
        .item("expires_at", N((now()? + 43_200).to_string()))
        .item("revision", N("0".to_owned()))
        .condition_expression("attribute_not_exists(id)")
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await?;
    Ok(format!(
        "__Host-session={id}.{mac}; HttpOnly; SameSite=Lax; Path=/; Secure"
    ))
}

/// Reads a cookie's record.
async fn username(store: &DynamoDbStore, cookie: &str) -> Result<String, Error> {
    let value = cookie.strip_prefix("__Host-session=").ok_or("another cookie")?;
    let (id, sent) = value.split_once('.').ok_or("no MAC")?;
    mac(id).verify_slice(&URL_SAFE_NO_PAD.decode(sent)?)?;
    let get = store.client().get_item().table_name(store.table());
    let item = get
        .key("id", S(hash(id)))
        .consistent_read(true)
        .send()
        .await?
        .item
        .ok_or("no session")?;
    let expires_at: u64 = item["expires_at"].as_n().map_err(|_| "no number")?.parse()?;
    if expires_at < now()? {
        return Err("expired".into());
    }
    let data = item["data"].as_m().map_err(|_| "no variables")?;
    Ok(data["username"].as_s().map_err(|_| "no text")?.clone())
}

fn mac(id: &str) -> Hmac<Sha256> {
    let mut mac = KEY.clone();
    mac.update(id.as_bytes());
    mac
}

fn hash(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(id))
}

fn now() -> Result<u64, Error> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
