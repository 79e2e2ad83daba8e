//! The store over a real server: the contract, and the library's random sequences of calls and visits.

#![expect(clippy::disallowed_methods, reason = "tests measure time and read the environment")]

use crate::server::Valkey;

#[expect(dead_code, reason = "the program's `main` is not called")]
#[path = "../../src/main.rs"]
mod example;
#[path = "../../../../tests/it/refinement/mod.rs"]
mod refinement;
mod server;
mod support;

/// Without a server the rule is skipped. The server stops when the store is dropped, after the rule.
macro_rules! store {
    () => {
        match Valkey::new().await {
            Some(valkey) => valkey,
            None => return,
        }
        .store
    };
}
lambda_session::store_contract!(store!());
lambda_session::owner_store_contract!(store!());
