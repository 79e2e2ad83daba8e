//! Tells API Gateway who is logged in, for the functions behind it.

use http::header::{COOKIE, HeaderValue};
use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::{Body, LambdaEvent, Request};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::event::clean;
use super::{Error, in_a_task, invoked, others_first, start_log};
use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::web::guard::require_login::RequireLoginLayer;
use crate::web::layer::SessionLayer;

/// Creates an authorizer: a function that API Gateway asks whether a request may pass, and who sends it. The functions
/// behind it, in any language, then need neither this library nor the table.
///
/// It reads the cookie that the site's own [`SessionLayer`] has sent, so build it from the same settings: the same
/// keys, table and cookie name.
///
/// ```no_run
/// use lambda_session::{DynamoDbStore, SessionLayer, lambda};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), lambda::Error> {
/// let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
/// lambda::authorizer(sessions).run().await
/// # }
/// ```
///
/// # What it answers
///
/// A request passes if the visitor is logged in: if the session has an [owner](Session::owner) or a `username`, or as a
/// [`guard`](Authorizer::guard) of yours says. The functions behind find two values in their events: `owner`, unless
/// the session has none, and `handle` ([`Session::handle`]).
///
/// | API | the response | where the values are |
/// |---|---|---|
/// | [HTTP API], payload 2.0 | simple, or a [policy](Authorizer::policies) | `requestContext.authorizer.lambda` |
/// | HTTP API, payload 1.0 | a policy | the same |
/// | [REST API], type `REQUEST` | a policy | `requestContext.authorizer` |
/// | [WebSocket API][ws], route `$connect` | a policy | `requestContext.authorizer`, for each message |
///
/// The payload in the table is the authorizer's. A function behind an HTTP API that gets payload 1.0 itself finds the
/// values in `requestContext.authorizer`.
///
/// A policy allows or denies the whole stage of the API, because the answer is the same for all its routes, and API
/// Gateway applies a policy that it has cached to other routes, too. A route with another [`guard`](Authorizer::guard)
/// needs an authorizer of its own.
///
/// Anyone who is not logged in gets 403 from API Gateway. If a header is missing that the authorizer names as identity
/// source, API Gateway answers 401 without asking the function (a REST API perhaps only if it caches); so name
/// `Cookie`. A REST API can make 401 of each 403 by its gateway response `ACCESS_DENIED`. The function does not fail
/// with `Unauthorized`, which would be 401, too, because every stranger could then trigger an alarm that counts its
/// errors.
///
/// If the store fails, or the event is not that of an authorizer, the invocation fails, and API Gateway answers 500. It
/// neither lets the request pass nor says that nobody is logged in.
///
/// # What it costs
///
/// One read of the store for each request that it is asked about, and none without a cookie that verifies. It writes
/// nothing and keeps no session alive, as [`LazySession::peek`](crate::LazySession::peek); the site's own pages do
/// that. A [bound](crate::SessionLayerBuilder::bound) session passes only with its second cookie, as everywhere. Leave
/// the paths of the layer's own requests, `/.session/*`, outside of the authorizer: the browser gets that cookie there.
///
/// # How long a logout takes
///
/// API Gateway may cache the answer for the value of the identity sources, and does not call the authorizer until the
/// cached answer expires. So after a logout, a copy of the cookie passes until then. So does a session that has
/// expired, and so do copied cookies of a [bound](crate::SessionLayerBuilder::bound) session after their second cookie
/// has expired (after ten minutes unless set). After a login, API Gateway asks at once, because the cookie is a new
/// one. If `Cookie` is not among the identity sources, one visitor even gets the answer that was made for another.
///
/// An HTTP API or a REST API caches for `AuthorizerResultTtlInSeconds`, which SAM calls `ReauthorizeEvery`: 300 seconds
/// unless set, and 3,600 at most. Set it to 0. A logout then ends everything at once, except requests that have passed
/// and open WebSocket connections. The read that a cache spares takes milliseconds.
///
/// A WebSocket API asks once for each connection, which lasts [two hours][quotas] at most. To end it with the session,
/// keep the `handle` beside the connection's ID, and [delete the connection][delete] at the logout.
///
/// [HTTP API]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
/// [REST API]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
/// [ws]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
/// [quotas]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
/// [delete]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
pub fn authorizer(sessions: SessionLayer) -> Authorizer {
    Authorizer {
        sessions,
        guard: RequireLoginLayer::new("/"),
        policies: false,
    }
}

/// A function that API Gateway asks who is logged in. See [`authorizer`].
#[derive(Clone, Debug)]
#[must_use = "`run` serves events"]
pub struct Authorizer {
    sessions: SessionLayer,
    guard: RequireLoginLayer,
    policies: bool,
}

impl Authorizer {
    /// Lets only those pass whom this guard lets pass. Its pages do not matter here, because API Gateway answers.
    ///
    /// ```
    /// # use lambda_session::{SessionLayer, lambda};
    /// # fn authorizer(sessions: SessionLayer) -> lambda::Authorizer {
    /// use lambda_session::RequireLoginLayer;
    ///
    /// let members = RequireLoginLayer::new("/login").logged_in_if(|session| session.contains_key("member"));
    /// lambda::authorizer(sessions).guard(members)
    /// # }
    /// ```
    pub fn guard(mut self, guard: RequireLoginLayer) -> Self {
        self.guard = guard;
        self
    }

    /// Answers an HTTP API's events of payload format 2.0 with a policy, too. Call it if the authorizer's
    /// `EnableSimpleResponses` is `false`: the events do not say how it is set. If the two differ, every request gets
    /// 500.
    ///
    /// ```
    /// # use lambda_session::{SessionLayer, lambda};
    /// # fn authorizer(sessions: SessionLayer) -> lambda::Authorizer {
    /// lambda::authorizer(sessions).policies()
    /// # }
    /// ```
    pub fn policies(mut self) -> Self {
        self.policies = true;
        self
    }

    /// Serves an authorizer's events until Lambda ends the process, several at once if Lambda sets
    /// `AWS_LAMBDA_MAX_CONCURRENCY`. Store calls keep to the invocation's deadline.
    ///
    /// If the program has set no `tracing` subscriber, this sets one, as [`start_log`] does.
    ///
    /// # Errors
    ///
    /// Fails if the Runtime API cannot be reached.
    pub async fn run(self) -> Result<(), Error> {
        start_log();
        let events = tower::service_fn(move |event| {
            let authorizer = self.clone();
            async move {
                others_first().await;
                authorizer.answer(event).await
            }
        });
        in_a_task(|| lambda_runtime::run_concurrent(events)).await
    }

    async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Value, Diagnostic> {
        let asked = Asked::read(event.payload.get()).map_err(|why| failure("NotAnAuthorizersEvent", why))?;
        let mut request = invoked(Request::new(Body::Empty), event.context);
        request.headers_mut().insert(COOKIE, asked.cookies);
        let visitor = self.visitor(&request).await;
        let visitor = visitor.map_err(|error| failure("SessionError", error))?;
        Ok(if asked.may_be_simple && !self.policies {
            simple(visitor.as_ref())
        } else {
            policy(visitor.as_ref(), &asked.stage)
        })
    }

    /// Returns the session of the request if it may pass.
    async fn visitor(&self, request: &Request) -> Result<Option<Session>, SessionError> {
        let session = self.sessions.open_request(request).session().peek().await?;
        Ok(self.guard.missing(&session).await?.is_none().then_some(session))
    }
}

/// What API Gateway asks about.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// All cookies of the request.
    cookies: HeaderValue,
    /// The resources of a policy: the whole stage of the API.
    stage: String,
    /// Whether the API may expect an answer without a policy.
    may_be_simple: bool,
}

impl Asked {
    /// Reads an event. The error says what is wrong with it, in words that are not from the event.
    fn read(event: &str) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Event {
            r#type: Option<String>,
            route_arn: Option<String>,
            method_arn: Option<String>,
            cookies: Option<Vec<String>>,
            headers: Option<Map<String, Value>>,
            multi_value_headers: Option<Map<String, Value>>,
        }
        let event: Event = serde_json::from_str(event).map_err(|_| "this event is not that of an authorizer")?;
        if event.r#type.as_deref() != Some("REQUEST") {
            return Err("this event is not that of an authorizer of the type REQUEST, which gets the cookies");
        }
        let may_be_simple = event.route_arn.is_some();
        let arn = event.route_arn.or(event.method_arn);
        let arn = arn.ok_or("this event has neither a routeArn nor a methodArn")?;
        let stage = whole_stage(&arn).ok_or("the ARN in this event names no stage of an API")?;
        let places = [
            event.cookies.unwrap_or_default(),
            cookie_lines(event.multi_value_headers),
            cookie_lines(event.headers),
        ];
        let lines = places.into_iter().find(|lines| !lines.is_empty());
        let cookies = HeaderValue::from_str(&clean(&lines.unwrap_or_default().join(";")));
        Ok(Self {
            cookies: cookies.map_err(|_| "the cookies in this event are not a header")?,
            stage,
            may_be_simple,
        })
    }
}

/// The values of the headers called `Cookie`.
fn cookie_lines(headers: Option<Map<String, Value>>) -> Vec<String> {
    let headers = headers.into_iter().flatten();
    let values = headers.filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let values = values.flat_map(|(_, value)| match value {
        Value::Array(values) => values,
        value => vec![value],
    });
    let lines = values.filter_map(|value| match value {
        Value::String(line) => Some(line),
        _ => None,
    });
    lines.collect()
}

/// Makes `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/*` of the ARN of one route. It is short, whatever the path is:
/// API Gateway takes up to 512 characters.
fn whole_stage(arn: &str) -> Option<String> {
    let (api, route) = arn.split_once('/')?;
    let (stage, _) = route.split_once('/')?;
    Some(format!("{api}/{stage}/*"))
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>
fn simple(visitor: Option<&Session>) -> Value {
    match visitor {
        Some(session) => json!({ "isAuthorized": true, "context": context(session) }),
        None => json!({ "isAuthorized": false }),
    }
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html>
fn policy(visitor: Option<&Session>, stage: &str) -> Value {
    let effect = if visitor.is_some() { "Allow" } else { "Deny" };
    let principal = visitor.and_then(|session| session.owner().or_else(|| session.handle()));
    json!({
        "principalId": principal.as_deref().unwrap_or("nobody"),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{ "Action": "execute-api:Invoke", "Effect": effect, "Resource": stage }],
        },
        "context": visitor.map(context).unwrap_or_default(),
    })
}

/// The values that the functions behind the authorizer get. A REST API takes only strings, numbers and booleans.
fn context(session: &Session) -> Map<String, Value> {
    let values = [("owner", session.owner()), ("handle", session.handle())];
    let values = values
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    values.collect()
}

fn failure(kind: &str, why: impl ToString) -> Diagnostic {
    Diagnostic {
        error_type: kind.to_owned(),
        error_message: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
