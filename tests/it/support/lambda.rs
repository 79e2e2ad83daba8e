//! A Lambda sandbox: the compiled function as a process of its own, with the environment variables Lambda sets.

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::runtime::RuntimeApi;
use super::{PATIENCE, signal};

/// One sandbox with a function in it. Both end with the value.
pub(crate) struct Lambda {
    function: Child,
    output: [JoinHandle<String>; 2],
    api: RuntimeApi,
}

/// What the function answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// The values of `Set-Cookie`, which payload 2.0 keeps apart from the headers.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum InvocationError {
    /// The function reported an error (or a panic), in Lambda's form.
    Reported(Value),
    /// The process ended, or took longer than a test waits.
    NoAnswer,
}

/// How the function ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lambda {
    /// Starts the function with Lambda's own variables and these, and no others.
    pub(crate) async fn start(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::start_program(Command::new(binary()), environment).await
    }

    /// Starts another program as the function.
    pub(crate) async fn start_program(
        mut program: Command,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let api = RuntimeApi::start().await;
        let mut function = program
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .envs(LAMBDA_SETS)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the compiled function");
        let stdout = function.stdout.take().expect("a pipe");
        let stderr = function.stderr.take().expect("a pipe");
        let output = [tokio::spawn(read(stdout)), tokio::spawn(read(stderr))];
        Self { function, output, api }
    }

    /// Hands the function an event and waits for what becomes of it.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Answer, InvocationError> {
        self.invoke_raw(event.to_string().into_bytes()).await
    }

    /// The same with an event that need not be JSON.
    pub(crate) async fn invoke_raw(&self, event: Vec<u8>) -> Result<Answer, InvocationError> {
        match timeout(PATIENCE, self.api.invoke(event)).await {
            Ok(Ok(outcome)) => outcome
                .map(|value| Answer::new(&value))
                .map_err(InvocationError::Reported),
            _ => Err(InvocationError::NoAnswer),
        }
    }

    /// How often the function asked for an invocation: it serves nothing before it does.
    pub(crate) fn polls(&self) -> usize {
        self.api.polls()
    }

    /// How many connections to the Runtime API the function has made.
    pub(crate) fn connections(&self) -> usize {
        self.api.connections()
    }

    /// The most memory the process has had, where the system says so.
    pub(crate) fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.function.id()?)).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().trim_end_matches(" kB").parse().ok()
    }

    /// What the function told Lambda of a start that failed.
    pub(crate) fn init_error(&self) -> Option<Value> {
        self.api.init_error()
    }

    /// Stops the process as Lambda freezes a sandbox between invocations: its sockets stay, it sees nothing.
    pub(crate) fn freeze(&self) {
        signal(self.function.id().expect("a running function"), "STOP");
    }

    pub(crate) fn thaw(&self) {
        signal(self.function.id().expect("a running function"), "CONT");
    }

    /// Waits until the function ends by itself.
    pub(crate) async fn exit(&mut self) -> Exit {
        let status = timeout(PATIENCE, self.function.wait())
            .await
            .expect("the function to end");
        self.output(status.expect("a status")).await
    }

    /// Ends the function, for what it has logged.
    pub(crate) async fn kill(&mut self) -> Exit {
        self.function.kill().await.expect("a process to kill");
        let status = self.function.wait().await.expect("a status");
        self.output(status).await
    }

    async fn output(&mut self, status: ExitStatus) -> Exit {
        let [stdout, stderr] = &mut self.output;
        Exit {
            status,
            stdout: stdout.await.expect("output"),
            stderr: stderr.await.expect("output"),
        }
    }
}

impl Answer {
    fn new(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let headers = value["headers"].as_object().into_iter().flatten();
        assert_ne!(value["isBase64Encoded"], true, "every page is text: {value}");
        Self {
            status: value["statusCode"]
                .as_u64()
                .and_then(|code| code.try_into().ok())
                .expect("a status"),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), text(value)))
                .collect(),
            cookies: value["cookies"].as_array().into_iter().flatten().map(text).collect(),
            body: text(&value["body"]),
        }
    }

    /// The cookie a browser would send back, as `name=value`, if the answer sets exactly one.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let [cookie] = self.cookies.as_slice() else {
            panic!("not one cookie: {self:?}")
        };
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}

/// The function under test: the one built beside the tests, or `LAMBDA_BINARY`, such as what `sam build` made.
fn binary() -> OsString {
    std::env::var_os("LAMBDA_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_lambda-session").into())
}

/// What Lambda sets for every function.
const LAMBDA_SETS: [(&str, &str); 11] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "lambda-session"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/lambda-session"),
    (
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "2026/10/16/[$LATEST]0123456789abcdef0123456789abcdef",
    ),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_DEFAULT_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_SESSION_TOKEN", "local"),
];

async fn read(mut pipe: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.expect("a readable pipe");
    String::from_utf8_lossy(&bytes).into_owned()
}
