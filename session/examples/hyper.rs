//! Counts each visitor's visits on plain hyper, which has no tower services: `SessionLayer::open` before the view, and
//! `close` after it. Other frameworks without tower do the same.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false \
//!     cargo run -p lambda-session --example hyper --all-features -- --port 3000
//! ```
//!
//! `SECRET_KEY` signs the cookie, and the sessions are in memory. `--port N` sets the port.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use hyper::body::Incoming;
use hyper::header::SET_COOKIE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lambda_session::{LazySession, MemoryStore, SessionError, SessionLayer, lambda};
use tokio::net::TcpListener;

async fn count(session: &LazySession) -> Result<String, SessionError> {
    let visits = session.load().await?.increment("visits", 1)?;
    Ok(format!("Visit number {visits}"))
}

async fn answer(sessions: SessionLayer, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let opened = sessions.open(request.headers());
    let counted = count(opened.session()).await;
    let (headers, failed) = opened.close().await;
    let mut response = match failed.map_or(counted, Err) {
        Ok(page) => Response::new(page),
        Err(error) => error.into_response(),
    };
    for (name, value) in &headers {
        if name == SET_COOKIE {
            response.headers_mut().append(name, value.clone());
        } else {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let sessions = SessionLayer::from_env(MemoryStore::default())?.build()?;
    let port = std::env::args().nth(2).map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let sessions = sessions.clone();
        let service = service_fn(move |request| answer(sessions.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
