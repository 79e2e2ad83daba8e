//! Accepts requests of programs on this machine and in its containers, and refuses those of web pages.
//!
//! A page in a browser can send requests to 127.0.0.1, either directly, and then they carry an `Origin`, or under a
//! name of its own that it has pointed there, and then they carry that name as their `Host`.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

/// The name under which a container reaches this machine.
const FROM_A_CONTAINER: &str = "host.docker.internal";

/// The authorities, such as `127.0.0.1:8000`, under which this server is reached. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Arc<RwLock<Vec<Authority>>>);

impl Hosts {
    pub(super) fn add(&self, host: Authority) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(host);
    }

    /// Adds the names of a listener's address.
    pub(super) fn add_address(&self, address: SocketAddr) {
        let port = address.port();
        let names = if address.ip().is_loopback() {
            vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "[::1]".to_owned()]
        } else {
            vec![address.to_string().trim_end_matches(&format!(":{port}")).to_owned()]
        };
        // The printed form of an address is an authority.
        names
            .iter()
            .filter_map(|name| format!("{name}:{port}").parse().ok())
            .for_each(|host| self.add(host));
    }

    /// Whether a request comes from a program, under a name of this server.
    pub(super) fn allow(&self, request: &Parts) -> bool {
        let mut named = request.headers.get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return false;
        };
        let host = host.to_str().ok().and_then(|host| host.parse().ok());
        let absolute = request.uri.authority();
        !request.headers.contains_key(ORIGIN)
            && host.is_some_and(|host| self.contain(&host))
            && absolute.is_none_or(|host| self.contain(host))
    }

    fn contain(&self, host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        // Authorities are compared without regard to case.
        host.host().eq_ignore_ascii_case(FROM_A_CONTAINER)
            || self.0.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }
}
