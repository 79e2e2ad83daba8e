//! The same view and login with this library. `STORE` says where the sessions are, as for the rival.

use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use lambda_session::{DynamoDbStore, MemoryStore, Session, SessionError, SessionLayer, Store, lambda};
use serde::Deserialize;

const USERNAME: &str = "username";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    if std::env::var("STORE")? == "memory" {
        serve(MemoryStore::default()).await
    } else {
        serve(DynamoDbStore::from_env()?).await
    }
}

async fn serve(store: impl Store) -> Result<(), lambda::Error> {
    let site = Router::new().route("/", get(view)).route("/login", post(log_in));
    lambda::run(site.layer(SessionLayer::from_env(store)?.build()?)).await
}

async fn view(session: Session) -> Result<Html<String>, SessionError> {
    Ok(Html(session.get(USERNAME)?.unwrap_or_default()))
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(login): Form<Login>) -> Result<Redirect, SessionError> {
    session.renew();
    session.insert(USERNAME, login.username)?;
    Ok(Redirect::to("/"))
}
