//! Device Bound Session Credentials (<https://w3c.github.io/webappsec-dbsc/>): the layer's part of the protocol.
//!
//! ```text
//! browser                                                   layer                              store
//!    │ ── a login ─────────────────────────────────────────▶ │ ── as always ───────────────────▶ │
//!    │ ◀─ Secure-Session-Registration: a challenge ───────── │                                   │
//!    │ ── POST /.session/bind: key and challenge, signed ──▶ │ ── load, swap: the key ─────────▶ │
//!    │ ◀─ second cookie, what it protects, next challenge ── │                                   │
//!    ⋮   until the second cookie is about to end             │                                   │
//!    │ ── POST /.session/refresh: challenge, signed ───────▶ │ ── load ────────────────────────▶ │
//!    │ ◀─ second cookie, next challenge ──────────────────── │                                   │
//! ```
//!
//! A renewal keeps the key, and the browser does not notice it: the browser's name for the session and its challenges
//! stay those of the session that was bound first. A refresh request finds the current session by the session's cookie.
//! If another site's page caused the refresh, the browser sends no such cookie, and the query of the refresh URL names
//! the session.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::core::bound::Binding;
use crate::core::bound::proof::{ALGORITHMS, MOST_BYTES, Proof};
use crate::core::bound::tokens::{Purpose, Tokens};
use crate::core::cookie::{set_cookie, values};
use crate::core::id::{RecordKey, SessionId};
use crate::core::record::WriteToken;
use crate::protocol::bind::{Bind, bound};
use crate::protocol::budget::Budget;
use crate::protocol::error::{SessionError, short_answer};
use crate::protocol::next::Task;
use crate::protocol::random;
use crate::protocol::run::without_ids;
use crate::session::found::{CookieAction, Found};
use crate::session::lazy::LazySession;

pub(super) const REGISTRATION: HeaderName = HeaderName::from_static("secure-session-registration");
const CHALLENGE: HeaderName = HeaderName::from_static("secure-session-challenge");
const RESPONSE: HeaderName = HeaderName::from_static("secure-session-response");
const SESSION: HeaderName = HeaderName::from_static("sec-secure-session-id");

/// The seconds for which the challenge of a registration is good. The challenge of a refresh is sent together with the
/// second cookie, and is good for this many seconds longer than that cookie.
const MINUTES: u64 = 300;

/// Begins the query of the URL at which a browser refreshes. The name of the session of its last refresh follows.
const LAST: &str = "session=";

/// The most seconds after a registration in which requests need no second cookie: those that were on their way.
const ON_ITS_WAY: u64 = 60;

/// Binds the sessions of one layer.
#[derive(Debug)]
pub(crate) struct Bound {
    tokens: Tokens,
    /// The name and the attributes of the second cookie.
    name: String,
    tail: String,
    /// The seconds for which the second cookie is good.
    life: u64,
    bind: String,
    refresh: String,
    scope: serde_json::Value,
}

/// A request that the layer answers itself, with a proof if the browser has sent one.
#[derive(Clone)]
pub(super) enum Asked {
    Bind(Option<String>),
    Refresh {
        /// The name by which the browser calls the session.
        name: Option<String>,
        /// The session of the last refresh.
        last: Option<RecordKey>,
        proof: Option<String>,
    },
}

/// One request to a layer that binds its sessions.
pub(crate) struct BoundVisit {
    pub(super) bound: Arc<Bound>,
    /// The IDs of the cookies, each with the time until which the request's second cookie for it is good.
    pub(crate) second: Vec<(SessionId, Option<u64>)>,
    pub(super) asked: Option<Asked>,
    /// Whether the request presents a second cookie.
    has_second: bool,
    /// Whether the request presents second cookies, but only those of other sessions.
    foreign: bool,
}

impl BoundVisit {
    /// Sets or removes the second cookie, or asks the browser to register a key, depending on what the answer does to
    /// the session's cookie.
    pub(crate) fn finish<B>(self, action: &CookieAction, session: &LazySession, response: &mut Response<B>) {
        let Some(budget) = &session.0.budget else { return };
        let (bound, headers, now) = (&self.bound, response.headers_mut(), budget.settings.moment().now);
        let state = session.0.state();
        let found = &state.found;
        // A late answer to an earlier request may have overwritten the second cookie with that of the previous session.
        // The browser does not refresh while it has that cookie, so the cookie is removed.
        let is_stale = self.foreign && found.locked;
        let clears = self.has_second && (is_stale || *action != CookieAction::Keep);
        let mut second = clears.then(|| set_cookie(&bound.name, "", &bound.tail, Some(0)));
        if let CookieAction::Issue(id, _, renewed) = action {
            let is_bound = found.session.as_ref().is_some_and(|(_, record)| record.is_bound());
            // After a renewal, the second cookie ends when the previous one would have ended. Otherwise somebody
            // without the key could keep the session open for ever by renewing it.
            if let Some(until) = found.second(id.record_key()) {
                second = Some(bound.second(id.record_key(), until, now));
            } else if *renewed && !is_bound {
                headers.extend([bound.registration(id, now)]);
            }
        }
        if let Some(second) = second {
            headers.append(header::SET_COOKIE, second);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

impl Bound {
    /// Takes the name of the session's cookie, the attributes as they follow the second cookie's value, their `Domain`,
    /// the seconds for which the second cookie is good, and the folder of the two paths.
    pub(crate) fn new(tokens: Tokens, cookie: &str, tail: String, domain: Option<&str>, life: u64, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        Self {
            tokens,
            name: format!("{cookie}-bound"),
            tail,
            life,
            bind: format!("{path}/bind"),
            refresh: format!("{path}/refresh"),
            scope: match domain {
                Some(domain) => json!({ "origin": format!("https://{domain}"), "include_site": true }),
                None => json!({ "include_site": false }),
            },
        }
    }

    /// Looks at a request whose cookies have these IDs.
    pub(crate) fn visit<B>(self: Arc<Self>, request: &Request<B>, ids: &[SessionId], now: u64) -> BoundVisit {
        let presented = || values(request.headers(), &self.name);
        let until = |id: &SessionId| {
            let opens = |value| self.tokens.opens(value, id.record_key(), now, self.life);
            presented().filter_map(opens).max()
        };
        let second: Vec<_> = ids.iter().map(|id| (id.clone(), until(id))).collect();
        let is_of_one = |value| ids.iter().any(|id| self.tokens.until(value, id.record_key()).is_some());
        // The usual one is good, so it is not verified twice.
        let is_good = second.iter().any(|(_, until)| until.is_some());
        let has_second = presented().next().is_some();
        BoundVisit {
            second,
            asked: self.asked(request),
            has_second,
            foreign: has_second && !is_good && !presented().any(is_of_one),
            bound: self,
        }
    }

    /// The header by which the answer to a login or a renewal asks the browser to bind the session.
    fn registration(&self, id: &SessionId, now: u64) -> (HeaderName, HeaderValue) {
        let challenge = self
            .tokens
            .token(Purpose::Bind, id.record_key(), now.saturating_add(MINUTES));
        let path = &self.bind;
        let value = format!("({ALGORITHMS});path=\"{path}\";challenge=\"{challenge}\"");
        (REGISTRATION, secret(&value))
    }

    /// What the request asks of the layer itself.
    fn asked<B>(&self, request: &Request<B>) -> Option<Asked> {
        if request.method() != Method::POST {
            return None;
        }
        let text = |name| string(request.headers(), name);
        match request.uri().path() {
            path if path == self.bind => Some(Asked::Bind(text(&RESPONSE))),
            path if path == self.refresh => Some(Asked::Refresh {
                name: text(&SESSION),
                last: request
                    .uri()
                    .query()
                    .and_then(|query| self.named(query.strip_prefix(LAST)?)),
                proof: text(&RESPONSE),
            }),
            _ => None,
        }
    }

    /// Answers a request that asks the layer itself.
    pub(super) async fn answer(self: Arc<Self>, asked: Asked, session: LazySession) -> Response<String> {
        let answer = match (asked, &session.0.budget) {
            (_, None) => Err(SessionError::no_layer()),
            (Asked::Bind(proof), Some(budget)) => self.bind(proof, budget).await,
            (Asked::Refresh { name, last, proof }, Some(budget)) => {
                let keys = Found::reading(&session.0.state().found.ids);
                let keys = keys.unwrap_or_else(|| last.into_iter().collect());
                self.refresh(name, keys, proof, budget).await
            }
        };
        let mut response = answer.unwrap_or_else(|error| {
            error.log();
            error.into_response()
        });
        response.extensions_mut().insert(session);
        response
    }

    /// Binds the session for which the challenge was made, at its login or its renewal.
    async fn bind(&self, proof: Option<String>, budget: &Budget) -> Result<Response<String>, SessionError> {
        let at = budget.settings.moment();
        let now = at.now;
        let proven = || {
            let proof = Proof::read(proof.as_deref()?)?;
            let session = self.tokens.challenged(Purpose::Bind, &proof.challenge, now, MINUTES)?;
            let key = proof.key.as_ref().filter(|key| proof.verifies(key))?;
            let from = now.saturating_add(ON_ITS_WAY.min(self.life / 10));
            Some((session, Binding::new(from, key)))
        };
        let Some((first, binding)) = proven() else {
            return Ok(refused(
                "the request does not prove that the browser has a key for a session",
            ));
        };
        let task = Task::Bind(Box::new(Bind {
            key: first.clone(),
            binding,
            token: WriteToken::new(random::bytes()?),
        }));
        let (known, _) = without_ids(budget, &task, &at).await?;
        match bound(&known, std::slice::from_ref(&first), &first, &at) {
            Some((session, _)) => {
                let name = self.tokens.token(Purpose::Name, &first, now);
                Ok(self.instructions(&name, &first, session, now))
            }
            None => Ok(refused("there is no such session to bind")),
        }
    }

    /// Issues a new second cookie to a browser that proves that it has the key. The session is one of `keys`, or a
    /// renewal of one of them. If `keys` is empty, it is the session that `name` names, or a renewal of that session.
    async fn refresh(
        &self,
        name: Option<String>,
        mut keys: Vec<RecordKey>,
        proof: Option<String>,
        budget: &Budget,
    ) -> Result<Response<String>, SessionError> {
        let at = budget.settings.moment();
        let now = at.now;
        let first = name.as_deref().and_then(|name| self.named(name));
        let (Some(name), Some(first)) = (name, first) else {
            return Ok(refused("the request does not name a bound session"));
        };
        let Some(proof) = proof else {
            return Ok(self.challenge(&name, &first, now));
        };
        let Some(proof) = Proof::read(&proof) else {
            return Ok(refused("the proof is malformed"));
        };
        let answered = self
            .tokens
            .challenged(Purpose::Refresh, &proof.challenge, now, self.challenge_life());
        if answered.as_ref() != Some(&first) {
            return Ok(self.challenge(&name, &first, now));
        }
        if keys.is_empty() {
            keys.push(first.clone());
        }
        let (known, _) = without_ids(budget, &Task::Follow(keys.clone()), &at).await?;
        match bound(&known, &keys, &first, &at) {
            Some((session, key)) if proof.verifies(key) => Ok(self.instructions(&name, &first, session, now)),
            Some(_) => Ok(refused("the proof was made with another key")),
            // Also if the browser has another session now, whose second cookie it keeps.
            None => Ok(over()),
        }
    }

    /// The session of a name that this layer gave.
    fn named(&self, name: &str) -> Option<RecordKey> {
        let (session, _) = self.tokens.read(Purpose::Name, name)?;
        Some(session)
    }

    /// The seconds for which the challenge of a refresh is good.
    fn challenge_life(&self) -> u64 {
        self.life.saturating_add(MINUTES)
    }

    /// The next challenge for the session that the browser calls so, which it signs at its next refresh.
    fn next_challenge(&self, name: &str, first: &RecordKey, now: u64) -> (HeaderName, HeaderValue) {
        let until = now.saturating_add(self.challenge_life());
        let challenge = self.tokens.token(Purpose::Refresh, first, until);
        (CHALLENGE, secret(&format!("\"{challenge}\";id=\"{name}\"")))
    }

    /// Asks the browser to sign a challenge and to come again.
    fn challenge(&self, name: &str, first: &RecordKey, now: u64) -> Response<String> {
        let mut response = answer(StatusCode::FORBIDDEN, "{}".to_owned());
        response.headers_mut().extend([self.next_challenge(name, first, now)]);
        response
    }

    /// The second cookie of the session, which is good until this time.
    fn second(&self, session: &RecordKey, until: u64, now: u64) -> HeaderValue {
        // The browser asks for the next one before this one ends, also where a clock is behind.
        let margin = now.saturating_add(ON_ITS_WAY.min(self.life / 10));
        let value = self.tokens.cookie(session, until);
        set_cookie(&self.name, &value, &self.tail, Some(until.saturating_sub(margin)))
    }

    /// Gives the second cookie of the session, and tells the browser what it protects. The browser calls the session by
    /// the name of the one that was bound first.
    fn instructions(&self, name: &str, first: &RecordKey, session: &RecordKey, now: u64) -> Response<String> {
        let last = self.tokens.token(Purpose::Name, session, now);
        let instructions = json!({
            "session_identifier": name,
            "refresh_url": format!("{}?{LAST}{last}", self.refresh),
            "scope": self.scope,
            "credentials": [{
                "type": "cookie",
                "name": self.name,
                "attributes": self.tail.trim_start_matches("; "),
            }],
            // Whoever follows a link from another site is logged in there, too.
            "allowed_refresh_initiators": ["*"],
        });
        let mut response = answer(StatusCode::OK, instructions.to_string());
        let second = self.second(session, now.saturating_add(self.life), now);
        let challenge = self.next_challenge(name, first, now);
        response.headers_mut().extend([(header::SET_COOKIE, second), challenge]);
        response
    }
}

/// Reads a header of at most `MOST_BYTES` as a structured string (RFC 9651, section 3.3.3), without its parameters. A
/// value without quotes is returned whole.
fn string(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers
        .get(name)
        .filter(|value| value.len() <= MOST_BYTES)?
        .to_str()
        .ok()?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?.0,
        None => value,
    };
    Some(value.to_owned())
}

fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::try_from(text).expect("tokens, names of algorithms and the path are visible ASCII");
    value.set_sensitive(true);
    value
}

/// Tells the browser that the session is not bound any more.
fn over() -> Response<String> {
    answer(StatusCode::OK, json!({ "continue": false }).to_string())
}

fn refused(problem: &str) -> Response<String> {
    answer(StatusCode::BAD_REQUEST, json!({ "error": problem }).to_string())
}

/// An answer that no cache keeps, and that no other site shows.
fn answer(status: StatusCode, json: String) -> Response<String> {
    let mut response = short_answer(status, json);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

#[cfg(test)]
mod tests;
