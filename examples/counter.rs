//! Visits counted per session, on an axum router: `SessionLayer` is a tower layer like any other.
//!
//! A Lambda function; deploy it like the demo, with `Binary: counter` under `[[bin]]`. The `/about` page never loads
//! the session, so it costs no store call.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use lambda_session::config::Config;
use lambda_session::session::{DynamoDbStore, LazySession, SessionError, SessionLayer, ValueError};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    let store = DynamoDbStore::on_lambda(&config.table_name, config.dynamodb_endpoint.as_deref());
    let sessions = SessionLayer::builder(Arc::new(store), config.keys)
        .timeouts(config.timeouts)
        .secure(config.secure)
        .build()?;
    let router = Router::new()
        .route("/", get(count))
        .route("/about", get(|| async { "Counts your visits." }))
        .layer(sessions);
    lambda_http::run(router).await
}

async fn count(Extension(session): Extension<LazySession>) -> Result<String, Response> {
    let session = session.load().await.map_err(SessionError::into_response)?;
    let visits = session.get::<u64>("visits").map_err(broken)?.unwrap_or(0) + 1;
    session.insert("visits", visits).map_err(broken)?;
    Ok(format!("Visit number {visits}"))
}

/// What is stored under the name is no number: a fault of this program.
fn broken(error: ValueError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
