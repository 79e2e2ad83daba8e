//! The examples where they run, behind the Runtime API or as a server, and a table for them.

use std::process::Stdio;

use axum::Form;
use axum::body::{Body, to_bytes};
use axum::response::IntoResponse as _;
use dev::PATIENCE;
use dev::dynamodb::{Embedded, table};
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::proxy::Proxy;
use http::{Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{SECRET_KEY, example};

/// An empty table behind a proxy.
pub(crate) struct Table {
    pub(crate) proxy: Proxy,
    pub(crate) dynamodb: Embedded,
}

impl Table {
    pub(crate) async fn new() -> Self {
        let dynamodb = Embedded::in_memory().await;
        Self {
            proxy: Proxy::start(&dynamodb.endpoint()),
            dynamodb,
        }
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("TABLE_NAME", table::NAME.to_owned()),
            ("DYNAMODB_ENDPOINT", self.proxy.endpoint()),
        ]
    }
}

/// A running example. It ends with the value.
pub(crate) enum Program {
    Function(Lambda),
    Server { address: String, _process: Child },
}

/// More of the environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

impl Program {
    /// A function that serves many requests at once.
    pub(crate) async fn function(name: &str, table: &Table, more: Variables<'_>) -> Self {
        let environment = [("SECRET_KEY", SECRET_KEY), ("AWS_LAMBDA_MAX_CONCURRENCY", "32")];
        let environment = environment
            .iter()
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self::Function(Lambda::start(example(name), environment.chain(table.environment())).await)
    }

    /// A server on plain http: over the table, or over a `MemoryStore`.
    pub(crate) async fn server(name: &str, table: Option<&Table>, more: Variables<'_>) -> Self {
        let mut command = Command::new(example(name));
        command
            .args(["--port", "0"])
            .env_clear()
            .env("SECRET_KEY", SECRET_KEY)
            .env("SESSION_COOKIE_SECURE", "false")
            .envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "local")))
            .env("AWS_REGION", "eu-central-1")
            .envs(table.iter().flat_map(|table| table.environment()))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("the example");
        let mut printed = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let first = timeout(PATIENCE, printed.next_line())
            .await
            .expect("an address in time");
        let address = first.expect("a readable pipe").expect("a line");
        tokio::spawn(async move { while let Ok(Some(_)) = printed.next_line().await {} });
        Self::Server {
            address,
            _process: process,
        }
    }

    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Server { address, .. } => address,
            Self::Function(_) => panic!("a function has no address"),
        }
    }

    pub(crate) async fn answer(&self, request: Asked<'_>) -> Answer {
        match self {
            Self::Function(lambda) => lambda.invoke(request.event()).await.expect("an answer"),
            Self::Server { address, .. } => {
                let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
                let response = client.request(request.over_http(address)).await.expect("an answer");
                let (parts, body) = response.into_parts();
                let body = to_bytes(Body::new(body), usize::MAX).await.expect("a body");
                let text = |value: &http::HeaderValue| value.to_str().expect("a text").to_owned();
                Answer {
                    status: parts.status.as_u16(),
                    headers: parts
                        .headers
                        .iter()
                        .map(|(name, value)| (name.to_string(), text(value)))
                        .collect(),
                    cookies: parts.headers.get_all(header::SET_COOKIE).iter().map(text).collect(),
                    body: String::from_utf8(body.to_vec()).expect("a page is text"),
                }
            }
        }
    }
}

/// A request that was not sent yet.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) form: Option<&'a [(&'a str, &'a str)]>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) cookie: Option<&'a str>,
    /// Where a function is told that it comes from.
    pub(crate) address: Option<&'a str>,
}

impl Asked<'_> {
    fn event(self) -> Value {
        let mut event = match self.form {
            Some(fields) => Event::post_form(self.path, fields),
            None => Event::get(self.path),
        };
        for (name, value) in self.headers {
            event = event.with(&format!("/headers/{name}"), value);
        }
        if let Some(address) = self.address {
            event = event.with("/requestContext/http/sourceIp", address);
        }
        match self.cookie {
            Some(cookie) => event.header("cookie", cookie).into_value(),
            None => event.into_value(),
        }
    }

    fn over_http(self, address: &str) -> Request<Body> {
        let (method, (mut parts, body)) = match self.form {
            Some(fields) => ("POST", Form(fields).into_response().into_parts()),
            None => ("GET", ().into_response().into_parts()),
        };
        let mut request = Request::builder().method(method).uri(format!("{address}{}", self.path));
        if let Some(content_type) = parts.headers.remove(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(cookie) = self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.body(body).expect("a request")
    }
}
