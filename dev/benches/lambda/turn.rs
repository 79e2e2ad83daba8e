//! A turn: one program is asked the same several times.

use std::iter::repeat_n;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dev::proxy::Proxy;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::Failure;
use crate::sandbox::{Sandbox, answer, ms};

pub(crate) struct Turn {
    pub(crate) name: String,
    sandbox: Rc<Sandbox>,
    ask: Ask,
}

/// What a program is asked.
pub(crate) enum Ask {
    /// One request after the other.
    InARow(Vec<u8>),
    /// One after the other, each after another request that is not counted.
    After { first: Vec<u8>, then: Vec<u8> },
    /// All of these at once, again and again.
    AtOnce(Vec<Vec<u8>>),
    /// One after the other. Each one's write meets a conflict: while it waits at the proxy, the other function makes
    /// the same change.
    Overtaken {
        event: Vec<u8>,
        proxy: Rc<Proxy>,
        by: Rc<Sandbox>,
    },
}

/// What some requests have taken.
#[derive(Default)]
pub(crate) struct Sample {
    requests: usize,
    cpu: Duration,
    /// The milliseconds of each request. Nobody waits for one of several at once, so those are not here.
    pub(crate) durations: Vec<f64>,
}

impl Sample {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.cpu += other.cpu;
        self.durations.extend(other.durations);
    }

    /// Returns the CPU time of a request.
    pub(crate) fn microseconds(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

impl Turn {
    pub(crate) fn new(name: String, sandbox: &Rc<Sandbox>, ask: Ask) -> Self {
        Self {
            name,
            sandbox: Rc::clone(sandbox),
            ask,
        }
    }

    /// Asks this many times.
    pub(crate) async fn take(&self, times: usize) -> Result<Sample, Failure> {
        let mut sample = Sample::default();
        let before = self.sandbox.cpu()?;
        let mut not_counted = Duration::ZERO;
        if let Ask::AtOnce(events) = &self.ask {
            let each = times.div_ceil(events.len());
            self.at_once(events, each).await?;
            sample.requests = each * events.len();
        } else {
            for _ in 0..times {
                if let Ask::After { first, .. } = &self.ask {
                    let before = self.sandbox.cpu()?;
                    self.sandbox.invoke(first).await?;
                    not_counted += self.sandbox.cpu()?.saturating_sub(before);
                }
                sample.durations.push(ms(self.once().await?.1));
            }
            sample.requests = times;
        }
        sample.cpu = self.sandbox.cpu()?.saturating_sub(before + not_counted);
        Ok(sample)
    }

    /// Returns the status of the answer to the request that is measured, and its length, to compare them with a later
    /// one's. The texts themselves may name a time.
    pub(crate) async fn answer(&self) -> Result<(Value, usize), Failure> {
        if let Ask::After { first, .. } = &self.ask {
            self.sandbox.invoke(first).await?;
        }
        let (mut answer, _) = self.once().await?;
        let length = answer["body"].as_str().map_or(0, str::len);
        Ok((answer["statusCode"].take(), length))
    }

    async fn once(&self) -> Result<(Value, Duration), Failure> {
        match &self.ask {
            Ask::InARow(event) | Ask::After { then: event, .. } => self.sandbox.invoke(event).await,
            Ask::AtOnce(events) => self.sandbox.invoke(&events[0]).await,
            Ask::Overtaken { event, proxy, by } => {
                let write = proxy.hold("UpdateItem");
                let overtake = async {
                    write.arrived().await;
                    let overtaken = by.invoke(event).await;
                    write.release();
                    overtaken
                };
                let (answer, overtaken) = tokio::join!(self.sandbox.invoke(event), overtake);
                overtaken?;
                answer
            }
        }
    }

    async fn at_once(&self, events: &[Vec<u8>], each: usize) -> Result<(), Failure> {
        let mut visitors = JoinSet::new();
        for event in events {
            let (api, event) = (Arc::clone(self.sandbox.api()), event.clone());
            visitors.spawn(async move {
                for event in repeat_n(event, each) {
                    answer(&api, event).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        visitors.join_all().await.into_iter().collect()
    }
}
