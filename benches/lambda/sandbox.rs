//! A Lambda sandbox with one function in it: the process, its environment, and the Runtime API it asks for work.
//!
//! Blocking and in one thread, so that the clock sees the function and as little as possible of what surrounds it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;
use serde_json::Value;

use crate::{Failure, event::Event};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many requests' lines are left in the pipe of the log before they are taken out. A reader that waits there, and that each
/// line wakes, would cost the function more than the line.
const LINES: usize = 32;

/// A running function that waits for an event.
pub(crate) struct Sandbox {
    process: Child,
    log: ChildStdout,
    lines: Vec<u8>,
    listener: TcpListener,
    connection: Option<BufReader<TcpStream>>,
    invocations: usize,
    /// From the start of the process until it asked for its first event.
    pub(crate) first_poll: Duration,
}

/// What the function answered, and how long it took. Not read at once: what runs between two events takes from the
/// processor's caches what the function has there.
pub(crate) struct Answer {
    pub(crate) duration: Duration,
    json: Vec<u8>,
}

impl Answer {
    /// What it says, if it reports success.
    pub(crate) fn read(&self) -> Result<Value, Failure> {
        let answer: Value = serde_json::from_slice(&self.json)?;
        if matches!(answer["statusCode"].as_u64(), Some(200 | 303)) {
            return Ok(answer);
        }
        Err(format!("an answer {answer}").into())
    }
}

impl Sandbox {
    /// Starts a function and waits for its first poll.
    pub(crate) fn start(program: &Path, environment: &[(String, String)]) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .envs(LAMBDA_SETS)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let started = Instant::now();
        let mut process = command.spawn()?;
        let log = process.stdout.take().ok_or("no pipe")?;
        ioctl_fionbio(&log, true)?;
        let mut sandbox = Self {
            process,
            log,
            lines: vec![0; 64 * 1024],
            listener,
            connection: None,
            invocations: 0,
            first_poll: Duration::ZERO,
        };
        sandbox.poll()?;
        sandbox.first_poll = started.elapsed();
        Ok(sandbox)
    }

    /// Hands the function an event, and returns when it has answered and asks for the next.
    pub(crate) fn invoke(&mut self, event: &[u8]) -> Result<Answer, Failure> {
        self.invocations += 1;
        if self.invocations.is_multiple_of(LINES) {
            let _ = self.log.read(&mut self.lines);
        }
        let mut message = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             lambda-runtime-aws-request-id: 00000000-0000-4000-8000-{:012}\r\n\
             lambda-runtime-deadline-ms: 9999999999999\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:lambda-session\r\n\
             lambda-runtime-trace-id: Root=1-68f0a1b2-0123456789abcdef01234567;Sampled=0\r\n\r\n",
            event.len(),
            self.invocations
        )
        .into_bytes();
        message.extend_from_slice(event);
        let start = Instant::now();
        self.send(&message)?;
        let (head, json) = self.receive()?;
        let duration = start.elapsed();
        self.send(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
        if !head.contains("/response ") {
            return Err(format!("the function reported {}", String::from_utf8_lossy(&json)).into());
        }
        self.poll()?;
        Ok(Answer { duration, json })
    }

    /// CPU time the process has used, to the nanosecond.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The most memory the process has had at once, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: u64 = line
            .and_then(|line| line.split_whitespace().next())
            .unwrap_or("0")
            .parse()?;
        Ok(kilobytes * 1024)
    }

    /// Waits until the function asks for an event.
    fn poll(&mut self) -> Result<(), Failure> {
        let (head, body) = self.receive()?;
        if head.starts_with("GET ") && head.contains("/invocation/next ") {
            return Ok(());
        }
        Err(format!("the function sent {head:?} {}", String::from_utf8_lossy(&body)).into())
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let connection = self.connection.as_mut().ok_or("the function closed its connection")?;
        Ok(connection.get_mut().write_all(message)?)
    }

    /// The next request: its first line, and its body.
    fn receive(&mut self) -> Result<(String, Vec<u8>), Failure> {
        loop {
            if self.connection.is_none() {
                self.connection = Some(BufReader::new(self.accept()?));
            }
            if let Some(connection) = &mut self.connection
                && let Some(request) = read(connection)?
            {
                return Ok(request);
            }
            self.connection = None;
        }
    }

    fn accept(&mut self) -> Result<TcpStream, Failure> {
        let start = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the function ended: {status}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err("the function did not ask for an event".into());
            }
            thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `None` at the end of the connection.
fn read(connection: &mut BufReader<TcpStream>) -> Result<Option<(String, Vec<u8>)>, Failure> {
    let mut head = String::new();
    if connection.read_line(&mut head)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("the function streams its answer".into());
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

/// An event as the Runtime API sends it.
pub(crate) fn bytes(event: Event) -> Vec<u8> {
    event.into_value().to_string().into_bytes()
}

/// What Lambda sets for every function, and keys for a DynamoDB that only looks whether there are any.
const LAMBDA_SETS: [(&str, &str); 13] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "lambda-session"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/lambda-session"),
    (
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "2026/10/16/[$LATEST]0123456789abcdef0123456789abcdef",
    ),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_DEFAULT_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_SESSION_TOKEN", "local"),
];
