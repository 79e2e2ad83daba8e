//! The address that a request comes from.

use std::net::{IpAddr, SocketAddr};

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};

/// The address that the request came from, according to Lambda's event: for limits on password attempts, and for logs.
/// [`serve`](super::serve) and [`run`](super::run) put it into the request's extensions, where axum's
/// `Option<Extension<SourceAddress>>` finds it. It is missing if the event has no address, as VPC Lattice's.
///
/// It is the address of the client that connected to the Function URL, the API or the load balancer. If that is a
/// content delivery network, the network gives the visitor's address in a header of its own, such as
/// `CloudFront-Viewer-Address`. Trust that header only if nobody can reach the function past the network, because
/// otherwise anybody can write it. Behind a load balancer, the address is the one that the load balancer appends to
/// `X-Forwarded-For`. A load balancer that is configured to [preserve that
/// header](https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html) appends
/// nothing, so anybody can write this address, too.
///
/// ```
/// use http::Request;
/// use lambda_session::lambda::SourceAddress;
///
/// fn who<B>(request: &Request<B>) -> String {
///     let source = request.extensions().get::<SourceAddress>();
///     source.map_or_else(|| "an unknown address".to_owned(), |source| source.0.to_string())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddress(pub IpAddr);

impl SourceAddress {
    pub(super) fn of(request: &Request) -> Option<Self> {
        let told = match request.request_context_ref()? {
            RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
            RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
            // A load balancer appends the address to what the client sent:
            // <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html>
            RequestContext::Alb(_) => request
                .headers()
                .get_all("x-forwarded-for")
                .iter()
                .next_back()
                .and_then(|value| value.to_str().ok()?.rsplit(',').next()),
            _ => None,
        };
        let told = told?.trim();
        // A load balancer can be configured to add the client's port.
        let with_port = || told.parse().ok().map(|address: SocketAddr| address.ip());
        told.parse().ok().or_else(with_port).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::request::LambdaRequest;
    use serde_json::{Value, json};

    use super::*;

    fn source(event: Value) -> Option<String> {
        let event: LambdaRequest = serde_json::from_value(event).unwrap();
        SourceAddress::of(&Request::from(event)).map(|source| source.0.to_string())
    }

    fn http_api(source_ip: &str) -> Value {
        json!({
            "version": "2.0",
            "rawPath": "/",
            "headers": { "x-forwarded-for": "198.51.100.9" },
            "requestContext": { "http": { "method": "GET", "path": "/", "sourceIp": source_ip } },
        })
    }

    fn rest_api(source_ip: &str) -> Value {
        json!({
            "httpMethod": "GET",
            "path": "/",
            "headers": { "x-forwarded-for": "198.51.100.9" },
            "requestContext": { "httpMethod": "GET", "identity": { "sourceIp": source_ip } },
        })
    }

    fn load_balancer(forwarded_for: &[&str]) -> Value {
        json!({
            "httpMethod": "GET",
            "path": "/",
            "multiValueHeaders": { "x-forwarded-for": forwarded_for },
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:x" } },
        })
    }

    #[test]
    fn the_event_tells_the_address_and_no_header_that_the_client_wrote() {
        let told = [
            (http_api("203.0.113.7"), Some("203.0.113.7")),
            (http_api("2001:db8::7"), Some("2001:db8::7")),
            (http_api("nonsense"), None),
            (rest_api("203.0.113.7"), Some("203.0.113.7")),
            (load_balancer(&["198.51.100.9, 203.0.113.7"]), Some("203.0.113.7")),
            (load_balancer(&["198.51.100.9", "203.0.113.7"]), Some("203.0.113.7")),
            (load_balancer(&["198.51.100.9, 203.0.113.7:43210"]), Some("203.0.113.7")),
            (load_balancer(&["[2001:db8::7]:43210"]), Some("2001:db8::7")),
            (load_balancer(&[]), None),
        ];
        for (event, expected) in told {
            assert_eq!(source(event.clone()).as_deref(), expected, "{event}");
        }
    }
}
