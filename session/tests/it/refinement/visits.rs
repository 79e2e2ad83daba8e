//! Sequences of visits to a site over each store, sealed and not. A visitor cannot tell the sites apart.

use lambda_session::{MemoryStore, Store};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::runtime::Builder;

use super::explore;
use crate::support::clock::Stopped;
use crate::support::compared;
use crate::support::site::{Answer, Site, keys, layer, now, wait};

/// Browsers, each with a cookie of its own.
const BROWSERS: usize = 3;

/// A browser's visit: which of its last cookies it sends, how long it waits before, and what it asks for.
#[derive(Clone, Debug)]
struct Visit {
    browser: usize,
    stale: usize,
    wait: u64,
    path: String,
}

fn path() -> impl Strategy<Value = String> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    let owner = || prop_oneof![Just("ann"), Just("bob")];
    let about = |path: &'static str| move |name: &str| format!("{path}?{name}");
    let value = (name(), "[a-z]{1,3}");
    prop_oneof![
        4 => Just("/".to_owned()),
        4 => value.clone().prop_map(|(name, value)| format!("/set?{name}={value}")),
        2 => value.clone().prop_map(|(name, value)| format!("/both?{name}={value}&d={value}")),
        2 => value.clone().prop_map(|(name, value)| format!("/setdefault?{name}={value}")),
        1 => value.clone().prop_map(|(name, value)| format!("/save-and-set?{name}={value}")),
        1 => value.clone().prop_map(|(name, value)| format!("/save-and-end?{name}={value}")),
        1 => value.prop_map(|(name, value)| format!("/renew?{name}={value}")),
        3 => Just("/increment?n".to_owned()),
        2 => name().prop_map(about("/pop")),
        1 => name().prop_map(about("/renew-and-pop")),
        1 => Just("/many?120=x".to_owned()),
        3 => owner().prop_map(about("/login")),
        4 => owner().prop_map(about("/log-in")),
        1 => owner().prop_map(|owner| format!("/remember?{owner}=100000")),
        1 => Just("/renew?".to_owned()),
        2 => name().prop_map(about("/flash")),
        2 => Just("/flashes".to_owned()),
        1 => name().prop_map(about("/goodbye")),
        1 => Just("/clear".to_owned()),
        2 => Just("/logout".to_owned()),
        1 => Just("/owner".to_owned()),
        1 => owner().prop_map(about("/end-all")),
        1 => Just("/end-others".to_owned()),
    ]
}

fn visit() -> impl Strategy<Value = Visit> {
    let stale = prop_oneof![5 => Just(0_usize), 1 => 1..3_usize];
    let wait = prop_oneof![
        6 => Just(0_u64),
        2 => 1..200_u64,
        1 => 1_790..1_810_u64,
        1 => 0..50_000_u64,
    ];
    (0..BROWSERS, stale, wait, path()).prop_map(|(browser, stale, wait, path)| Visit {
        browser,
        stale,
        wait,
        path,
    })
}

/// A site, and the cookies that its browsers were given, the newest last.
struct Visited {
    name: String,
    site: Site,
    cookies: Vec<Vec<String>>,
}

impl Visited {
    fn over(name: &str, store: impl Store, sealed: bool) -> Self {
        let name = format!("{name}{}", if sealed { ", sealed" } else { "" });
        Self {
            name,
            site: Site::of(layer(store, keys()).sealed(sealed).clock(now)),
            cookies: vec![Vec::new(); BROWSERS],
        }
    }

    /// Returns the answer as a visitor sees it, in which all IDs are alike.
    async fn visit(&mut self, visit: &Visit) -> Answer {
        let cookies = &mut self.cookies[visit.browser];
        let cookie = cookies
            .len()
            .checked_sub(1 + visit.stale)
            .map(|place| cookies[place].as_str());
        let mut answer = self
            .site
            .visit(&visit.path, cookie.filter(|cookie| !cookie.ends_with('=')))
            .await;
        if let Some(sent) = answer.cookie.take() {
            answer.cookie = Some(if sent.ends_with('=') { "cleared" } else { "issued" }.to_owned());
            cookies.push(sent);
        }
        answer
    }
}

#[test]
fn every_visit_has_the_same_answer_over_every_store_sealed_or_not() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    explore(20, vec(visit(), 1..40), |visits| {
        runtime.block_on(async {
            // Owners' lists are found by name, so each sequence and each kind of site has stores of its own.
            let stores = [compared().await, compared().await];
            let mut sites = Vec::new();
            for (sealed, stores) in [false, true].into_iter().zip(&stores) {
                sites.push(Visited::over("memory", MemoryStore::default(), sealed));
                for (name, compared) in stores {
                    sites.push(Visited::over(name, compared.store.clone(), sealed));
                }
            }
            // If a slide took too long, it would be given up, and the session would end sooner.
            let _clock = Stopped::now();
            for visit in &visits {
                wait(visit.wait);
                let mut expected = None;
                for visited in &mut sites {
                    let answer = visited.visit(visit).await;
                    let expected = expected.get_or_insert_with(|| answer.clone());
                    if answer != *expected {
                        let reason = format!("{visit:?}: {} says {answer:?} instead of {expected:?}", visited.name);
                        return Err(TestCaseError::fail(reason));
                    }
                }
            }
            Ok(())
        })
    });
}
