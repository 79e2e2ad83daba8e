//! `cargo local`: the whole app on this machine, with nothing but Rust.
//!
//! The handler and the SDK client are those of the deployed function. Only what surrounds them is made here: DynamoDB
//! (embedded, on a port of its own), the secret key, and the events that Lambda would make of HTTP requests.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::serve::IncomingStream;
use command::{Failure, Stop};
use embedded::{Embedded, table};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use lambda_session::config::Config;
use lambda_session::session::DynamoDbStore;
use lambda_session::{app, log};
use tokio::net::TcpListener;
use tower::{Service, ServiceExt, service_fn};

mod command;
mod embedded;
#[path = "local/event.rs"]
mod event;
#[path = "local/sdk.rs"]
mod sdk;
#[path = "local/secret.rs"]
mod secret;

const HELP: &str = "\
The whole app on this machine, over an embedded DynamoDB

Usage: cargo local [--port N] [--data-dir DIR]

  --port N        listen on this port (3000; 0 = any free one)
  --data-dir DIR  keep the sessions and the secret key in this directory; otherwise they end with the command
  --help          show this text

The app's environment variables (SECRET_KEY, SESSION_IDLE_TIMEOUT, ...) work as on Lambda.";

/// What Lambda takes as a request.
const LARGEST_BODY: usize = 6 * 1024 * 1024;

/// How long running requests may take once the command was asked to stop.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run().await)
}

async fn run() -> Result<(), Failure> {
    let Some(arguments) = command::arguments(std::env::args_os().skip(1), 3000)? else {
        command::say(HELP);
        return Ok(());
    };
    let data_dir = arguments.data_dir.as_deref();
    let stop = Stop::new()?;
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener = command::listen(localhost, arguments.port).await?;
    let address = listener.local_addr().map_err(Failure::run)?.to_string();
    if let Some(directory) = data_dir {
        command::make_directory(directory)?;
    }
    let key = secret_key(data_dir)?;

    let inner = command::listen(localhost, 0).await?;
    let embedded = Embedded::start([inner], table::NAME, data_dir).map_err(Failure::run)?;
    let endpoint = embedded.endpoints().next();
    let config = Config::from_env(|name| variable(name, &key, endpoint.as_deref())).map_err(Failure::run)?;
    log::start(&config);
    let store = DynamoDbStore::new(&sdk::config(), &config.table_name, config.dynamodb_endpoint.as_deref());
    let service = app::service(&config, Arc::new(store)).map_err(Failure::run)?;

    let served = tokio::spawn(serve(listener, service, address.clone(), stop));
    let kept = data_dir.map_or("end with this command".to_owned(), |dir| {
        format!("are kept in {}", dir.display())
    });
    command::say(&format!(
        "http://{address}\n\
         This demo trusts any name that is typed: there is no password.\n\
         Sessions and secret key {kept}. Ctrl-C stops it."
    ));
    let outcome = served.await.map_err(Failure::run);
    embedded.stop().await;
    outcome
}

/// The key that was set, or else the one this directory keeps, or else a new one.
fn secret_key(data_dir: Option<&Path>) -> Result<OsString, Failure> {
    match (std::env::var_os("SECRET_KEY"), data_dir) {
        (Some(key), _) => Ok(key),
        (None, Some(directory)) => secret::keep(directory).map(OsString::from),
        (None, None) => secret::generate().map(OsString::from),
    }
}

/// The environment as the app shall see it: the caller's own, but for what has to fit this process.
fn variable(name: &str, key: &OsStr, endpoint: Option<&str>) -> Option<OsString> {
    match name {
        "SECRET_KEY" => Some(key.to_owned()),
        "TABLE_NAME" => Some(table::NAME.into()),
        "DYNAMODB_ENDPOINT" => endpoint.map(OsString::from),
        "SESSION_COOKIE_SECURE" => Some("false".into()),
        _ => std::env::var_os(name),
    }
}

async fn serve<S>(listener: TcpListener, service: S, own_host: String, stop: Stop)
where
    S: Handler,
    S::Future: Send,
{
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let own_host = Arc::<str>::from(own_host);
    let answer = service_fn(move |request| {
        let (service, own_host) = (service.clone(), Arc::clone(&own_host));
        async move { Ok::<_, Infallible>(answer(service, request, &own_host).await) }
    });
    let per_connection = service_fn(move |_: IncomingStream<'_, TcpListener>| ready(Ok(answer.clone())));
    let server = axum::serve(listener, per_connection).with_graceful_shutdown(async move {
        stop.requested().await;
        let _ = stopping.send(());
    });
    // A client that never finishes its request must not keep the command from ending.
    let too_long = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = server => {}
        () = too_long => {}
    }
}

/// The app, as `lambda_session::app::service` makes it.
trait Handler: Service<lambda_http::Request, Response = Answer, Error = Infallible> + Clone + Send + 'static {}

impl<S> Handler for S where
    S: Service<lambda_http::Request, Response = Answer, Error = Infallible> + Clone + Send + 'static
{
}

type Answer = lambda_http::Response<lambda_http::Body>;

/// What Lambda does around the handler: limits the body, makes the event, and flattens the answer.
async fn answer<S>(service: S, request: Request, own_host: &str) -> Response
where
    S: Handler,
    S::Future: Send,
{
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return refuse(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let Ok(event) = event::to_lambda(&parts, &body, own_host) else {
        return refuse(StatusCode::BAD_REQUEST);
    };
    let answered = service.oneshot(event).await;
    let (mut parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
    parts.headers = flatten(&parts.headers);
    Response::from_parts(parts, Body::from(body.to_vec()))
}

fn refuse(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// Of a repeated header name only `Set-Cookie` survives payload 2.0; of others the first value.
fn flatten(headers: &HeaderMap) -> HeaderMap<HeaderValue> {
    let kept = headers.keys().flat_map(|name| {
        let limit = if name == header::SET_COOKIE { usize::MAX } else { 1 };
        headers
            .get_all(name)
            .iter()
            .take(limit)
            .map(|value| (name.clone(), value.clone()))
    });
    let mut flat = HeaderMap::new();
    for (name, value) in kept {
        flat.append(name, value);
    }
    flat
}
