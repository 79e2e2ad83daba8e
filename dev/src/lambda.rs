//! A Lambda sandbox: a compiled function as a process of its own, with the environment variables Lambda sets.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::runtime::{RuntimeApi, json};

mod answer;

pub use answer::{Answer, InvocationError};

/// A sandbox with a function in it. Both end when the value is dropped.
#[derive(Debug)]
pub struct Lambda {
    function: Child,
    output: [Option<JoinHandle<String>>; 2],
    api: Arc<RuntimeApi>,
}

/// How a function ended.
#[derive(Debug)]
pub struct Exit {
    /// The status of the process.
    pub status: ExitStatus,
    /// What the function wrote to standard output.
    pub stdout: String,
    /// What the function wrote to standard error.
    pub stderr: String,
}

/// A compiled function: a path, or a command with arguments.
#[derive(Debug)]
pub struct Program(Command);

impl From<Command> for Program {
    fn from(command: Command) -> Self {
        Self(command)
    }
}

impl From<&Path> for Program {
    fn from(path: &Path) -> Self {
        Self(Command::new(path))
    }
}

impl From<PathBuf> for Program {
    fn from(path: PathBuf) -> Self {
        Self(Command::new(path))
    }
}

impl From<&str> for Program {
    fn from(path: &str) -> Self {
        Self(Command::new(path))
    }
}

impl Lambda {
    /// Starts a function with Lambda's own variables and these, and no others. Its output is kept for [`Lambda::exit`]
    /// and [`Lambda::kill`].
    ///
    /// # Panics
    ///
    /// The program cannot be started.
    pub async fn start<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: impl Into<Program>,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let started = Self::with_output(program, environment, Stdio::piped(), Stdio::piped()).await;
        started.expect("the compiled function")
    }

    /// Starts a function whose output goes where the caller says.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or there is no free port.
    pub async fn with_output<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: impl Into<Program>,
        environment: impl IntoIterator<Item = (N, V)>,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<Self> {
        let api = RuntimeApi::start().await?;
        let Program(mut command) = program.into();
        command
            .env_clear()
            .envs(LAMBDA_SETS)
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true);
        // A Ctrl-C on the terminal is for the program that started the sandbox, which then ends the function.
        #[cfg(unix)]
        command.process_group(0);
        let mut function = command.spawn()?;
        let output = [
            function.stdout.take().map(|pipe| tokio::spawn(read(pipe))),
            function.stderr.take().map(|pipe| tokio::spawn(read(pipe))),
        ];
        Ok(Self {
            function,
            output,
            api: Arc::new(api),
        })
    }

    /// Returns the Runtime API that the function asks.
    pub fn api(&self) -> &Arc<RuntimeApi> {
        &self.api
    }

    /// Returns the process ID of the function, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.function.id()
    }

    /// Waits until the function ends by itself, however long that takes.
    ///
    /// # Errors
    ///
    /// The operating system cannot report the status.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.function.wait().await
    }

    /// Hands the function an event, and waits for the answer.
    ///
    /// # Errors
    ///
    /// The function reported an error, or did not answer.
    pub async fn invoke(&self, event: Value) -> Result<Answer, InvocationError> {
        self.invoke_raw(event.to_string().into_bytes()).await
    }

    /// Hands the function an event that need not be JSON, and waits for the answer.
    ///
    /// # Errors
    ///
    /// The function reported an error, or did not answer.
    pub async fn invoke_raw(&self, event: Vec<u8>) -> Result<Answer, InvocationError> {
        match timeout(PATIENCE, self.api.invoke(event)).await {
            Ok(Ok(outcome)) => outcome
                .and_then(|answer| json(&answer))
                .map(|value| Answer::new(&value))
                .map_err(InvocationError::Reported),
            _ => Err(InvocationError::NoAnswer),
        }
    }

    /// Returns how often the function has asked for an invocation. Before the first time it serves nothing.
    pub fn polls(&self) -> usize {
        self.api.polls()
    }

    /// Returns how many connections to the Runtime API the function has made.
    pub fn connections(&self) -> usize {
        self.api.connections()
    }

    /// Returns the process's memory, if the system reports it: at present (`VmRSS`), or the most so far (`VmHWM`).
    pub fn memory_kib(&self, which: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.function.id()?)).ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix(which)?.strip_prefix(':'))?;
        memory.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Returns what the function has told Lambda about a start that failed.
    pub fn init_error(&self) -> Option<Value> {
        self.api.init_error()
    }

    /// Stops the process as Lambda freezes a sandbox between invocations: its sockets stay open, and it does not run.
    ///
    /// # Panics
    ///
    /// The function has ended.
    pub fn freeze(&self) {
        signal(self.function.id().expect("a running function"), "STOP");
    }

    /// Lets a frozen process go on.
    ///
    /// # Panics
    ///
    /// The function has ended.
    pub fn thaw(&self) {
        signal(self.function.id().expect("a running function"), "CONT");
    }

    /// Waits until the function ends by itself.
    ///
    /// # Panics
    ///
    /// The function does not end in time.
    pub async fn exit(&mut self) -> Exit {
        let status = timeout(PATIENCE, self.function.wait())
            .await
            .expect("the function to end");
        self.output(status.expect("a status")).await
    }

    /// Ends the function, and returns what it has logged.
    ///
    /// # Panics
    ///
    /// The operating system cannot end it.
    pub async fn kill(&mut self) -> Exit {
        self.function.kill().await.expect("a process to kill");
        let status = self.function.wait().await.expect("a status");
        self.output(status).await
    }

    async fn output(&mut self, status: ExitStatus) -> Exit {
        let [stdout, stderr] = self.output.each_mut().map(Option::take);
        let text = async |output: Option<JoinHandle<String>>| match output {
            Some(output) => output.await.expect("output"),
            None => String::new(),
        };
        Exit {
            status,
            stdout: text(stdout).await,
            stderr: text(stderr).await,
        }
    }
}

/// Sends a process a signal, by its name without `SIG`.
///
/// # Panics
///
/// There is no such process or signal.
#[track_caller]
pub fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let sent = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.expect("a shell").success(), "{kill}");
}

/// The variables that Lambda sets for every function.
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
