//! The compiled function over a DynamoDB whose calls are counted, and a visitor of it.

use dev::dynamodb::Embedded;
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::proxy::Proxy;

use super::function;

/// The cookie's name, and what stands between it and its value.
pub(crate) const COOKIE: &str = "__Host-session=";

/// A running function. It ends with the value.
pub(crate) struct App {
    pub(crate) lambda: Lambda,
    pub(crate) proxy: Proxy,
    pub(crate) dynamodb: Embedded,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these environment variables beside the ones that must be.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let dynamodb = Embedded::in_memory().await;
        let proxy = Proxy::start(&dynamodb.endpoint());
        let lambda = function(&proxy.endpoint(), variables).await;
        let app = Self {
            lambda,
            proxy,
            dynamodb,
        };
        // The warm-up's read comes before the first answer.
        app.send(Event::get("/login")).await;
        app
    }

    pub(crate) async fn send(&self, event: Event) -> Answer {
        self.lambda.invoke(event.into_value()).await.expect("an answer")
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
