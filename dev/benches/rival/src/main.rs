//! The app's view and login on axum and tower-sessions, as its documentation has them. `STORE=memory` keeps the sessions in the
//! process, `STORE=dynamodb` in the table.

use aws_sdk_dynamodb::Client;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use lambda_http::{Error, run_concurrent};
use serde::Deserialize;
use tower_sessions::session::Error as SessionError;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_dynamodb_store::{DynamoDBStore, DynamoDBStoreKey, DynamoDBStoreProps};

const USERNAME: &str = "username";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var("STORE")? == "memory" {
        return run_concurrent(site(MemoryStore::default())).await;
    }
    let properties = DynamoDBStoreProps {
        table_name: std::env::var("TABLE_NAME")?,
        partition_key: DynamoDBStoreKey {
            name: "id".to_owned(),
            ..DynamoDBStoreKey::default()
        },
        expirey_name: "expires_at".to_owned(),
        ..DynamoDBStoreProps::default()
    };
    let client = Client::new(&aws_config::load_from_env().await);
    run_concurrent(site(DynamoDBStore::new(client, properties))).await
}

fn site(store: impl SessionStore + Clone) -> Router {
    Router::new()
        .route("/", get(view))
        .route("/login", post(log_in))
        .layer(SessionManagerLayer::new(store))
}

async fn view(session: Session) -> Result<Html<String>, StatusCode> {
    let username: Option<String> = session.get(USERNAME).await.map_err(failed)?;
    Ok(Html(username.unwrap_or_default()))
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(login): Form<Login>) -> Result<Redirect, StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert(USERNAME, login.username).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

fn failed(_: SessionError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
