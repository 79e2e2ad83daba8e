//! The compiled function with a DynamoDB whose calls are counted, and the requests of a visitor.

use dev::dynamodb::Embedded;
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::proxy::Proxy;

use super::function;

/// The session cookie's name and the `=` after it. If `src/main.rs` sets another name with `cookie_name`, change it
/// here, too: these tests spell it nowhere else.
pub(crate) const COOKIE: &str = "__Host-session=";

/// The session cookie's name.
pub(crate) const COOKIE_NAME: &str = COOKIE.split_at(COOKIE.len() - 1).0;

/// The value of a session cookie that is given as `name=value`.
#[track_caller]
pub(crate) fn value_of(cookie: &str) -> &str {
    let Some(value) = cookie.strip_prefix(COOKIE) else {
        panic!("{cookie} is not called {COOKIE_NAME}, the name in tests/it/support/app.rs")
    };
    value
}

/// A running function, which ends when this value is dropped.
pub(crate) struct App {
    pub(crate) lambda: Lambda,
    pub(crate) proxy: Proxy,
    pub(crate) dynamodb: Embedded,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts the function with these environment variables in addition to the required ones.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let dynamodb = Embedded::in_memory().await;
        let proxy = Proxy::start(&dynamodb.endpoint());
        let lambda = function(&proxy.endpoint(), variables).await;
        let app = Self {
            lambda,
            proxy,
            dynamodb,
        };
        // After the first answer, the read of the warm-up has been counted.
        app.send(Event::get("/login")).await;
        app
    }

    pub(crate) async fn send(&self, event: Event) -> Answer {
        self.lambda.invoke(event.into_value()).await.expect("an answer")
    }

    /// Returns the answer, and the store calls that the function made for it.
    pub(crate) async fn counted(&self, event: Event) -> (Answer, Vec<String>) {
        let before = self.proxy.operations().len();
        let answer = self.send(event).await;
        (answer, self.proxy.operations().split_off(before))
    }

    /// Logs in, and returns the cookie as `name=value`.
    pub(crate) async fn login(&self, username: &str) -> String {
        let login = self.send(Event::post_form("/login", &[("username", username)])).await;
        assert_eq!(login.status, 303, "{login:?}");
        login.cookie()
    }

    /// Whether the start page says that this cookie's visitor is logged in as `admin`.
    pub(crate) async fn is_admin(&self, cookie: &str) -> bool {
        is_admin(&self.send(Event::get("/").cookie(cookie)).await)
    }
}

/// Whether this start page says that `admin` is logged in. Panics if it is another page.
#[track_caller]
pub(crate) fn is_admin(page: &Answer) -> bool {
    assert_eq!(page.status, 200, "{page:?}");
    let inside = page.body.contains("Logged in as admin");
    assert_ne!(inside, page.body.contains("You are not logged in"), "{page:?}");
    inside
}
