//! The servers that the function connects to: the embedded `DynamoDB` in its own process, plain and over TLS, and a
//! counter.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use dev::dynamodb::{Embedded, table};
use dev::tls::Terminator;
use tokio::net::TcpListener;

use crate::{Failure, artifact, processor};

/// The argument that makes this program the embedded `DynamoDB`.
pub(crate) const SERVE: &str = "--serve-dynamodb";

/// A `DynamoDB` to measure against. It stops when the value is dropped.
pub(crate) struct World {
    process: Option<Child>,
    /// Its endpoint.
    pub(crate) plain: String,
    /// Its endpoint over TLS, if it is the embedded one.
    pub(crate) tls: Option<String>,
    /// A proxy that counts what is sent to its endpoint.
    pub(crate) counter: Counter,
    /// The table.
    pub(crate) table: String,
}

impl World {
    /// Starts the embedded `DynamoDB`, unless the environment names another.
    pub(crate) fn start() -> Result<Self, Failure> {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let table = given("TABLE_NAME").unwrap_or_else(|| table::NAME.to_owned());
        let listener = StdListener::bind("127.0.0.1:0")?;
        if let Some(plain) = given("DYNAMODB_ENDPOINT") {
            return Ok(Self {
                process: None,
                counter: Counter::start(listener, &plain)?,
                plain,
                tls: None,
                table,
            });
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([SERVE, &table, &listener.local_addr()?.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no pipe")?).lines();
        let mut line = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        let (plain, tls) = (line()?, Some(line()?));
        Ok(Self {
            process: Some(process),
            counter: Counter::start(listener, &plain)?,
            plain,
            tls,
            table,
        })
    }

    /// Returns the variables with which a function connects to it at `endpoint`, including those of the floors.
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
    artifact::target().join("bench").join("authorities.pem")
}

/// Serves until standard input ends, under its own address and as `host`.
pub(crate) async fn serve(table: &str, host: &str) -> Result<(), Failure> {
    processor::of_the_store()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let embedded = Embedded::start([listener], table, None)?;
    embedded.answer_as(host)?;
    let terminator = Terminator::new()?;
    let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    fs::create_dir_all(artifact::target().join("bench"))?;
    fs::write(authority(), system + &terminator.authority)?;
    println!("{}\n{}", embedded.endpoint(), terminator.start(&embedded).await?);
    let _ = tokio::task::spawn_blocking(|| io::stdin().read(&mut [0])).await;
    embedded.stop().await;
    Ok(())
}

/// A proxy between the function and `DynamoDB` that counts.
pub(crate) struct Counter {
    /// The endpoint for the function.
    pub(crate) endpoint: String,
    counts: Arc<[AtomicU64; 3]>,
}

/// What was sent and received.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) calls: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Counter {
    /// Counts between this listener and an endpoint.
    fn start(listener: StdListener, behind: &str) -> Result<Self, Failure> {
        let behind = behind.trim_start_matches("http://").to_owned();
        let endpoint = format!("http://{}", listener.local_addr()?);
        let counts: Arc<[AtomicU64; 3]> = Arc::default();
        let counting = Arc::clone(&counts);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = StdStream::connect(&behind) else { break };
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
                    break;
                };
                let (requests, responses) = (Arc::clone(&counting), Arc::clone(&counting));
                thread::spawn(move || copy(near, far, &requests[1], &requests[0]));
                thread::spawn(move || copy(far_too, near_too, &responses[2], &AtomicU64::new(0)));
            }
        });
        Ok(Self { endpoint, counts })
    }

    /// Returns what was sent and received so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let [calls, sent, received] = &*self.counts;
        Traffic {
            calls: calls.load(Relaxed),
            sent: sent.load(Relaxed),
            received: received.load(Relaxed),
        }
    }
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            sent: self.sent - before.sent,
            received: self.received - before.received,
        }
    }
}

/// Every call of `DynamoDB` has this header once.
const TARGET: &[u8] = b"x-amz-target:";

fn copy(mut from: StdStream, mut to: StdStream, bytes: &AtomicU64, calls: &AtomicU64) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let found = buffer[..length]
            .windows(TARGET.len())
            .filter(|window| *window == TARGET)
            .count();
        calls.fetch_add(found as u64, Relaxed);
        bytes.fetch_add(length as u64, Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
