//! All stores behave alike: random sequences of calls, and of visits over them, have the same results on each store,
//! call by call.
//!
//! `MemoryStore` is the reference, and `support::compared` returns the others: DynamoDB in the library's tests, and
//! Valkey in those of `examples/valkey`. A failure is printed with its seed; `PROPTEST_RNG_SEED=N` repeats it.

use std::fmt::Debug;

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};

mod calls;
mod visits;

/// Runs `test` on this many values of `strategy`.
#[track_caller]
fn explore<S: Strategy<Value: Debug>>(cases: u32, strategy: S, test: impl Fn(S::Value) -> TestCaseResult) {
    let mut config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    if config.rng_seed == RngSeed::Random {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        config.rng_seed = RngSeed::Fixed(u64::from(now.subsec_nanos()));
    }
    let seed = config.rng_seed;
    match TestRunner::new(config).run(&strategy, test) {
        Ok(()) => {}
        Err(TestError::Fail(reason, smallest)) => {
            panic!("PROPTEST_RNG_SEED={seed} repeats it: {reason}\n{smallest:#?}")
        }
        Err(aborted) => panic!("PROPTEST_RNG_SEED={seed} repeats it: {aborted}"),
    }
}
