//! The store with tower-sessions 0.15: the same file, and the same tests.

extern crate tower_sessions_15 as tower_sessions;

#[path = "../src/store.rs"]
mod store;
#[path = "../src/tests.rs"]
mod tests;
