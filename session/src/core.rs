//! The data types of sessions: pure code, without clock, randomness, environment, or AWS.

/// Implements `Debug` for secret types, which shows the type's name only.
macro_rules! show_name_only {
    ($($secret:ident),+) => {$(
        impl std::fmt::Debug for $secret {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($secret), "(..)"))
            }
        }
    )+};
}

pub(crate) mod bound;
pub(crate) mod cookie;
pub(crate) mod edits;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod time;
pub(crate) mod value;
