//! Several visitors at once on one session, over a network that delays, loses, repeats and delivers late: what they were
//! answered, in order, keeps the rules.
//!
//! The schedule comes from a seed, which a failure prints and `HISTORY_SEED` repeats (as far as the machine does).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambda_session::DynamoDbStore;
use tokio::task::JoinSet;

use crate::model::history::{Action, History, VARIABLES};
use crate::model::rules;
use crate::model::steps::Fate;
use crate::support::own_table::Table;
use crate::support::sdk;
use crate::support::site::Site;
use dev::dynamodb::table;
use dev::proxy::{Call, Fault, Gate, Proxy};

const ROUNDS: u64 = 6;
const VISITORS: u64 = 5;
const VISITS: usize = 20;

/// Xorshift: a few good bits for each draw, the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        let index = usize::try_from(self.below(among.len() as u64)).expect("an index");
        among[index]
    }

    fn action(&mut self) -> Action {
        match self.below(16) {
            0..=4 => Action::View,
            5..=9 => Action::Set(self.pick(&VARIABLES)),
            10 => Action::Add,
            11 => Action::Pop(self.pick(&VARIABLES)),
            12..=14 => Action::Login(self.pick(&["ann", "ann", "bob"])),
            _ => self.pick(&[Action::Logout, Action::End, Action::Clear]),
        }
    }

    /// Most calls are only shuffled. A late one goes to the others that wait.
    fn fault(&mut self, late: &Mutex<Vec<Gate>>) -> Fault {
        match self.below(24) {
            0 => Fault::DropCall,
            1 | 2 => Fault::DropReply,
            3 => Fault::Error(500, "InternalServerError"),
            4 | 5 => {
                let gate = Gate::new();
                late.lock().unwrap_or_else(PoisonError::into_inner).push(gate.clone());
                Fault::DeliverLate(gate)
            }
            6..=9 => Fault::Pass,
            _ => Fault::Delay(Duration::from_micros(self.below(8_000))),
        }
    }
}

/// What all visitors share.
struct Round {
    sites: [Site; 2],
    history: Mutex<History>,
    late: Arc<Mutex<Vec<Gate>>>,
}

impl Round {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn visit(&self, site: &Site, action: Action, pick: usize) {
        let (place, path, cookie) = self.history().start(action, pick);
        let answer = site.visit(&path, cookie.as_deref()).await;
        let mut history = self.history();
        history.step(place, Fate::Lost);
        history.answer(place, answer);
    }

    /// Lets one of the late calls through.
    fn release(&self, random: &mut Random) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if !late.is_empty() {
            let index = usize::try_from(random.below(late.len() as u64)).expect("an index");
            late.swap_remove(index).release();
        }
    }
}

async fn visitor(round: Arc<Round>, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..VISITS {
        let site = &round.sites[usize::from(random.below(2) == 0)];
        let pick = random.pick(&[1, 1, 1, 1, 2, 2, 3, 0]);
        round.visit(site, random.action(), pick).await;
        if random.below(3) == 0 {
            round.release(&mut random);
        }
    }
}

async fn play(seed: u64) -> Result<(), String> {
    let table = Table::embedded().await;
    let proxy = Proxy::start(table.endpoint());
    let site = || Site::new(DynamoDbStore::new(&sdk(), table::NAME, Some(&proxy.endpoint())));
    let round = Arc::new(Round {
        sites: [site(), site()],
        history: Mutex::default(),
        late: Arc::default(),
    });
    round.visit(&round.sites[0], Action::Login("ann"), 0).await;

    let (mut random, late) = (Random::new(seed), Arc::clone(&round.late));
    proxy.rule(move |_: &Call| random.fault(&late));
    let mut visitors = JoinSet::new();
    for visitor_number in 1..=VISITORS {
        visitors.spawn(visitor(Arc::clone(&round), seed + visitor_number));
    }
    visitors.join_all().await;

    // Everything late arrives; then everybody looks what is left.
    proxy.pass_everything();
    let late = std::mem::take(&mut *round.late.lock().unwrap_or_else(PoisonError::into_inner));
    for gate in late {
        gate.release();
        gate.delivered().await;
    }
    let cookies = round.history().cookies();
    for cookie in 1..=cookies {
        round.visit(&round.sites[0], Action::View, cookie).await;
    }
    rules::check(&round.history())
}

#[tokio::test]
async fn concurrent_visitors_of_one_session_lose_nothing_and_revive_nothing() {
    let seed = std::env::var("HISTORY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs() * 1_000);
    for round in 0..ROUNDS {
        let seed = seed + round * 100;
        if let Err(broken) = play(seed).await {
            panic!("HISTORY_SEED={seed}: {broken}");
        }
    }
}
