//! The sessions whose variables this thread is computing. The function that [`Session::update`](crate::Session::update)
//! gets runs while its session is locked, so a use of that session would wait for itself.

use std::cell::RefCell;

use super::request::RequestSession;

thread_local! {
    /// The addresses of the sessions, the innermost last, and whether each was used.
    static COMPUTING: RefCell<Vec<(usize, bool)>> = const { RefCell::new(Vec::new()) };
}

/// Identifies a session, as long as it lives.
pub(super) fn address(session: &RequestSession) -> usize {
    std::ptr::from_ref(session).addr()
}

/// Runs `compute` for the session at this address; `None` if it used that session.
pub(super) fn run<T>(session: usize, compute: impl FnOnce() -> T) -> Option<T> {
    struct Done;
    impl Drop for Done {
        // Also after a panic of `compute`.
        fn drop(&mut self) {
            COMPUTING.with_borrow_mut(Vec::pop);
        }
    }
    COMPUTING.with_borrow_mut(|computing| computing.push((session, false)));
    let done = Done;
    let computed = compute();
    let used = COMPUTING.with_borrow(|computing| computing.last().is_some_and(|(_, used)| *used));
    drop(done);
    (!used).then_some(computed)
}

/// Whether this thread is computing a variable of this session. That the session was used is recorded.
pub(super) fn uses(session: &RequestSession) -> bool {
    let session = address(session);
    COMPUTING.with_borrow_mut(|computing| {
        let computed = computing.iter_mut().rfind(|(computed, _)| *computed == session);
        computed.map(|(_, used)| *used = true).is_some()
    })
}

#[cfg(test)]
mod tests {
    use crate::{Session, ValueErrorKind};

    #[test]
    fn a_function_that_uses_its_own_session_is_an_error_and_changes_nothing() {
        type Use = fn(&Session) -> u64;
        let uses: [Use; 5] = [
            |session| session.get("visits").ok().flatten().unwrap_or_default(),
            |session| session.insert("visits", 7).map_or(0, |()| 7),
            |session| session.len() as u64,
            |session| {
                session.clear();
                session.end();
                1
            },
            |session| {
                let own = session.clone();
                let inner = move |_: Option<u64>| own.len() as u64;
                session.update("visits", inner).unwrap_or_default()
            },
        ];
        for used in uses {
            let session = Session::default();
            session.insert("visits", 3).unwrap();
            let own = session.clone();
            let error = session.update("visits", move |_: Option<u64>| used(&own)).unwrap_err();
            assert_eq!(error.kind(), ValueErrorKind::OwnSession);
            assert_eq!(
                error.to_string(),
                "session variable \"visits\": the function that computes it uses the session itself"
            );
            assert_eq!(session.get::<u64>("visits").unwrap(), Some(3));
            session.insert("still", "open").unwrap();
        }
    }

    #[test]
    fn a_function_may_use_another_session_but_not_its_own_through_it() {
        let (session, other) = (Session::default(), Session::default());
        other.insert("step", 2).unwrap();
        let step = other.clone();
        let add = move |n: Option<u64>| n.unwrap_or(0) + step.get::<u64>("step").unwrap().unwrap();
        assert_eq!(session.update("visits", add).unwrap(), 2);
        let own = session.clone();
        let round = move |_: Option<u64>| {
            let own = own.clone();
            other.update("visits", move |_: Option<u64>| own.len() as u64).unwrap()
        };
        assert!(session.update("visits", round).is_err());
        assert_eq!(session.get::<u64>("visits").unwrap(), Some(2));
    }

    #[test]
    fn a_panic_in_a_function_leaves_the_session_usable() {
        let session = Session::default();
        let own = session.clone();
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            own.update("visits", |_: Option<u64>| -> u64 { panic!("a fault of the handler") })
        }));
        assert!(panics.is_err());
        assert_eq!(session.increment("visits", 1).unwrap(), 1);
    }
}
