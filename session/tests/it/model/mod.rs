//! Any sequence of visits, interleaved at every store call, with any of them lost, repeated or late: the answers are
//! those that `rules` allows. And the rules notice when the store breaks its contract.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub(crate) mod history;
mod mutants;
pub(crate) mod rules;
pub(crate) mod steps;

use lambda_session::MemoryStore;

use crate::support::site::{Answer, Site, wait};
use history::{Action, History, VARIABLES};
use mutants::{Broken, Mutant};
use steps::{Fate, Steps};

/// One move of the schedule. The numbers pick among what there is.
#[derive(Clone, Debug)]
enum Move {
    /// A visit begins, up to its first store call, with the cookie picked or without.
    Start(Action, usize),
    /// A visit's store call meets its fate, and the visit goes on up to the next.
    Step(usize, Fate),
    /// A late call arrives.
    Deliver(usize),
    /// An instance dies in the middle of a visit.
    Crash(usize),
    /// Seconds pass.
    Tick(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let variable = || proptest::sample::select(&VARIABLES[..]);
    let action = prop_oneof![
        3 => Just(Action::View),
        4 => variable().prop_map(Action::Set),
        2 => variable().prop_map(Action::Pop),
        3 => Just(Action::Add),
        4 => proptest::sample::select(&["ann", "bob"][..]).prop_map(Action::Login),
        1 => Just(Action::Renew),
        2 => Just(Action::Logout),
        1 => Just(Action::End),
        1 => Just(Action::Clear),
    ];
    let fate = prop_oneof![
        12 => Just(Fate::Pass),
        1 => Just(Fate::Lost),
        1 => Just(Fate::ReplyLost),
        1 => Just(Fate::Retried),
        1 => Just(Fate::Late),
        2 => Just(Fate::LateAndRetried),
    ];
    let pick = || 0..4_usize;
    let next = prop_oneof![
        8 => (action, pick()).prop_map(|(action, cookie)| Move::Start(action, cookie)),
        20 => (pick(), fate).prop_map(|(visit, fate)| Move::Step(visit, fate)),
        2 => pick().prop_map(Move::Deliver),
        1 => pick().prop_map(Move::Crash),
        1 => (1..2_000_u64).prop_map(Move::Tick),
    ];
    proptest::collection::vec(next, 1..80)
}

/// A visit under way, and its place in the history.
struct Visit {
    place: usize,
    answer: Pin<Box<dyn Future<Output = Answer>>>,
}

struct World {
    store: Steps,
    /// Two instances; visits take turns.
    sites: [Site; 2],
    visits: Vec<Visit>,
    history: History,
}

impl World {
    fn new(store: Steps) -> Self {
        Self {
            sites: [Site::new(store.clone()), Site::new(store.clone())],
            store,
            visits: Vec::new(),
            history: History::default(),
        }
    }

    fn play(&mut self, next: &Move) {
        match *next {
            Move::Start(action, pick) => {
                let (place, path, cookie) = self.history.start(action, pick);
                let answer = Box::pin(self.sites[place % 2].visit(&path, cookie.as_deref()));
                self.visits.push(Visit { place, answer });
                self.poll(self.visits.len() - 1);
            }
            Move::Step(pick, fate) if !self.visits.is_empty() => {
                let visit = pick % self.visits.len();
                self.store.decide(fate);
                self.history.step(self.visits[visit].place, fate);
                self.poll(visit);
            }
            Move::Crash(pick) if !self.visits.is_empty() => {
                let crashed = self.visits.remove(pick % self.visits.len());
                self.history.crash(crashed.place);
            }
            Move::Deliver(pick) => drop(self.store.deliver(pick)),
            Move::Tick(seconds) => wait(seconds),
            Move::Step(..) | Move::Crash(_) => {}
        }
    }

    fn poll(&mut self, visit: usize) {
        let polled = self.visits[visit].answer.as_mut();
        if let Poll::Ready(answer) = polled.poll(&mut Context::from_waker(Waker::noop())) {
            let Visit { place, .. } = self.visits.remove(visit);
            self.history.answer(place, answer);
        }
    }

    /// Lets everything under way end, everything late arrive, and views every session.
    fn finish(&mut self) {
        while !self.visits.is_empty() {
            self.play(&Move::Step(0, Fate::Pass));
        }
        while self.store.deliver(0) {}
        for cookie in 1..=self.history.cookies() {
            self.play(&Move::Start(Action::View, cookie));
            while !self.visits.is_empty() {
                self.play(&Move::Step(0, Fate::Pass));
            }
        }
    }
}

/// Plays the moves over a store, and holds the answers against the rules.
fn check(store: Steps, moves: &[Move]) -> Result<(), String> {
    // The deadline of a request needs a timer; no time passes for it here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let mut world = World::new(store);
    for next in moves {
        world.play(next);
    }
    world.finish();
    rules::check(&world.history)
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}

#[test]
fn whatever_happens_the_answers_keep_the_rules() {
    // `PROPTEST_CASES` asks for more, and `MODEL_SEED` for the cases of a failure.
    let cases = Config::default().cases.max(2_000);
    let seed = std::env::var("MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs()));
    println!("MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let checked = TestRunner::new_with_rng(config(cases), random).run(&moves(), |moves| {
        check(Steps::new(MemoryStore::default()), &moves).map_err(TestCaseError::fail)
    });
    if let Err(error) = checked {
        panic!("MODEL_SEED={seed}: {error}");
    }
}

/// The rule that the model says the mutant breaks, always over the same moves.
fn broken_rule(broken: Broken) -> String {
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let checked = TestRunner::new_with_rng(config(20_000), random).run(&moves(), |moves| {
        check(Steps::new(Mutant::new(broken)), &moves).map_err(TestCaseError::fail)
    });
    match checked {
        Err(TestError::Fail(reason, _)) => reason.message().to_owned(),
        other => panic!("not noticed: {broken:?}: {other:?}"),
    }
}

#[track_caller]
fn assert_noticed(broken: Broken, rule: &str) {
    let noticed = broken_rule(broken);
    assert!(noticed.starts_with(rule), "{broken:?}: {noticed}");
}

#[test]
fn a_delete_instead_of_a_tombstone_is_noticed_as_a_revival() {
    assert_noticed(Broken::Tombstone, "revival");
}

#[test]
fn an_update_without_its_revision_is_noticed_as_a_lost_update() {
    assert_noticed(Broken::UpdateRevision, "lost update");
}

#[test]
fn a_login_without_the_revision_is_noticed_as_a_lost_update() {
    assert_noticed(Broken::ReplaceRevision, "lost update");
}

#[test]
fn other_broken_conditions_are_noticed() {
    broken_rule(Broken::FreeKey);
    assert_noticed(Broken::UpdateAlive, "revival");
    assert_noticed(Broken::Idle, "expired");
    assert_noticed(Broken::Tokens, "counted twice");
}
