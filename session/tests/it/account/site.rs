//! The running account example, and visitors with cookies.

use std::ops::Deref;
use std::sync::Arc;

use dev::lambda::Answer;
pub(super) use dev::program::Table;
use dev::program::{Asked, Program};
pub(super) use dev::visitor::assert_redirect;
use serde_json::Value;

use crate::support::example;

const PROGRAM: &str = "application/json";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// The user agent of Firefox on Linux.
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// The running program.
pub(super) struct Site(Program);

impl Site {
    /// A function that serves many requests at once.
    pub(super) async fn function(table: &Table) -> Arc<Self> {
        Self::function_with("SESSION_SEALED", "", table).await
    }

    /// Starts a function with one more variable in its environment.
    pub(super) async fn function_with(name: &'static str, value: &str, table: &Table) -> Arc<Self> {
        Arc::new(Self(
            Program::function(example("account"), table, &[(name, value)]).await,
        ))
    }

    /// Starts a server on plain HTTP, over the table or over a `MemoryStore`.
    pub(super) async fn server(table: Option<&Table>) -> Arc<Self> {
        Arc::new(Self(Program::server(example("account"), table, &[]).await))
    }
}

impl Deref for Site {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

/// A visitor, who keeps the cookie. A clone is another tab with the present cookie.
#[derive(Clone)]
pub(super) struct Visitor {
    site: Arc<Site>,
    pub(super) cookie: Option<String>,
    accept: &'static str,
    /// More headers that the visitor sends with every request.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Visitor {
    /// Creates a visitor who wants JSON.
    pub(super) fn program(site: &Arc<Site>) -> Self {
        Self {
            site: Arc::clone(site),
            cookie: None,
            accept: PROGRAM,
            headers: Vec::new(),
        }
    }

    /// Returns the same visitor with a browser, who wants pages.
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
            address: None,
        };
        let answer = self.site.answer(asked).await;
        assert!(answer.cookies.len() <= 1, "{answer:?}");
        if !answer.cookies.is_empty() {
            self.cookie = Some(answer.cookie()).filter(|cookie| !cookie.ends_with('='));
        }
        answer
    }

    /// Returns the JSON of a page, after checking that it was found and set no cookie.
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
