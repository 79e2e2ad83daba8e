//! The HTTP client that the SDK's DynamoDB client uses. It speaks HTTP/1.1, because DynamoDB offers no HTTP/2
//! (<https://github.com/aws/aws-sdk-go/issues/2984>).
//!
//! The SDK's own HTTP client brings HTTP/2 with it, which would be an eighth of the program. It also reads all of the
//! machine's certificate authorities when it is configured, and again for the first call, which takes longer than
//! everything else before the first event.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_dynamodb::error::{BoxError, ConnectorError};
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use http::uri::Scheme;
use http::{HeaderValue, Uri, header};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector as TcpConnector, capture_connection};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tower::{Service, service_fn};

/// Tells AWS who calls. The SDK does not sign it, so it can be added after the signature.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(800);

/// Makes a client for an endpoint or, without one, for the address that the SDK finds.
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
    /// All calls share one connector with one connect timeout. The timeout of an attempt limits the answer.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let made = self.connector.get_or_init(|| {
            let (roots, proxies) = if self.tls {
                (native_roots(), Matcher::from_env())
            } else {
                // A local DynamoDB needs no proxy, and shows no certificate to verify.
                (RootCertStore::empty(), Matcher::builder().build())
            };
            connector(roots, proxies, CONNECT_TIMEOUT)
        });
        made.clone()
    }
}

/// The machine's certificate authorities, or those in `SSL_CERT_FILE` or `SSL_CERT_DIR`.
fn native_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() || !found.errors.is_empty() {
        tracing::warn!(authorities = roots.len(), errors = ?found.errors, "certificate authorities could not be read");
    }
    roots
}

fn connector(roots: RootCertStore, proxies: Matcher, connect_timeout: Duration) -> SharedHttpConnector {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Arc::new(tls);
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // The connection to a proxy at `https://` uses TLS itself.
    let to_proxy = HttpsConnector::from((tcp.clone(), Arc::clone(&tls)));
    let proxies = Arc::new(proxies);
    // Opens a stream to the destination, through a tunnel if there is a proxy for it and it is an `https` address.
    let stream = service_fn(move |to: Uri| {
        let proxy = proxies.intercept(&to).filter(|_| to.scheme() == Some(&Scheme::HTTPS));
        let (mut tcp, to_proxy) = (tcp.clone(), to_proxy.clone());
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(MaybeHttpsStream::Http(tcp.call(to).await?));
            };
            let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            Ok::<_, BoxError>(tunnel.call(to).await?)
        })
    });
    let mut https = HttpsConnector::from((stream, tls));
    let connect = service_fn(move |to: Uri| {
        let connecting = timeout(connect_timeout, https.call(to));
        Box::pin(async move { connecting.await? })
    });
    let pool = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connect);
    SharedHttpConnector::new(Http1(pool))
}

/// Sends the SDK's requests over a pool of connections.
#[derive(Debug)]
struct Http1<C>(Client<C, SdkBody>);

impl<C: Connect + Clone + fmt::Debug + Send + Sync + 'static> HttpConnector for Http1<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let agent = request.headers_mut().entry(header::USER_AGENT);
        agent.or_insert(HeaderValue::from_static(USER_AGENT));
        let connection = capture_connection(&mut request);
        if let Some(sdk) = request.extensions().get::<CaptureSmithyConnection>() {
            sdk.set_connection_retriever(move || {
                // Lets the SDK give up this connection after an answer such as 500, so that its next attempt opens
                // another one, perhaps to another server.
                let connection = connection.clone();
                let poison = move || {
                    if let Some(connected) = connection.connection_metadata().as_ref() {
                        connected.poison();
                    }
                };
                Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
            });
        }
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // Whether or not the call was sent, it has no answer, and its connection is not reused. The SDK tries
            // again.
            let response = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    async fn get(url: String, proxies: Matcher, connect_timeout: Duration) -> Result<HttpResponse, ConnectorError> {
        let request = http::Request::get(url).body(SdkBody::empty()).unwrap();
        let connector = connector(RootCertStore::empty(), proxies, connect_timeout);
        let answer = connector.call(request.try_into().unwrap());
        timeout(Duration::from_secs(30), answer).await.expect("an end")
    }

    #[tokio::test]
    async fn the_time_to_connect_covers_the_handshake() {
        let (_mute, address) = listener().await;
        let to_nobody = get(
            format!("https://{address}"),
            Matcher::builder().build(),
            Duration::from_millis(50),
        )
        .await;
        assert!(to_nobody.unwrap_err().is_io());
    }

    #[tokio::test]
    async fn a_call_has_one_user_agent_its_own_or_the_librarys() {
        for (own, sent) in [(None, USER_AGENT), (Some("site/1"), "site/1")] {
            let (dynamodb, address) = listener().await;
            let server = tokio::spawn(async move {
                let (mut stream, _) = dynamodb.accept().await.unwrap();
                let mut head = [0; 1024];
                let length = stream.read(&mut head).await.unwrap();
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                String::from_utf8(head[..length].to_vec()).unwrap()
            });
            let request = http::Request::get(format!("http://{address}")).body(SdkBody::empty());
            let mut request = request.unwrap();
            request
                .headers_mut()
                .extend(own.map(|own| (header::USER_AGENT, HeaderValue::from_static(own))));
            let connector = connector(RootCertStore::empty(), Matcher::builder().build(), CONNECT_TIMEOUT);
            connector.call(request.try_into().unwrap()).await.unwrap();
            let head = server.await.unwrap();
            let agents: Vec<_> = head
                .lines()
                .filter_map(|line| line.strip_prefix("user-agent: "))
                .collect();
            assert_eq!(agents, [sent]);
        }
    }

    #[tokio::test]
    async fn a_proxy_is_for_https_alone() {
        let (asked, proxy) = listener().await;
        let (dynamodb, address) = listener().await;
        tokio::spawn(async move {
            let (mut stream, _) = dynamodb.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        });
        let proxies = || Matcher::builder().all(format!("http://{proxy}")).build();
        let direct = get(format!("http://{address}"), proxies(), Duration::from_secs(20)).await;
        assert_eq!(direct.unwrap().status().as_u16(), 204);
        let through = get(format!("https://{address}"), proxies(), Duration::from_millis(50)).await;
        assert!(through.unwrap_err().is_io());
        let asked = timeout(Duration::from_secs(30), asked.accept()).await;
        asked.expect("a call for the proxy").unwrap();
    }
}
