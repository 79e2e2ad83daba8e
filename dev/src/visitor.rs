//! Visitors of the examples, with browsers that keep cookies.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lambda::Answer;
use crate::program::{Asked, Program};

/// A visitor with a browser, who keeps cookies. A clone is another tab with the present cookies.
#[derive(Clone, Debug)]
pub struct Visitor {
    program: Arc<Program>,
    /// The cookies, by name.
    pub jar: BTreeMap<String, String>,
    /// The visitor's address.
    pub address: String,
    /// More headers that the visitor sends with every request.
    pub headers: Vec<(&'static str, String)>,
}

impl Visitor {
    /// Creates a visitor who has never been at this program.
    pub fn of(program: &Arc<Program>) -> Self {
        Self {
            program: Arc::clone(program),
            jar: BTreeMap::new(),
            address: "203.0.113.7".to_owned(),
            headers: Vec::new(),
        }
    }

    /// Returns the same visitor at another address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// Goes to a page.
    ///
    /// # Panics
    ///
    /// There is no answer, or it sets something that is not a cookie.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(path, None).await
    }

    /// Submits a form.
    ///
    /// # Panics
    ///
    /// As [`Visitor::get`].
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(path, Some(fields)).await
    }

    async fn ask(&mut self, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let cookies: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept", "text/html".to_owned())];
        headers.extend(self.headers.iter().cloned());
        let asked = Asked {
            path,
            form,
            headers,
            cookie: Some(cookies.as_str()).filter(|cookies| !cookies.is_empty()),
            address: Some(&self.address),
        };
        let answer = self.program.answer(asked).await;
        for cookie in &answer.cookies {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            self.jar.insert(name.to_owned(), value.to_owned());
        }
        self.jar.retain(|_, value| !value.is_empty());
        answer
    }

    /// Returns the session's cookie.
    pub fn session(&self) -> Option<&String> {
        self.jar.get("__Host-session").or_else(|| self.jar.get("session"))
    }

    /// Tries to log in with a password.
    ///
    /// # Panics
    ///
    /// As [`Visitor::get`].
    pub async fn log_in(&mut self, name: &str, password: &str) -> Answer {
        self.post("/login", &[("username", name), ("password", password)]).await
    }

    /// Returns the name of the person who is logged in.
    ///
    /// # Panics
    ///
    /// As [`Visitor::get`], and if the start page is not found or sets a cookie.
    pub async fn who(&mut self) -> Option<String> {
        let page = self.get("/").await;
        assert_eq!((page.status, page.cookies.len()), (200, 0), "{page:?}");
        let (_, after) = page.body.split_once("<h1>Logged in as ")?;
        after.split('<').next().map(str::to_owned)
    }
}

/// Checks that the answer redirects to this path, as after a form.
///
/// # Panics
///
/// The answer does not.
#[track_caller]
pub fn assert_redirect(answer: &Answer, to: &str) {
    let location = answer.headers.get("location").map(String::as_str);
    assert_eq!((answer.status, location), (303, Some(to)), "{answer:?}");
}

/// Checks that the answer is a page that says what is wrong, and sets no cookie.
///
/// # Panics
///
/// The answer is not such a page.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.cookies.len()), (status, 0), "{answer:?}");
    assert!(answer.body.contains(text), "{answer:?}");
}
