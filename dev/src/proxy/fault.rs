//! The faults between the function and DynamoDB, and the handle of a call that is held.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::PATIENCE;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call is forwarded and answered.
    Pass,
    /// The call is forwarded when the gate is released, and answered if the client still waits.
    Hold(Gate),
    /// The connection closes immediately. The call reaches DynamoDB when the gate is released.
    DeliverLate(Gate),
    /// The connection closes, and the call never reaches DynamoDB.
    DropCall,
    /// DynamoDB makes the call, and the connection closes without an answer.
    DropReply,
    /// The call is forwarded after this time.
    Delay(Duration),
    /// The call is not forwarded. The answer is this HTTP status with this DynamoDB error type.
    Error(u16, &'static str),
    /// The call is not forwarded. The answer is this HTTP status with this body.
    Answer(u16, String),
    /// The call is not forwarded. The answer has status 200, and is not JSON.
    Garbage,
    /// The call is not forwarded. The answer has status 200, and is empty.
    Empty,
    /// The call is neither forwarded nor answered. The connection stays open until the client gives up.
    Hang,
}

/// A gate between a held call and DynamoDB. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<Progress>>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    arrived: bool,
    released: bool,
    delivered: bool,
}

impl Gate {
    /// Creates a gate that no call has reached, for a rule's [`Fault`].
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// Waits until a call has reached the gate.
    ///
    /// # Panics
    ///
    /// No call reaches it in time.
    pub async fn arrived(&self) {
        self.wait("arrive at", |progress| progress.arrived).await;
    }

    /// Lets the call through.
    pub fn release(&self) {
        self.0.send_modify(|progress| progress.released = true);
    }

    /// Waits until DynamoDB has answered the call.
    ///
    /// # Panics
    ///
    /// DynamoDB does not answer in time.
    pub async fn delivered(&self) {
        self.wait("be delivered through", |progress| progress.delivered).await;
    }

    /// Announces the call, and waits for the release.
    pub(super) async fn pass(&self) {
        self.0.send_modify(|progress| progress.arrived = true);
        let released = self.0.subscribe().wait_for(|progress| progress.released).await.is_ok();
        assert!(released, "a gate ends after its clones");
    }

    pub(super) fn deliver(&self) {
        self.0.send_modify(|progress| progress.delivered = true);
    }

    async fn wait(&self, what: &str, reached: impl Fn(&Progress) -> bool) {
        let mut progress = self.0.subscribe();
        let waited = timeout(PATIENCE, progress.wait_for(reached)).await;
        assert!(waited.is_ok(), "timed out waiting for a call to {what} the gate");
    }
}
