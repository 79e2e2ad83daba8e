//! TLS in front of the embedded DynamoDB, or of any server, with its own certificate.

use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::PublicKeyData as _;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::dynamodb::Embedded;

/// A server named `localhost`, whose certificate nobody trusts yet.
pub struct Terminator {
    acceptor: TlsAcceptor,
    /// The certificate in PEM, which is its own authority.
    pub authority: String,
    /// The SHA-256 of the certificate's public key in base64, for Chromium's `--ignore-certificate-errors-spki-list`.
    pub pin: String,
}

impl Terminator {
    /// Makes the certificate.
    ///
    /// # Errors
    ///
    /// The operating system gives no random numbers.
    pub fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: made.cert.pem(),
            pin: STANDARD.encode(Sha256::digest(made.signing_key.subject_public_key_info())),
        })
    }

    /// Forwards everything to this DynamoDB, from a port of its own, and returns the endpoint.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn start(self, behind: &Embedded) -> Result<String, Box<dyn Error + Send + Sync>> {
        let listener = listener().await?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        behind.answer_as(&host)?;
        let address = behind.endpoint().trim_start_matches("http://").to_owned();
        self.serve(listener, address);
        Ok(format!("https://{host}"))
    }

    /// Forwards everything to the server at this address, from a port of its own, and returns the port.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn start_before(self, address: SocketAddr) -> std::io::Result<u16> {
        let listener = listener().await?;
        let port = listener.local_addr()?.port();
        self.serve(listener, address.to_string());
        Ok(port)
    }

    fn serve(self, listener: TcpListener, address: String) {
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(self.acceptor.clone(), stream, address.clone()));
            }
        });
    }
}

async fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

async fn pass(acceptor: TlsAcceptor, stream: TcpStream, behind: String) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut upstream = TcpStream::connect(behind).await?;
    upstream.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut stream, &mut upstream).await?;
    Ok(())
}

impl fmt::Debug for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminator").finish_non_exhaustive()
    }
}
