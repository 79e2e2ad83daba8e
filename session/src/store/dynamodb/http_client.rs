//! The HTTP client below the SDK's, for HTTP/1.1: DynamoDB speaks no other (<https://github.com/aws/aws-sdk-go/issues/2984>).
//!
//! The SDK's own client brings HTTP/2 with it, which would be an eighth of the program. It also makes a connector when
//! it is configured, throws it away, and makes another for the first call; each time it reads all the machine's certificate
//! authorities, which takes longer than everything else before the first event.

use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_dynamodb::error::{BoxError, ConnectorError};
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connect, HttpConnector as TcpConnector, capture_connection,
};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::{Service, service_fn};

/// A client for an endpoint; without one, for whatever the SDK finds.
pub(super) fn new(endpoint: Option<&str>) -> SharedHttpClient {
    SharedHttpClient::new(OnDemand {
        tls: endpoint.is_none_or(|url| !url.starts_with("http://")),
        connector: OnceLock::new(),
    })
}

/// Makes its connector when the first call needs it.
#[derive(Debug)]
struct OnDemand {
    tls: bool,
    connector: OnceLock<SharedHttpConnector>,
}

impl HttpClient for OnDemand {
    /// One for all calls: a store's settings are the same for each.
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let made = self.connector.get_or_init(|| {
            let (roots, proxies) = if self.tls {
                (native_roots(), Matcher::from_env())
            } else {
                // A local DynamoDB: no proxy leads there, and nobody will show a certificate to be trusted.
                (RootCertStore::empty(), Matcher::builder().build())
            };
            let tls = trust(roots);
            let mut tcp = TcpConnector::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(settings.connect_timeout());
            let to_proxy = HttpsConnector::from((tcp.clone(), Arc::clone(&tls)));
            let connect = HttpsConnector::from((route(proxies, tcp, to_proxy), tls));
            let pool = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connect);
            SharedHttpConnector::new(Http1(pool))
        });
        made.clone()
    }
}

/// The machine's certificate authorities, or those in `SSL_CERT_FILE` or `SSL_CERT_DIR`.
fn native_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "no certificate authority was found, so DynamoDB cannot be trusted");
    }
    roots
}

fn trust(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for both versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to the destination, or has the proxy for it do that. A proxy at `https://` is itself spoken to through TLS.
fn route(
    proxies: Matcher,
    tcp: TcpConnector,
    to_proxy: HttpsConnector<TcpConnector>,
) -> impl Service<Uri, Response = Stream, Error = BoxError, Future = BoxFuture<'static, Result<Stream, BoxError>>> + Clone
{
    let proxies = Arc::new(proxies);
    service_fn(move |to: Uri| -> BoxFuture<'static, _> {
        let proxy = proxies.intercept(&to);
        let (mut tcp, to_proxy) = (tcp.clone(), to_proxy.clone());
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(MaybeHttpsStream::Http(tcp.call(to).await?));
            };
            let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            Ok(tunnel.call(to).await?)
        })
    })
}

/// Sends the SDK's requests over a pool of connections.
#[derive(Debug)]
struct Http1<C>(Client<C, SdkBody>);

impl<C: Connect + Clone + std::fmt::Debug + Send + Sync + 'static> HttpConnector for Http1<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(sdk) = request.extensions().get::<CaptureSmithyConnection>() {
            sdk.set_connection_retriever(move || reconnectable(&connection));
        }
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // Whatever happened to it, the connection is gone and the call as good as unanswered: worth another attempt.
            let response = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// What the SDK needs to try again on another connection after an answer such as 500: it may be this one's server that is ill.
fn reconnectable(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    let proxied = connection.connection_metadata().as_ref()?.is_proxied();
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(proxied).poison_fn(poison).build())
}
