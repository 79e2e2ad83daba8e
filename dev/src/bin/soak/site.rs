//! A program as its visitors see it.

use std::sync::Arc;
use std::time::Duration;

use dev::PATIENCE;
use dev::event::Event;
use dev::lambda::Answer;
use dev::runtime::{Outcome, RuntimeApi};
use tokio::time::timeout;

use crate::tally::Tally;

#[derive(Clone)]
pub(crate) struct Site {
    api: Arc<RuntimeApi>,
    tally: Arc<Tally>,
}

/// The description of something that must not happen.
pub(crate) type Violation = String;

impl Site {
    pub(crate) fn new(api: Arc<RuntimeApi>, tally: Arc<Tally>) -> Self {
        Self { api, tally }
    }

    /// Sends a request, with a cookie or without. Returns `None` if the site is out of service for now.
    pub(crate) async fn ask(&self, event: Event, cookie: Option<&str>) -> Result<Option<Answer>, Violation> {
        let event = cookie.into_iter().fold(event, Event::cookie).into_value();
        let path = event["rawPath"].to_string();
        let value = match self.invoke(event.to_string().into_bytes()).await {
            Some(Ok(value)) => value,
            other => return Err(format!("{path}: no answer: {other:?}")),
        };
        let answer = Answer::new(&value);
        self.tally.answered(answer.status);
        match answer.status {
            503 if answer.cookies.is_empty() => Ok(None),
            200 | 204 | 303 | 409 => Ok(Some(answer)),
            _ => Err(format!("{path}: {answer:?}")),
        }
    }

    /// Returns `None` if there is no answer in time. The time is counted in small pieces, so that a machine that slept
    /// does not count as a violation.
    async fn invoke(&self, event: Vec<u8>) -> Option<Outcome> {
        let mut outcome = self.api.invoke(event);
        for _ in 0..2 * PATIENCE.as_secs() {
            if let Ok(answered) = timeout(Duration::from_millis(500), &mut outcome).await {
                return answered.ok();
            }
        }
        None
    }

    /// Counts a check that held, or returns the violation.
    pub(crate) fn check(&self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds {
            self.tally.checked();
            Ok(())
        } else {
            Err(what())
        }
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
