//! The demo's views replaced by your own: a note that each visitor keeps, on plain `lambda_http`.

use std::sync::Arc;

use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use lambda_session::config::Config;
use lambda_session::session::{DynamoDbStore, LazySession, SessionLayer};
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    let store = DynamoDbStore::on_lambda(&config.table_name, config.dynamodb_endpoint.as_deref());
    let sessions = SessionLayer::builder(Arc::new(store), config.keys).timeouts(config.timeouts);
    run(sessions.secure(config.secure).build()?.layer(service_fn(views))).await
}

async fn views(request: Request) -> Result<Response<Body>, Error> {
    let session = match LazySession::of(&request)?.load().await {
        Ok(session) => session,
        Err(error) => return Ok(error.into_response()),
    };
    let answer = match (request.method().as_str(), request.raw_http_path()) {
        ("POST", "/note") => {
            let note = std::str::from_utf8(request.body().as_ref())?;
            session.insert("note", note)?;
            "kept".to_owned()
        }
        ("GET", "/note") => session.get("note")?.unwrap_or_default(),
        ("POST", "/forget") => {
            session.end();
            "forgotten".to_owned()
        }
        _ => return Ok(Response::builder().status(404).body("no such page".into())?),
    };
    Ok(Response::new(answer.into()))
}
