//! The faults between the programs and `DynamoDB`: about one call in thirty is spoiled, idle connections break now and
//! then, and every few minutes there is an outage of three seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dev::proxy::{Ending, Fault, Gate, Proxy};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::tally::Tally;

static OUTAGE: AtomicBool = AtomicBool::new(false);

/// Spoils calls from now on.
pub(crate) fn begin(proxy: &Proxy, tally: &Arc<Tally>) {
    let (mut chance, tally) = (Chance::new(), Arc::clone(tally));
    proxy.rule(move |_| {
        let (name, fault) = if OUTAGE.load(Ordering::Relaxed) {
            ("outage", Fault::DropCall)
        } else {
            match chance.below(300) {
                0 | 1 => ("lost call", Fault::DropCall),
                2..=4 => ("lost reply", Fault::DropReply),
                5 | 6 => ("late call", Fault::DeliverLate(late(&mut chance))),
                7 => ("throttled", Fault::Error(400, "ProvisionedThroughputExceededException")),
                8 => ("error 500", Fault::Error(500, "InternalServerError")),
                9 => ("slow", Fault::Delay(chance.about(Duration::from_millis(400)))),
                10 if chance.once_in(3) => ("no answer", Fault::Hang),
                _ => {
                    tally.called(None);
                    return Fault::Pass;
                }
            }
        };
        tally.called(Some(name));
        fault
    });
}

/// Returns a gate that opens within twenty seconds.
fn late(chance: &mut Chance) -> Gate {
    let gate = Gate::new();
    let (opens, after) = (gate.clone(), chance.about(Duration::from_secs(10)));
    tokio::spawn(async move {
        sleep(after).await;
        opens.release();
    });
    gate
}

/// Breaks idle connections, and makes an outage now and then, for ever.
pub(crate) async fn connections(proxy: Arc<Proxy>, tally: Arc<Tally>) {
    let mut chance = Chance::new();
    loop {
        sleep(chance.about(Duration::from_secs(20))).await;
        if chance.once_in(8) {
            tally.spoiled("outages");
            OUTAGE.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(3)).await;
            OUTAGE.store(false, Ordering::Relaxed);
        } else {
            let ending = if chance.once_in(2) {
                Ending::Reset
            } else {
                Ending::Close
            };
            tally.spoiled("connections broken");
            proxy.close_idle(ending).await;
        }
    }
}
