//! Does what Lambda's front end does: makes an event of each request, hands it to the function, and answers what the
//! function answers.

use std::sync::Arc;
use std::time::Duration;

use dev::event::{self, Event};
use dev::http1;
use dev::runtime::{RuntimeApi, TIMEOUT, json};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// The largest request that Lambda accepts, in bytes.
const LARGEST_BODY: usize = 6 * 1024 * 1024;

/// How long running requests may take after the command was asked to stop. A client that never finishes its request
/// must not keep the command from ending.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` resolves, then finishes the requests that are running.
pub(crate) async fn serve(listener: TcpListener, api: Arc<RuntimeApi>, host: String, stop: impl Future<Output = ()>) {
    let host = Arc::<str>::from(host);
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let connected = || {
        let (api, host) = (Arc::clone(&api), Arc::clone(&host));
        move |request| answer(Arc::clone(&api), Arc::clone(&host), request)
    };
    let stop = async move {
        stop.await;
        let _ = stopping.send(());
    };
    tokio::select! {
        () = http1::serve(listener, connected, stop) => {}
        () = async {
            let _ = stopped.await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
}

async fn answer(api: Arc<RuntimeApi>, host: Arc<str>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Ok(event) = Event::from_request(&parts, &body.to_bytes(), &host) else {
        return refuse(StatusCode::BAD_REQUEST);
    };
    let event = event.into_value().to_string().into_bytes();
    // As on Lambda, every failure of the function is a 502 to the client.
    let Ok(Ok(Ok(answer))) = timeout(TIMEOUT, api.invoke(event)).await else {
        return refuse(StatusCode::BAD_GATEWAY);
    };
    let response = json(&answer).ok().and_then(|answer| event::response(&answer));
    response.map_or_else(|| refuse(StatusCode::BAD_GATEWAY), |response| response.map(Full::new))
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
