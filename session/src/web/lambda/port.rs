//! Serves a function's service over HTTP on a local port, for a program that Lambda does not run.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use lambda_http::{Body, Error, IntoResponse, Request, RequestExt as _};
use tokio::net::TcpListener;
use tower::util::BoxCloneService;
use tower::{Service, ServiceExt as _};

use super::{SourceAddress, answer};
use crate::protocol::error::short_answer;

/// The port, unless the command line has another one.
const PORT: u16 = 3000;

/// The most bytes of a request's body, as on Lambda.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_BODY: usize = 6 * 1024 * 1024;

/// A function's service, whose answers have the body of `lambda_http`.
type Views = BoxCloneService<Request, Response<Body>, Infallible>;

const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// Reads `--port N` from the command line.
///
/// # Errors
///
/// There is another argument, or the port is no number.
pub(super) fn from_command_line() -> Result<u16, Error> {
    let mut port = PORT;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("port") => port = lexopt::ValueExt::parse(&arguments.value()?)?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(port)
}

/// Serves on this machine's own address, and prints where that is.
///
/// # Errors
///
/// The port is taken.
pub(super) async fn serve<S>(service: S, port: u16) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("http://{}", listener.local_addr()?);
    match accept(listener, views(service)).await {}
}

fn views<S>(service: S) -> Views
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send + 'static,
{
    BoxCloneService::new(service.and_then(async |answer| Ok(answer::converted(answer).await)))
}

async fn accept(listener: TcpListener, service: Views) -> Infallible {
    loop {
        // If a connection cannot be accepted, the others go on. The reason may be that too many are open, so wait until
        // one of them may have ended.
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(AFTER_AN_ERROR).await;
            continue;
        };
        let service = service.clone();
        let answer =
            hyper::service::service_fn(move |request| answer(service.clone(), request, SourceAddress(peer.ip())));
        // An error is that of one connection, such as a browser that has gone.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn answer(
    service: Views,
    request: http::Request<Incoming>,
    source: SourceAddress,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(short_answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            "this request is too large\n".to_owned(),
        ));
    };
    let body = match body.to_bytes() {
        body if body.is_empty() => Body::Empty,
        body => Body::Binary(body.into()),
    };
    let path = parts.uri.path().to_owned();
    let mut request = Request::from_parts(parts, body).with_raw_http_path(path);
    request.extensions_mut().insert(source);
    service.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http_body_util::Full;
    use hyper::body::Bytes;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_handler_gets_the_body_and_the_address_and_its_answer_is_sent_as_it_is() {
        let handler = crate::lambda::handler(async |request: Request| {
            let source = request.extensions().get().copied();
            assert_eq!(source, Some(SourceAddress(IpAddr::from(Ipv4Addr::LOCALHOST))));
            let body = match request.into_body() {
                Body::Empty => Body::Text("nothing".to_owned()),
                body => body,
            };
            let answer = Response::builder().header("content-type", "application/octet-stream");
            Ok(answer.body(body).unwrap())
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, views(handler)));
        let client = Client::builder(TokioExecutor::new()).build_http();
        for (sent, answered) in [(&b""[..], &b"nothing"[..]), (b"\xff\0", b"\xff\0")] {
            let request = http::Request::post(format!("http://{address}")).body(Full::new(Bytes::from(sent)));
            let answer = client.request(request.unwrap()).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), answered);
        }
    }
}
