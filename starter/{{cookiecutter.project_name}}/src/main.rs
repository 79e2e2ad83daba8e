//! The Lambda function, which serves the site with sessions.

mod pages;
mod site;
#[cfg(test)]
mod tests;

use lambda_session::{DynamoDbStore, MemoryStore, SessionLayer, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::start_log();
    lambda::serve(site::site(sessions().await?)).await
}

/// Keeps the sessions in the table that `TABLE_NAME` names or, for a run on your own machine only, in memory.
async fn sessions() -> Result<SessionLayer, lambda::Error> {
    let layer = if std::env::var_os("TABLE_NAME").is_some_and(|name| !name.is_empty()) {
        let store = DynamoDbStore::from_env()?;
        // During the start, when Lambda gives a whole processor and no visitor waits.
        store.warm_up().await;
        SessionLayer::from_env(store)?
    } else {
        // Lambda sets this variable, and `cargo lambda watch` does not.
        if std::env::var_os("AWS_LAMBDA_INITIALIZATION_TYPE").is_some() {
            return Err(
                "TABLE_NAME is not set, and each instance on Lambda has a memory of its own".into(),
            );
        }
        eprintln!("TABLE_NAME is not set, so the sessions are in memory and end with this program");
        SessionLayer::from_env(MemoryStore::default())?
    };
    Ok(layer.build()?)
}
