//! Streams answers: server-sent events with a page that shows them, and a large download, on axum.
//!
//! ```sh
//! TABLE_NAME=sessions SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo lambda watch --invoke-address 127.0.0.1 --example stream --features axum,lambda
//! ```
//!
//! The guide's "Run it on your own machine" makes the table.
//! `TABLE_NAME` names the table and `SECRET_KEY` signs the cookie. On Lambda, the function's URL has `InvokeMode:
//! RESPONSE_STREAM`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Html;
use axum::response::sse::{Event, Sse};
use axum::{Router, routing::get};
use futures_util::{Stream, StreamExt as _, stream};
use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};

const PAGE: &str = "<!doctype html>
<title>Events</title>
<link rel=icon href=data:,>
<ul></ul>
<script>
  const events = new EventSource('events');
  events.onmessage = event => {
    const item = document.createElement('li');
    item.textContent = event.data;
    document.querySelector('ul').append(item);
  };
</script>
";

/// Counts the visit, and sends its number ten times a second. The session is saved before the first event.
async fn events(session: Session) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    let visit = session.increment("visits", 1)?;
    let ticks = stream::unfold(0_u32, |tick| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((tick, tick + 1))
    });
    Ok(Sse::new(ticks.map(move |tick| {
        Ok(Event::default().data(format!("visit {visit}, event {tick}")))
    })))
}

/// Twenty megabytes, of which one at a time is in memory.
async fn download() -> Body {
    let megabytes = (0..20).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 1 << 20])));
    Body::from_stream(stream::iter(megabytes))
}

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
    let site = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/events", get(events))
        .route("/download", get(download))
        .layer(sessions);
    lambda::run_streaming(site).await
}
