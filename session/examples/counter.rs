//! Counts each visitor's visits, on axum: a whole Lambda function.
//!
//! `TABLE_NAME` names the table and `SECRET_KEY` signs the cookie.

use axum::{Router, routing::get};
use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};

async fn count(session: Session) -> Result<String, SessionError> {
    let visits = session.increment("visits", 1)?;
    Ok(format!("Visit number {visits}"))
}

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
    lambda::serve(Router::new().route("/", get(count)).layer(sessions)).await
}
