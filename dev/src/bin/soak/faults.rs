//! The faults between the programs and `DynamoDB`: about one call in thirty is spoiled, idle connections break now and
//! then, and every few minutes there is an outage of three seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dev::proxy::{Ending, Fault, Gate, Proxy};
use tokio::time::sleep;

use crate::tally::Tally;

static OUTAGE: AtomicBool = AtomicBool::new(false);

/// Returns this time on average.
pub(crate) fn about(time: Duration) -> Duration {
    time.mul_f64(2.0 * fastrand::f64())
}

/// Returns true once in this many times.
pub(crate) fn once_in(times: u32) -> bool {
    fastrand::u32(..times) == 0
}

/// Spoils calls from now on.
pub(crate) fn begin(proxy: &Proxy, tally: &Arc<Tally>) {
    let tally = Arc::clone(tally);
    proxy.rule(move |_| {
        let (name, fault) = if OUTAGE.load(Ordering::Relaxed) {
            ("in an outage", Fault::DropCall)
        } else {
            match fastrand::u32(..300) {
                0 | 1 => ("lost", Fault::DropCall),
                2..=4 => ("reply lost", Fault::DropReply),
                5 | 6 => ("late", Fault::DeliverLate(late())),
                7 => ("throttled", Fault::Error(400, "ProvisionedThroughputExceededException")),
                8 => ("failed", Fault::Error(500, "InternalServerError")),
                9 => ("slow", Fault::Delay(about(Duration::from_millis(400)))),
                10 if once_in(3) => ("unanswered", Fault::Hang),
                _ => ("passed", Fault::Pass),
            }
        };
        tally.count("store calls", name);
        fault
    });
}

/// Returns a gate that opens within twenty seconds.
fn late() -> Gate {
    let gate = Gate::new();
    let opens = gate.clone();
    tokio::spawn(async move {
        sleep(about(Duration::from_secs(10))).await;
        opens.release();
    });
    gate
}

/// Breaks idle connections, and makes an outage now and then, for ever.
pub(crate) async fn connections(proxy: Arc<Proxy>, tally: Arc<Tally>) {
    loop {
        sleep(about(Duration::from_secs(20))).await;
        if once_in(8) {
            tally.count("disturbances", "outages");
            OUTAGE.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(3)).await;
            OUTAGE.store(false, Ordering::Relaxed);
        } else {
            tally.count("disturbances", "idle connections broken");
            proxy
                .close_idle(if once_in(2) { Ending::Reset } else { Ending::Close })
                .await;
        }
    }
}
