//! The demo in this process, over a DynamoDB whose calls are counted: the handler without the machinery of Lambda.

use std::convert::Infallible;
use std::sync::Arc;

use http::header;
use lambda_http::{Body, Request, Response};
use lambda_session::app;
use lambda_session::config::Config;
use lambda_session::session::DynamoDbStore;
use tower::ServiceExt;
use tower::util::BoxCloneService;

use super::event::Event;
use super::lambda::Answer;
use super::proxy::Proxy;
use super::{SECRET_KEY, dynamodb, endpoint};
use crate::embedded::{Embedded, table};
use crate::sdk;

/// The cookie's name, and what stands between it and its value.
pub(crate) const COOKIE: &str = "__Host-session=";

/// A running application. It ends with the value.
pub(crate) struct App {
    service: BoxCloneService<Request, Response<Body>, Infallible>,
    pub(crate) proxy: Proxy,
    /// Runs as long as the site.
    _dynamodb: Embedded,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these environment variables beside the ones that must be.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let config = Config::from_env(|name| {
            let given = variables.iter().find(|(given, _)| *given == name);
            match (given, name) {
                (Some((_, value)), _) => Some(*value),
                (None, "SECRET_KEY") => Some(SECRET_KEY),
                (None, "TABLE_NAME") => Some(table::NAME),
                _ => None,
            }
        });
        let config = config.expect("a configuration");
        let dynamodb = dynamodb().await;
        let proxy = Proxy::start(&endpoint(&dynamodb));
        let store = DynamoDbStore::new(&sdk::config(), &config.table_name, Some(&proxy.endpoint()));
        let service = app::service(&config, Arc::new(store)).expect("an application");
        Self {
            service: BoxCloneService::new(service),
            proxy,
            _dynamodb: dynamodb,
        }
    }

    pub(crate) async fn send(&self, event: Event) -> Answer {
        let event = event.into_value().to_string();
        let request = lambda_http::request::from_str(&event).expect("a request");
        let answered = self.service.clone().oneshot(request).await;
        answer(answered.unwrap_or_else(|never| match never {}))
    }

    /// The answer, and the store calls it took.
    pub(crate) async fn counted(&self, event: Event) -> (Answer, Vec<String>) {
        let before = self.proxy.operations().len();
        let answer = self.send(event).await;
        (answer, self.proxy.operations().split_off(before))
    }

    /// Logs in and returns the cookie as `name=value`.
    pub(crate) async fn login(&self, username: &str) -> String {
        let login = self.send(Event::post_form("/login", &[("username", username)])).await;
        assert_eq!(login.status, 303, "{login:?}");
        login.cookie()
    }

    /// Whether the start page knows the bearer of this cookie as `admin`.
    pub(crate) async fn is_admin(&self, cookie: &str) -> bool {
        is_admin(&self.send(Event::get("/").cookie(cookie)).await)
    }
}

/// Whether this is the start page for `admin`. It must be the start page at least.
#[track_caller]
pub(crate) fn is_admin(page: &Answer) -> bool {
    assert_eq!(page.status, 200, "{page:?}");
    let inside = page.body.contains("Logged in as admin");
    assert_ne!(inside, page.body.contains("You are not logged in"), "{page:?}");
    inside
}

fn answer(response: Response<Body>) -> Answer {
    let text = |value: &http::HeaderValue| value.to_str().expect("visible ASCII").to_owned();
    let (parts, body) = response.into_parts();
    for name in parts.headers.keys().filter(|name| *name != header::SET_COOKIE) {
        let values = parts.headers.get_all(name).iter().count();
        assert_eq!(values, 1, "{name}: payload 2.0 keeps only the first of several");
    }
    let cookies = parts.headers.get_all(header::SET_COOKIE).iter().map(text);
    let headers = parts.headers.iter().filter(|(name, _)| *name != header::SET_COOKIE);
    Answer {
        status: parts.status.as_u16(),
        cookies: cookies.collect(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8(body.to_vec()).expect("UTF-8"),
    }
}
