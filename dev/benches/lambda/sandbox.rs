//! A running function, and the resources that it uses.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dev::PATIENCE;
use dev::event::Event;
use dev::lambda::Lambda;
use dev::runtime::RuntimeApi;
use serde_json::Value;
use tokio::time::timeout;

use crate::{Failure, artifact};

/// A function that waits for an event.
pub(crate) struct Sandbox {
    lambda: Lambda,
    process: u32,
    /// The time from the start of the process until it asked for its first event.
    pub(crate) first_poll: Duration,
}

impl Sandbox {
    /// Starts a function and waits for its first poll.
    pub(crate) async fn start<S: AsRef<OsStr> + Clone>(
        program: &Path,
        environment: &[(S, S)],
    ) -> Result<Self, Failure> {
        // A file, because the reader of a pipe wakes with each line, which would cost the function more than the line.
        let log = File::create(artifact::target().join("bench").join("log"))?;
        let started = Instant::now();
        let environment = environment.iter().cloned();
        let lambda = Lambda::with_output(program, environment, Stdio::from(log), Stdio::inherit()).await?;
        timeout(PATIENCE, lambda.api().polled(1))
            .await
            .map_err(|_| format!("{} did not ask for an event", program.display()))?;
        Ok(Self {
            first_poll: started.elapsed(),
            process: lambda.process_id().ok_or("the function ended")?,
            lambda,
        })
    }

    /// Hands the function an event. Returns when it has answered and asks for the next, with the answer and the
    /// duration.
    pub(crate) async fn invoke(&self, event: &[u8]) -> Result<(Value, Duration), Failure> {
        let api = self.lambda.api();
        let polls = api.polls();
        let start = Instant::now();
        let answer = self.caller().answer(event.to_vec()).await?;
        let duration = start.elapsed();
        timeout(PATIENCE, api.polled(polls + 1)).await?;
        Ok((answer, duration))
    }

    /// Returns a handle for one of several callers that invoke the function at once.
    pub(crate) fn caller(&self) -> Caller {
        Caller(Arc::clone(self.lambda.api()))
    }

    /// Returns the process ID of the function.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Returns the CPU time that the process has used, to the nanosecond.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process))? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Returns the most memory that the process has used at once, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.lambda.peak_memory_kib().unwrap_or_default() as f64 / 1024.0
    }
}

/// Invokes a function.
pub(crate) struct Caller(Arc<RuntimeApi>);

impl Caller {
    /// Returns the function's answer to an event.
    pub(crate) async fn answer(&self, event: Vec<u8>) -> Result<Value, Failure> {
        match timeout(PATIENCE, self.0.invoke(event)).await?? {
            Ok(answer) if matches!(answer["statusCode"].as_u64(), Some(200 | 303)) => Ok(answer),
            Ok(answer) | Err(answer) => Err(format!("an answer {answer}").into()),
        }
    }
}

/// Returns an event as the Runtime API sends it.
pub(crate) fn bytes(event: Event) -> Vec<u8> {
    event.into_value().to_string().into_bytes()
}
