//! `cargo local` as its users see it: the compiled command, plain HTTP, signals and files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use dev::lambda::signal;
use dev::{PATIENCE, app};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::support::{self, mode};

/// Returns the app's program, which the first caller builds.
pub(crate) async fn program() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || app::program(false).await.expect("the app's program");
    PROGRAM.get_or_init(build).await
}

/// Returns the command, without variables of the tester's environment that would change it.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = support::command(env!("CARGO_BIN_EXE_local"), arguments);
    for name in [
        "LOCAL_FUNCTION",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "SESSION_IDLE_TIMEOUT",
        "SESSION_LIFETIME",
    ] {
        command.env_remove(name);
    }
    command
}

/// The running command.
struct Local {
    process: Child,
    printed: Lines<BufReader<ChildStdout>>,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Local {
    async fn start(arguments: &[&str]) -> Self {
        Self::start_with(command(&[&["--port", "0"], arguments].concat())).await
    }

    async fn start_with(mut command: Command) -> Self {
        command.env("LOCAL_FUNCTION", program().await);
        let mut process = command.spawn().expect("the command");
        let mut printed = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let first = timeout(PATIENCE, printed.next_line())
            .await
            .expect("an address in time");
        let address = first.expect("a readable pipe").expect("a line");
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            process,
            printed,
            address,
            client,
        }
    }

    async fn send(&self, request: http::request::Builder, path: &str, body: &'static str) -> Page {
        let request = request.uri(format!("{}{path}", self.address)).body(body.into());
        let answer = self
            .client
            .request(request.expect("a request"))
            .await
            .expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Response::from_parts(parts, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn get(&self, path: &str, cookie: &str) -> Page {
        self.send(Request::get("/").header(header::COOKIE, cookie), path, "")
            .await
    }

    /// Logs in under the name `admin` and returns the cookie.
    async fn login(&self) -> String {
        let form = Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let page = self.send(form, "/login", "username=admin").await;
        assert_eq!(page.status(), StatusCode::SEE_OTHER);
        let cookie = page.headers()[header::SET_COOKIE].to_str().expect("text");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    async fn stop(mut self, by: &str) -> ExitStatus {
        signal(self.process.id().expect("a running command"), by);
        timeout(PATIENCE, self.process.wait())
            .await
            .expect("an end in time")
            .expect("a status")
    }
}

/// The command ends the function when it is asked to stop, but cannot when it is killed.
impl Drop for Local {
    fn drop(&mut self) {
        let Some(process) = self.process.id() else { return };
        signal(process, "TERM");
        for _ in 0..500 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

type Page = Response<String>;

#[tokio::test]
async fn it_prints_its_address_and_that_it_trusts_any_name_and_stops_on_ctrl_c() {
    let mut local = Local::start(&[]).await;
    let port = local
        .address
        .strip_prefix("http://127.0.0.1:")
        .expect("a local address");
    assert_ne!(port.parse::<u16>().expect("a port"), 0);
    let line = local
        .printed
        .next_line()
        .await
        .expect("a readable pipe")
        .expect("a line");
    assert!(line.contains("trusts any name"), "{line}");
    assert_eq!(local.stop("INT").await.code(), Some(0));
}

#[tokio::test]
async fn a_visitor_logs_in_and_out() {
    let mut local = Local::start(&[]).await;
    assert!(local.get("/", "").await.body().contains("You are not logged in"));
    let logged = async {
        while let Ok(Some(line)) = local.printed.next_line().await {
            if line.contains("route=\"/\"") {
                break;
            }
        }
    };
    timeout(PATIENCE, logged).await.expect("a line for the request");
    assert!(local.get("/login", "").await.body().contains("username"));
    let cookie = local.login().await;
    assert!(cookie.starts_with("session="), "{cookie}");
    assert!(local.get("/", &cookie).await.body().contains("Logged in as admin"));
    assert_eq!(local.get("/logout", &cookie).await.status(), StatusCode::SEE_OTHER);
    assert!(local.get("/", &cookie).await.body().contains("You are not logged in"));
    assert_eq!(local.stop("TERM").await.code(), Some(0));
}

#[tokio::test]
async fn a_login_survives_a_restart_with_a_data_directory() {
    let parent = tempdir().expect("a directory");
    let directory = parent.path().join("made/by the command");
    let arguments = ["--data-dir", directory.to_str().expect("text")];
    let local = Local::start(&arguments).await;
    let cookie = local.login().await;
    assert_eq!(local.stop("INT").await.code(), Some(0));
    assert_eq!(mode(&directory.join("secret-key")), 0o600);

    let local = Local::start(&arguments).await;
    assert!(local.get("/", &cookie).await.body().contains("Logged in as admin"));
}

/// The first run may find files that are open to others.
#[tokio::test]
async fn what_it_keeps_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempdir().expect("a directory");
    let open_to_all = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    open_to_all(directory.path(), 0o755).expect("a mode");
    let key = directory.path().join("secret-key");
    fs::write(&key, "a key that is longer than thirty-two bytes\n").expect("a file");
    open_to_all(&key, 0o644).expect("a mode");
    let local = Local::start(&["--data-dir", directory.path().to_str().expect("text")]).await;
    local.login().await;
    for entry in fs::read_dir(directory.path()).expect("files") {
        let file = entry.expect("a file").path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn without_a_data_directory_nothing_is_left() {
    let parent = tempdir().expect("a directory");
    let mut command = command(&["--port", "0"]);
    command.env("TMPDIR", parent.path());
    let local = Local::start_with(command).await;
    local.login().await;
    let left = || fs::read_dir(parent.path()).expect("a directory").count();
    assert_eq!(left(), 1);
    assert_eq!(local.stop("INT").await.code(), Some(0));
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn the_callers_settings_reach_the_app_and_its_aws_settings_do_not() {
    let mut command = command(&["--port", "0"]);
    command.env("SESSION_IDLE_TIMEOUT", "1");
    command.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
    command.env("AWS_PROFILE", "nobody");
    let local = Local::start_with(command).await;
    let cookie = local.login().await;
    let ended = async {
        // The idle timeout is the caller's, so the test has to wait for it.
        while local.get("/", &cookie).await.body().contains("Logged in") {
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
    };
    timeout(PATIENCE, ended).await.expect("an end of the session");
}

#[tokio::test]
async fn requests_are_served_at_once() {
    let local = Local::start(&[]).await;
    let cookie = local.login().await;
    let mut pages = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let request = Request::get(format!("{}/", local.address)).header(header::COOKIE, &cookie);
        pages.spawn(local.client.request(request.body(Full::default()).expect("a request")));
    }
    while let Some(page) = pages.join_next().await {
        assert_eq!(page.expect("a task").expect("an answer").status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn when_the_app_dies_the_command_ends() {
    let mut local = Local::start(&[]).await;
    let command = local.process.id().expect("a running command");
    let children = fs::read_to_string(format!("/proc/{command}/task/{command}/children"));
    // Not every kernel lists the children of a process.
    let Ok(children) = children else { return };
    let app = children.split_whitespace().next().and_then(|id| id.parse().ok());
    signal(app.expect("the app's process"), "KILL");
    let status = timeout(PATIENCE, local.process.wait()).await.expect("an end in time");
    assert_eq!(status.expect("a status").code(), Some(1));
}
