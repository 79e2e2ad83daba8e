//! Counts each visitor's visits, on plain `lambda_http`: a whole Lambda function.
//!
//! `TABLE_NAME` names the table and `SECRET_KEY` signs the cookie.

use lambda_http::{Error, Request};
use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};
use tower::Layer as _;

async fn count(request: Request) -> Result<String, SessionError> {
    let visits = Session::of(&request).await?.increment("visits", 1)?;
    Ok(format!("Visit number {visits}"))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
    lambda::serve(sessions.layer(lambda::handler(count))).await
}
