//! The Lambda function, which serves the site with sessions.

mod pages;
mod site;
#[cfg(test)]
mod tests;

use lambda_session::{DynamoDbStore, MemoryStore, SessionLayer, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::start_log();
    // In the table that `TABLE_NAME` names or, for a run on your own machine only, in memory.
    let sessions = if let Some(store) = DynamoDbStore::from_env_unless_local()? {
        // During the start, when Lambda gives a whole processor and no visitor waits.
        store.warm_up().await;
        SessionLayer::from_env(store)?
    } else {
        eprintln!("TABLE_NAME is not set, so the sessions are in memory and end with this program");
        SessionLayer::from_env(MemoryStore::default())?
    };
    lambda::serve(site::site(sessions.build()?)).await
}
