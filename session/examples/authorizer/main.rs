//! Tells API Gateway who is logged in, for functions in any language behind the same API: a whole Lambda function.
//!
//! `TABLE_NAME` and `SECRET_KEY` are those of the site that logs the visitors in, such as the example `account`.
//! `template.yaml` in this folder deploys both, and a function behind them.

use lambda_session::{DynamoDbStore, SessionLayer, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
    lambda::authorizer(sessions).run().await
}
