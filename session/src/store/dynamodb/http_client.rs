//! The HTTP client below the SDK's.

use std::sync::OnceLock;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};

/// A client for an endpoint; without one, for whatever the SDK finds.
pub(super) fn new(endpoint: Option<&str>) -> SharedHttpClient {
    SharedHttpClient::new(OnDemand {
        tls: endpoint.is_none_or(|url| !url.starts_with("http://")),
        connector: OnceLock::new(),
    })
}

/// Makes its connector when the first call needs it.
///
/// The SDK's own client makes one when it is configured, throws it away, and makes another for the first call; each time it
/// reads all the machine's certificate authorities, which takes longer than everything else before the first event.
#[derive(Debug)]
struct OnDemand {
    tls: bool,
    connector: OnceLock<SharedHttpConnector>,
}

impl HttpClient for OnDemand {
    /// One for all calls: a store's settings are the same for each.
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let made = self.connector.get_or_init(|| {
            let mut connector = Connector::builder()
                .connector_settings(settings.clone())
                .tls_provider(Provider::Rustls(CryptoMode::Ring));
            connector.set_sleep_impl(components.sleep_impl());
            if self.tls {
                connector.set_proxy_config(Some(ProxyConfig::from_env()));
            } else {
                // A local DynamoDB: no proxy leads there, and nobody will show a certificate to be trusted.
                let trusts_nobody = TlsContext::builder().with_trust_store(TrustStore::empty()).build();
                connector.set_tls_context(trusts_nobody.unwrap_or_default());
            }
            SharedHttpConnector::new(connector.build())
        });
        made.clone()
    }
}
