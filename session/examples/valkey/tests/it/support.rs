//! What the random sequences use.

#[path = "../../../../tests/it/support/clock.rs"]
pub(crate) mod clock;
#[expect(dead_code, reason = "the library's own tests use all of it")]
#[path = "../../../../tests/it/support/site.rs"]
pub(crate) mod site;

pub(crate) use dev::program::SECRET_KEY;

pub(crate) use crate::server::Valkey as Compared;

/// Returns the store over a server of its own, or nothing where there is none.
pub(crate) async fn compared() -> Vec<(&'static str, Compared)> {
    let valkey = Compared::new().await;
    valkey.into_iter().map(|valkey| ("valkey", valkey)).collect()
}
