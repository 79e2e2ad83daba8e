//! The server that the functions connect to: the embedded `DynamoDB` in its own process, plain and over TLS.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use dev::dynamodb::{Embedded, table};
use dev::tls::Terminator;
use tokio::net::TcpListener;

use crate::{Failure, processor, programs};

/// The argument that makes this program the embedded `DynamoDB`.
pub(crate) const SERVE: &str = "--serve-dynamodb";

/// A `DynamoDB` to measure against. It stops when the value is dropped.
pub(crate) struct World {
    process: Option<Child>,
    /// Its endpoint.
    pub(crate) plain: String,
    /// Its endpoint over TLS, if it is the embedded one.
    pub(crate) tls: Option<String>,
    /// The table.
    pub(crate) table: String,
}

impl World {
    /// Starts the embedded `DynamoDB`, unless the environment names another.
    pub(crate) fn start() -> Result<Self, Failure> {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let table = given("TABLE_NAME").unwrap_or_else(|| table::NAME.to_owned());
        if let Some(plain) = given("DYNAMODB_ENDPOINT") {
            return Ok(Self {
                process: None,
                plain,
                tls: None,
                table,
            });
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([SERVE, &table])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no pipe")?).lines();
        let mut line = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        let (plain, tls) = (line()?, Some(line()?));
        Ok(Self {
            process: Some(process),
            plain,
            tls,
            table,
        })
    }

    /// Returns the variables with which a function connects to it at `endpoint`, whichever of the programs it is.
    pub(crate) fn environment(&self, endpoint: &str) -> Vec<(String, String)> {
        let authority = authority().display().to_string();
        [
            ("TABLE_NAME", self.table.as_str()),
            ("SECRET_KEY", "a key for the bench that is longer than thirty-two bytes"),
            ("DYNAMODB_ENDPOINT", endpoint),
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("SSL_CERT_FILE", authority.as_str()),
        ]
        .into_iter()
        .filter(|(name, _)| *name != "SSL_CERT_FILE" || endpoint.starts_with("https:"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // The process ends when its standard input ends.
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// Returns the file of the certificates that the function trusts: all that this machine trusts, as on Lambda, and ours.
fn authority() -> PathBuf {
    programs::target().join("bench").join("authorities.pem")
}

/// Serves until standard input ends.
pub(crate) async fn serve(table: &str) -> Result<(), Failure> {
    processor::stay(false)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let embedded = Embedded::start([listener], table, None)?;
    let terminator = Terminator::new()?;
    let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    fs::write(authority(), system + &terminator.authority)?;
    println!("{}\n{}", embedded.endpoint(), terminator.start(&embedded).await?);
    let _ = tokio::task::spawn_blocking(|| io::stdin().read(&mut [0])).await;
    embedded.stop().await;
    Ok(())
}
