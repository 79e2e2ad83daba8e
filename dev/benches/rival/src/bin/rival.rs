//! A site on axum and tower-sessions, written as its documentation shows. `STORE=memory` keeps the sessions in the
//! process; otherwise they are in the table.

use aws_sdk_dynamodb::Client;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router, body::to_bytes};
use lambda_http::tower::ServiceExt as _;
use lambda_http::{Body, Error, Request, Response, run_concurrent, service_fn};
use serde::Deserialize;
use tower_sessions::session::Error as SessionError;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_dynamodb_store::{DynamoDBStore, DynamoDBStoreKey, DynamoDBStoreProps};

const USERNAME: &str = "username";
const VISITS: &str = "visits";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // As the template of `cargo lambda new` does. In *ours*, `lambda::run` sets a subscriber.
    lambda_http::tracing::init_default_subscriber();
    if std::env::var("STORE").is_ok_and(|store| store == "memory") {
        return serve(site(MemoryStore::default())).await;
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
    serve(site(DynamoDBStore::new(client, properties))).await
}

/// Converts axum's body to one that `run_concurrent` takes.
async fn serve(site: Router) -> Result<(), Error> {
    run_concurrent(service_fn(move |request: Request| {
        let site = site.clone();
        async move {
            let (parts, body) = site.oneshot(request).await?.into_parts();
            let page = String::from_utf8(to_bytes(body, usize::MAX).await?.into())?;
            Ok::<_, Error>(Response::from_parts(parts, Body::from(page)))
        }
    }))
    .await
}

fn site(store: impl SessionStore + Clone) -> Router {
    Router::new()
        .route("/", get(view))
        .route("/login", post(log_in))
        .route("/update", post(update))
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

async fn update(session: Session) -> Result<(), StatusCode> {
    let visits: u64 = session.get(VISITS).await.map_err(failed)?.unwrap_or_default();
    session.insert(VISITS, visits + 1).await.map_err(failed)
}

fn failed(_: SessionError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
