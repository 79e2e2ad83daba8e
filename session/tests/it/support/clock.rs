//! Tokio's clock, stopped: no timeout ends a call because the machine is busy.

use std::sync::mpsc;
use std::time::Duration;

use dev::PATIENCE;
use tokio::task::spawn_blocking;

/// Far longer than what is done meanwhile.
const AT_MOST: Duration = PATIENCE.saturating_mul(10);

/// This runtime's clock stands still until the value is dropped, in the runtime. It is one of a single thread. What
/// waits for a time that does not come fails after all.
pub(crate) struct Stopped(Option<mpsc::Sender<()>>);

impl Stopped {
    pub(crate) fn now() -> Self {
        tokio::time::pause();
        // A clock that is paused passes when there is nothing else to do, unless a blocking task runs:
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
