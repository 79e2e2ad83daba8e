//! A program as its visitors see it.

use std::sync::Arc;

use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use serde_json::Value;

use crate::tally::Tally;

/// The description of something that must not happen.
pub(crate) type Violation = String;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    App,
    Account,
}

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) kind: Kind,
    program: Arc<Lambda>,
    tally: Arc<Tally>,
}

impl Site {
    pub(crate) fn new(kind: Kind, program: &Arc<Lambda>, tally: &Arc<Tally>) -> Self {
        let (program, tally) = (Arc::clone(program), Arc::clone(tally));
        Self { kind, program, tally }
    }

    /// Returns the form of a login. The app trusts any name.
    pub(crate) fn login(&self, name: &str) -> Event {
        match self.kind {
            Kind::App => Event::post_form("/login", &[("username", name)]),
            Kind::Account => {
                let password = "correct horse battery staple";
                Event::post_form("/login", &[("username", name), ("password", password)])
            }
        }
    }

    pub(crate) fn logout(&self) -> Event {
        match self.kind {
            Kind::App => Event::get("/logout").header("sec-fetch-site", "same-origin"),
            Kind::Account => Event::post_form("/logout", &[]),
        }
    }

    /// Returns the name of the visitor who is logged in, as the start page shows it.
    pub(crate) fn who(&self, start_page: &Answer) -> Option<String> {
        match self.kind {
            Kind::App if start_page.body.contains("You are not logged in") => None,
            Kind::App => {
                let name = start_page.body.split("Logged in as ").nth(1).unwrap_or_default();
                name.split('<').next().map(str::to_owned)
            }
            Kind::Account => body(start_page)["username"].as_str().map(str::to_owned),
        }
    }

    /// Sends a request, with a cookie or without. Returns `None` if the site is out of service for now.
    pub(crate) async fn ask(&self, event: Event, cookie: Option<&str>) -> Result<Option<Answer>, Violation> {
        let event = event.with("/headers/accept", "application/json");
        let event = cookie.into_iter().fold(event, Event::cookie).into_value();
        let path = event["rawPath"].to_string();
        let answer = self.program.invoke(event).await;
        let answer = answer.map_err(|error| format!("{path}: {error:?}"))?;
        self.tally.count("requests", answer.status);
        match answer.status {
            503 if answer.cookies.is_empty() => Ok(None),
            200 | 204 | 303 | 409 => Ok(Some(answer)),
            _ => Err(format!("{path}: {answer:?}")),
        }
    }

    /// Counts a check that held, or returns the violation.
    pub(crate) fn check(&self, holds: bool, what: String) -> Result<(), Violation> {
        if !holds {
            return Err(what);
        }
        self.tally.count("checks", "held");
        Ok(())
    }
}

/// Returns the cookie that an answer sets, if it sets one.
pub(crate) fn issued(answer: &Answer) -> Option<String> {
    let [cookie] = answer.cookies.as_slice() else {
        return None;
    };
    let pair = cookie.split(';').next().unwrap_or_default();
    (!pair.ends_with('=')).then(|| pair.to_owned())
}

/// Returns the JSON of an answer.
pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}
