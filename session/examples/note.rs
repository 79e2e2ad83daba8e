//! Keeps a note for each visitor, on plain `lambda_http`: a whole Lambda function.
//!
//! `TABLE_NAME` names the table and `SECRET_KEY` signs the cookie.

use lambda_http::{Body, Error, Request, RequestExt as _, Response};
use lambda_session::{DynamoDbStore, LazySession, SameOriginLayer, SessionError, SessionLayer, lambda};
use tower::Layer as _;

async fn views(request: Request) -> Result<Response<Body>, SessionError> {
    let session = LazySession::of(&request)?;
    let text = match (request.method().as_str(), request.raw_http_path()) {
        ("GET", "/about") => "Keeps a note for you.".to_owned(),
        ("GET", "/note") => session.load().await?.get("note")?.unwrap_or_default(),
        ("POST", "/note") => {
            let note = String::from_utf8_lossy(request.body().as_ref());
            session.load().await?.insert("note", note)?;
            "kept".to_owned()
        }
        ("POST", "/forget") => {
            session.end();
            "forgotten".to_owned()
        }
        _ => {
            let mut response = Response::new("no such page".into());
            *response.status_mut() = lambda_http::http::StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(text.into()))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
    let site = sessions.layer(lambda::handler(views));
    // Otherwise a form on another site could replace a visitor's note.
    lambda::serve(SameOriginLayer::new().layer(site)).await
}
