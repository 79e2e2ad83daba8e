//! `cargo local` as its users see it: the compiled command, plain HTTP, signals and files.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{PATIENCE, example, signal};

/// The command, without what the tester's own environment would tell it.
fn command(arguments: &[&str]) -> Command {
    let mut command = example("local", arguments);
    for name in [
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "SESSION_IDLE_TIMEOUT",
        "SESSION_LIFETIME",
    ] {
        command.env_remove(name);
    }
    command
}

/// The command while it runs.
struct Local {
    process: Child,
    printed: Lines<BufReader<ChildStdout>>,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Local {
    async fn start(arguments: &[&str]) -> Self {
        let mut process = command(&[&["--port", "0"], arguments].concat())
            .spawn()
            .expect("the command");
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

type Page = Response<String>;

/// Runs the command to its end and returns its status and what it printed as an error.
async fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let ended = timeout(PATIENCE, command(arguments).output())
        .await
        .expect("an end in time")
        .expect("output");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
}

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
            if line.contains("answered") {
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

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound listener").port();
    let (status, message) = fails(&["--port", &port.to_string()]).await;
    let expected = format!("error: port {port} on 127.0.0.1 is already taken; choose another with --port\n");
    assert_eq!((status, message), (Some(1), expected));
}

#[tokio::test]
async fn a_wrong_flag_is_a_usage_error() {
    for (arguments, expected) in [
        (&["--prot", "1"][..], "'--prot'"),
        (&["--port"], "'--port'"),
        (&["--port", "70000"], "--port 70000: not a port from 0 to 65535"),
        (&["somewhere"], "\"somewhere\""),
    ] {
        let (status, message) = fails(arguments).await;
        assert_eq!(status, Some(2), "{arguments:?}: {message}");
        assert!(
            message.contains(expected) && message.contains("--help"),
            "{arguments:?}: {message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let directory = tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let key = path("secret-key");
    let given = directory.path().display().to_string();

    fs::write(path("file"), "").expect("a file");
    let (status, message) = fails(&["--port", "0", "--data-dir", &path("file")]).await;
    assert!(status == Some(1) && message.contains(&path("file")), "{message}");

    fs::write(&key, "too short\n").expect("a file");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(
        status == Some(1) && message.contains(&key) && message.contains("32"),
        "{message}"
    );
    assert!(!message.contains("too short\n"), "{message}");

    fs::remove_file(&key).expect("the file");
    fs::create_dir(&key).expect("a directory");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(status == Some(1) && message.contains(&key), "{message}");

    fs::remove_dir(&key).expect("the directory");
    fs::create_dir(path("dynamodb.sqlite")).expect("a directory");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(
        status == Some(1) && message.contains(&path("dynamodb.sqlite")),
        "{message}"
    );
}
