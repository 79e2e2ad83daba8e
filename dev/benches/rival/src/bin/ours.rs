//! The rival's site with this library, and more ways to change the session. `STORE` says where the sessions are, as for
//! the rival.

use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use lambda_session::{DynamoDbStore, MemoryStore, Session, SessionError, SessionLayer, Store, lambda};
use serde::Deserialize;

const USERNAME: &str = "username";
const VISITS: &str = "visits";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    if std::env::var("STORE").is_ok_and(|store| store == "memory") {
        serve(MemoryStore::default()).await
    } else {
        serve(DynamoDbStore::from_env()?).await
    }
}

async fn serve(store: impl Store) -> Result<(), lambda::Error> {
    let site = Router::new()
        .route("/", get(view))
        .route("/login", post(log_in))
        .route("/fill", post(fill))
        .route("/update", post(update))
        .route("/insert", post(insert))
        .route("/take", post(take))
        .route("/pop", post(pop));
    // As much as an item may have.
    let sessions = SessionLayer::from_env(store)?.max_bytes(400 * 1024);
    lambda::run(site.layer(sessions.build()?)).await
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

#[derive(Deserialize)]
struct Size {
    variables: usize,
    size: usize,
}

async fn fill(session: Session, Form(Size { variables, size }): Form<Size>) -> Result<(), SessionError> {
    let text = "x".repeat(size / variables);
    for n in 0..variables {
        session.insert(&format!("variable_{n:04}"), &text)?;
    }
    Ok(())
}

async fn update(session: Session) -> Result<(), SessionError> {
    session.update(VISITS, |visits: Option<u64>| visits.unwrap_or_default() + 1)?;
    Ok(())
}

async fn insert(session: Session) -> Result<(), SessionError> {
    let visits: u64 = session.get(VISITS)?.unwrap_or_default();
    Ok(session.insert(VISITS, visits + 1)?)
}

async fn take(session: Session) -> Result<&'static str, SessionError> {
    Ok(found(session.take(VISITS).await?))
}

async fn pop(session: Session) -> Result<&'static str, SessionError> {
    Ok(found(session.pop(VISITS)?))
}

fn found(visits: Option<u64>) -> &'static str {
    if visits.is_some() { "found" } else { "not found" }
}
