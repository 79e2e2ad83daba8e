//! The account example where it runs, behind the Runtime API or as a server, and visitors with cookies.

use std::process::Stdio;
use std::sync::Arc;

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

use crate::support::{SECRET_KEY, example};

const PROGRAM: &str = "application/json";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// Firefox on Linux, as events have it.
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// An empty table behind a proxy.
pub(super) struct Table {
    pub(super) proxy: Proxy,
    _dynamodb: Embedded,
}

impl Table {
    pub(super) async fn new() -> Self {
        let dynamodb = Embedded::in_memory().await;
        Self {
            proxy: Proxy::start(&dynamodb.endpoint()),
            _dynamodb: dynamodb,
        }
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("TABLE_NAME", table::NAME.to_owned()),
            ("DYNAMODB_ENDPOINT", self.proxy.endpoint()),
        ]
    }
}

/// The running program. It ends with the value.
pub(super) enum Site {
    Function(Lambda),
    Server { address: String, _process: Child },
}

impl Site {
    /// A function that serves many requests at once.
    pub(super) async fn function(table: &Table) -> Arc<Self> {
        Self::function_with("SESSION_SEALED", "", table).await
    }

    /// The same with one more variable in its environment.
    pub(super) async fn function_with(name: &'static str, value: &str, table: &Table) -> Arc<Self> {
        let environment = [
            ("SECRET_KEY", SECRET_KEY.to_owned()),
            ("AWS_LAMBDA_MAX_CONCURRENCY", "32".to_owned()),
            (name, value.to_owned()),
        ];
        let environment = environment.into_iter().chain(table.environment());
        Arc::new(Self::Function(Lambda::start(example("account"), environment).await))
    }

    /// A server on plain http: over the table, or over a `MemoryStore`.
    pub(super) async fn server(table: Option<&Table>) -> Arc<Self> {
        let mut command = Command::new(example("account"));
        command
            .args(["--port", "0"])
            .env_clear()
            .env("SECRET_KEY", SECRET_KEY)
            .env("SESSION_COOKIE_SECURE", "false")
            .envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "local")))
            .env("AWS_REGION", "eu-central-1")
            .envs(table.iter().flat_map(|table| table.environment()))
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
        Arc::new(Self::Server {
            address,
            _process: process,
        })
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::Server { address, .. } => address,
            Self::Function(_) => panic!("a function has no address"),
        }
    }

    async fn answer(&self, request: Asked<'_>) -> Answer {
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
struct Asked<'a> {
    path: &'a str,
    form: Option<&'a [(&'a str, &'a str)]>,
    headers: Vec<(&'static str, String)>,
    cookie: Option<&'a str>,
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
        self.cookie.into_iter().fold(event, Event::cookie).into_value()
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

/// A visitor, who keeps the cookie. A clone is another tab that has the cookie of now.
#[derive(Clone)]
pub(super) struct Visitor {
    site: Arc<Site>,
    pub(super) cookie: Option<String>,
    accept: &'static str,
    /// What else the visitor sends with every request.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Visitor {
    /// One who wants JSON.
    pub(super) fn program(site: &Arc<Site>) -> Self {
        Self {
            site: Arc::clone(site),
            cookie: None,
            accept: PROGRAM,
            headers: Vec::new(),
        }
    }

    /// The same visitor with a browser, who wants pages.
    pub(super) fn with_browser(&self) -> Self {
        Self {
            accept: BROWSER,
            ..self.clone()
        }
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.ask(path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(path, Some(fields)).await
    }

    async fn ask(&mut self, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let mut headers = vec![("accept", self.accept.to_owned()), ("user-agent", FIREFOX.to_owned())];
        headers.extend(self.headers.iter().cloned());
        let asked = Asked {
            path,
            form,
            headers,
            cookie: self.cookie.as_deref(),
        };
        let answer = self.site.answer(asked).await;
        assert!(answer.cookies.len() <= 1, "{answer:?}");
        if !answer.cookies.is_empty() {
            self.cookie = Some(answer.cookie()).filter(|cookie| !cookie.ends_with('='));
        }
        answer
    }

    /// The JSON of a page that is there and leaves the cookie alone.
    pub(super) async fn json(&mut self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!((answer.status, answer.cookies.len()), (200, 0), "{path}: {answer:?}");
        json(&answer)
    }

    /// Logs in, with the right password.
    pub(super) async fn log_in(&mut self, username: &str, more: &[(&str, &str)]) -> Answer {
        let fields = [&[("username", username), ("password", PASSWORD)], more].concat();
        let answer = self.post("/login", &fields).await;
        assert_redirect(&answer, "/");
        answer
    }
}

pub(super) const PASSWORD: &str = "correct horse battery staple";

#[track_caller]
pub(super) fn json(answer: &Answer) -> Value {
    assert_eq!(answer.headers["content-type"], "application/json", "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

#[track_caller]
pub(super) fn assert_redirect(answer: &Answer, to: &str) {
    let location = answer.headers.get("location").map(String::as_str);
    assert_eq!((answer.status, location), (303, Some(to)), "{answer:?}");
}
