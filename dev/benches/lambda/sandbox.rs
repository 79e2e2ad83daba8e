//! A function that is measured.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dev::PATIENCE;
use dev::lambda::Lambda;
use dev::runtime::{Outcome, RuntimeApi, json};
use serde_json::Value;
use tokio::time::timeout;

use crate::{Failure, programs};

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
        let log = File::create(programs::target().join("bench").join("log"))?;
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
        let answer = timeout(PATIENCE, api.invoke(event.to_vec())).await??;
        // Nobody waits for the bench, which reads the answer.
        let duration = start.elapsed();
        timeout(PATIENCE, api.polled(polls + 1)).await?;
        Ok((read(answer)?, duration))
    }

    /// Returns the Runtime API, for callers that invoke the function at once.
    pub(crate) fn api(&self) -> &Arc<RuntimeApi> {
        self.lambda.api()
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

    /// Returns the MiB of the process's memory: at present (`VmRSS`), or the most so far (`VmHWM`).
    pub(crate) fn memory(&self, which: &str) -> Result<f64, Failure> {
        let kib = self.lambda.memory_kib(which).ok_or("no memory is reported")?;
        Ok(kib as f64 / 1024.0)
    }
}

/// Returns a function's answer to an event.
pub(crate) async fn answer(api: &RuntimeApi, event: Vec<u8>) -> Result<Value, Failure> {
    read(timeout(PATIENCE, api.invoke(event)).await??)
}

fn read(outcome: Outcome) -> Result<Value, Failure> {
    match outcome.and_then(|answer| json(&answer)) {
        Ok(answer) if matches!(answer["statusCode"].as_u64(), Some(200 | 303)) => Ok(answer),
        Ok(answer) | Err(answer) => Err(format!("an answer {answer}").into()),
    }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
