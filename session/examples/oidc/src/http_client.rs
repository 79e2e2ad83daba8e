//! The HTTP client for the provider: TLS by rustls, the machine's certificate authorities, no redirects.
//! `provider::in_time` limits how long it may take.

use std::pin::Pin;

use axum::body::Bytes;
use axum::http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use openidconnect::AsyncHttpClient;

use crate::Error;

const MOST_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// The provider did not answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the provider: {0}")]
pub(crate) struct NoAnswer(Error);

impl HttpClient {
    /// Asks over https only, unless the provider is on this machine.
    pub(crate) fn new(issuer: &str) -> Result<Self, Error> {
        let uri: Uri = issuer.parse()?;
        let is_local = matches!(uri.host(), Some("localhost" | "127.0.0.1"));
        let connector = HttpsConnectorBuilder::new().with_native_roots()?;
        let connector = match uri.scheme_str() {
            Some("https") => connector.https_only(),
            Some("http") if is_local => connector.https_or_http(),
            _ => return Err("OIDC_ISSUER is not an https:// address".into()),
        };
        let connector = connector.enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    async fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoAnswer> {
        let response = self.0.request(request.map(Full::from)).await;
        let (parts, body) = response.map_err(|error| NoAnswer(error.into()))?.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(NoAnswer)?;
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
