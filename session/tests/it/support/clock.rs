//! Stops Tokio's clock, so that no timeout ends a call because the machine is busy.

use std::sync::mpsc;
use std::time::Duration;

use dev::PATIENCE;
use tokio::task::spawn_blocking;

/// Far longer than the tests take while the clock stands still.
const AT_MOST: Duration = PATIENCE.saturating_mul(10);

/// The clock of this single-threaded runtime stands still until the value is dropped there, or until [`AT_MOST`] has
/// passed. Then a wait that would never end fails.
pub(crate) struct Stopped(Option<mpsc::Sender<()>>);

impl Stopped {
    pub(crate) fn now() -> Self {
        tokio::time::pause();
        // A paused clock advances when there is nothing else to do, unless a blocking task runs:
        // <https://docs.rs/tokio/latest/tokio/time/fn.pause.html>.
        let (end, ended) = mpsc::channel();
        drop(spawn_blocking(move || ended.recv_timeout(AT_MOST)));
        Self(Some(end))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.take());
        tokio::time::resume();
    }
}
