//! A Valkey or Redis server, and the example's store over it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev::PATIENCE;
use lambda_session::Store as _;
use lambda_session::testing::steps::key;
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

use crate::example::ValkeyStore;

const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

/// A store over a server of its own, which stops when the value is dropped.
pub(crate) struct Valkey {
    pub(crate) store: ValkeyStore,
    _server: Server,
}

impl Valkey {
    /// Returns `None` where there is no server, and says so. Fails instead if `REQUIRE_VALKEY` is set.
    pub(crate) async fn new() -> Option<Self> {
        let directory = tempdir().expect("a directory");
        let Some(process) = PROGRAMS.iter().find_map(|program| start(program, directory.path())) else {
            skip();
            return None;
        };
        let socket = directory.path().join(SOCKET);
        let mut server = Server {
            process,
            _directory: directory,
        };
        server.ready(&socket).await;
        let store = store(&format!("redis+unix://{}", socket.display()));
        connect(&store).await;
        Some(Self { store, _server: server })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn store(url: &str) -> ValkeyStore {
    ValkeyStore::open(url).expect("the address of a Valkey")
}

/// Waits until the server answers: its socket may exist before the server listens there.
async fn connect(store: &ValkeyStore) {
    let answered = async { while store.load(&key()).await.is_err() {} };
    let answered = timeout(PATIENCE, answered).await;
    answered.expect("the server answers");
}

/// Says that a test is skipped, where `cargo test` shows it.
fn skip() {
    let required = variable("REQUIRE_VALKEY").is_some();
    assert!(!required, "there is neither {} nor {}", PROGRAMS[0], PROGRAMS[1]);
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // Written to standard error itself, because the macros' output is shown only when a test fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: there is no valkey-server");
}

const SOCKET: &str = "socket";

/// Starts the server in memory and on a socket only, because a socket needs no free port.
fn start(program: &str, directory: &Path) -> Option<Child> {
    Command::new(program)
        .args(["--port", "0", "--unixsocket", SOCKET])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

struct Server {
    process: Child,
    _directory: TempDir,
}

impl Server {
    async fn ready(&mut self, socket: &Path) {
        let started = Instant::now();
        while !socket.exists() {
            let ended = self.process.try_wait().expect("a process");
            assert_eq!(ended, None, "the server ended");
            assert!(started.elapsed() < PATIENCE, "the server does not listen");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
