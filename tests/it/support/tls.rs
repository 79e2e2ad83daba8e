//! TLS before a server that speaks plain HTTP, with a certificate of its own.

use std::error::Error;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server named `localhost`, which nobody trusts yet.
pub(crate) struct Terminator {
    acceptor: TlsAcceptor,
    /// Its certificate, which is its own authority, in PEM.
    pub(crate) authority: String,
}

impl Terminator {
    pub(crate) fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: made.cert.pem(),
        })
    }

    /// Passes everything on to the address `behind`.
    pub(crate) async fn serve(self, listener: TcpListener, behind: String) {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (self.acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut stream = acceptor.accept(stream).await?;
                let mut upstream = TcpStream::connect(behind).await?;
                upstream.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut stream, &mut upstream).await
            });
        }
    }
}
