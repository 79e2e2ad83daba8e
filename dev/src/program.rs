//! A running example of the library, behind the Runtime API or as a server, and a table for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::dynamodb::{Embedded, table};
use crate::event::{Event, form};
use crate::lambda::{Answer, Lambda};
use crate::proxy::Proxy;

/// The secret key of every program here, long enough for the library.
pub const SECRET_KEY: &str = "a key for tests that is longer than thirty-two bytes";

/// Returns the path of one of the examples that cargo built beside the test that calls this.
///
/// # Panics
///
/// There is none with this name.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let build = test.ancestors().nth(2).expect("a build directory");
    let example = build
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        example.exists(),
        "{} is missing: `cargo build --examples` makes it",
        example.display()
    );
    example
}

/// An empty table behind a proxy.
#[derive(Debug)]
pub struct Table {
    /// The proxy for the program's calls.
    pub proxy: Proxy,
    /// The DynamoDB with the table, without the proxy.
    pub dynamodb: Embedded,
}

impl Table {
    /// Starts both, in this process.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn new() -> Self {
        let dynamodb = Embedded::in_memory().await;
        Self {
            proxy: Proxy::start(&dynamodb.endpoint()),
            dynamodb,
        }
    }

    /// Makes all proofs older that sessions have noted (`Session::confirm`), by so many seconds.
    pub fn age_proofs(&self, seconds: u64) {
        self.dynamodb.edit(|item| {
            let proofs = item.pointer_mut("/data/M/_confirmed/M").and_then(Value::as_object_mut);
            for (_, time) in proofs.into_iter().flatten() {
                let then: u64 = time["N"]
                    .as_str()
                    .and_then(|time| time.parse().ok())
                    .unwrap_or_default();
                *time = json!({ "N": (then - seconds).to_string() });
            }
        });
    }

    /// Returns the variables that tell a program where the table is.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("TABLE_NAME", table::NAME.to_owned()),
            ("DYNAMODB_ENDPOINT", self.proxy.endpoint()),
        ]
    }
}

/// A running program. It ends when the value is dropped.
#[derive(Debug)]
pub enum Program {
    /// A function in its sandbox.
    Function(Lambda),
    /// A server.
    Server {
        /// The URL at which it listens, without a path.
        address: String,
        /// The process of the server.
        process: Child,
        /// What the server has printed after its address.
        log: JoinHandle<String>,
    },
}

/// More variables of the environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

impl Program {
    /// Starts the compiled program as a function that serves many requests at once.
    ///
    /// # Panics
    ///
    /// The program cannot be started.
    pub async fn function(path: impl AsRef<Path>, table: &Table, more: Variables<'_>) -> Self {
        let environment = [("SECRET_KEY", SECRET_KEY), ("AWS_LAMBDA_MAX_CONCURRENCY", "32")];
        let environment = environment
            .iter()
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self::Function(Lambda::start(path.as_ref(), environment.chain(table.environment())).await)
    }

    /// Starts the compiled program as a server on plain HTTP, over the table or with its sessions in memory.
    ///
    /// # Panics
    ///
    /// The program cannot be started, or does not print its address.
    pub async fn server(path: impl AsRef<Path>, table: Option<&Table>, more: Variables<'_>) -> Self {
        let mut command = Command::new(path.as_ref());
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
        let mut process = command.spawn().expect("the program");
        let mut printed = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let first = timeout(PATIENCE, printed.next_line())
            .await
            .expect("an address in time");
        let address = first.expect("a readable pipe").expect("a line");
        let log = tokio::spawn(async move {
            let mut log = String::new();
            while let Ok(Some(line)) = printed.next_line().await {
                log = log + &line + "\n";
            }
            log
        });
        Self::Server { address, process, log }
    }

    /// Returns the URL at which the server listens, without a path.
    ///
    /// # Panics
    ///
    /// The program is a function.
    pub fn address(&self) -> &str {
        match self {
            Self::Server { address, .. } => address,
            Self::Function(_) => panic!("a function has no address"),
        }
    }

    /// Ends the program, and returns what it has printed: a server after its address.
    ///
    /// # Panics
    ///
    /// The program has ended already.
    pub async fn stop(self) -> String {
        match self {
            Self::Function(mut lambda) => lambda.kill().await.stdout,
            Self::Server { mut process, log, .. } => {
                process.kill().await.expect("a running server");
                log.await.expect("the end of the pipe")
            }
        }
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Panics
    ///
    /// There is no answer, or its body is not text.
    pub async fn answer(&self, request: Asked<'_>) -> Answer {
        match self {
            Self::Function(lambda) => lambda.invoke(request.event()).await.expect("an answer"),
            Self::Server { address, .. } => {
                let client = Client::builder(TokioExecutor::new()).build_http();
                let response = client.request(request.over_http(address)).await.expect("an answer");
                let (parts, body) = response.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let text = |value: &HeaderValue| value.to_str().expect("a text").to_owned();
                Answer {
                    status: parts.status.as_u16(),
                    headers: parts
                        .headers
                        .iter()
                        .map(|(name, value)| (name.to_string(), text(value)))
                        .collect(),
                    cookies: parts.headers.get_all(SET_COOKIE).iter().map(text).collect(),
                    body: String::from_utf8(body.to_vec()).expect("a page is text"),
                }
            }
        }
    }
}

/// A request that is not sent yet.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The path, with a query if it has one.
    pub path: &'a str,
    /// The fields of a form to POST. Without them the request is a GET.
    pub form: Option<&'a [(&'a str, &'a str)]>,
    /// More headers, by names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The `Cookie` header.
    pub cookie: Option<&'a str>,
    /// The address of the visitor, which a function sees.
    pub address: Option<&'a str>,
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

    fn over_http(self, address: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().uri(format!("{address}{}", self.path));
        if self.form.is_some() {
            request = request
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(cookie) = self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let body = self.form.map(form).unwrap_or_default();
        request.body(Full::from(body)).expect("a request")
    }
}
