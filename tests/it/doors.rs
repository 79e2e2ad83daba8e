//! The same visitor through each of Lambda's front doors. The events are those of `events/` with the visitor's cookies.

use std::fs;

use dev::dynamodb::Embedded;
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use serde_json::{Value, json};

use crate::support::app::COOKIE;
use crate::support::function;

/// The doors, as the files' names have them.
const DOORS: [&str; 7] = [
    "",
    "http-api-",
    "http-api-v1-",
    "rest-api-",
    "alb-",
    "alb-multi-value-",
    "lattice-",
];

/// Reads an event of `events/`.
pub(crate) fn event(name: &str) -> Value {
    let file = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(&file).expect(&file)).expect("JSON")
}

/// Gives an event these lines of cookies, as its service does: one by one as HTTP/2 clients send them, where the
/// event has room for that.
fn with_cookies(mut event: Value, lines: &[&str]) -> Value {
    let joined = lines.join("; ");
    let multiple = event.get("multiValueHeaders").is_some();
    if event["requestContext"].get("http").is_some() {
        event["cookies"] = json!(lines);
    } else if event.get("method").is_some() {
        event["headers"]["cookie"] = json!(lines);
    } else if !multiple {
        event["headers"]["cookie"] = json!(joined);
    }
    if multiple {
        event["multiValueHeaders"]["cookie"] = json!(lines);
        if event.get("headers").is_some() {
            event["headers"]["cookie"] = json!(lines.last());
        }
    }
    event
}

async fn answer(lambda: &Lambda, event: Value) -> Answer {
    lambda
        .invoke(event.clone())
        .await
        .unwrap_or_else(|error| panic!("{event}: {error:?}"))
}

#[tokio::test]
async fn a_visitor_logs_in_and_out_through_each_door_whatever_other_cookies_he_has() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = function(&dynamodb.endpoint(), &[]).await;
    let is_admin = async |cookie: &str| {
        let page = answer(&lambda, Event::get("/").cookie(cookie).into_value()).await;
        page.body.contains("Logged in as admin")
    };
    for door in DOORS {
        let login = answer(&lambda, event(&format!("login-{door}303"))).await;
        let cookie = login.cookie();
        assert!(is_admin(&cookie).await, "{door}");
        for lines in [
            &[cookie.as_str()][..],
            &[&cookie, "_ga=GA1.1.1"],
            &["_ga=GA1.1.1", &cookie, "theme=dark"],
            // No header can carry the first one, and it must not take the others with it.
            &["theme=\u{1}dark", &cookie],
            &[&cookie, "theme=\u{7f}dark"],
            &["name=\u{e9}", &cookie],
            &[&format!("theme=\u{1}; {cookie}; name=\u{7f}")],
        ] {
            let home = with_cookies(event(&format!("home-{door}200")), lines);
            let page = answer(&lambda, home).await;
            assert!(page.body.contains("Logged in as admin"), "{door} {lines:?}: {page:?}");
        }
        let logout = with_cookies(event(&format!("logout-{door}303")), &[&cookie, "_ga=GA1.1.1"]);
        assert_eq!(answer(&lambda, logout).await.cookie(), COOKIE, "{door}");
        assert!(!is_admin(&cookie).await, "{door}: the session has ended on the server");
    }
}
