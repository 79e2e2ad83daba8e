//! Many requests at once: in one process through one layer, and in several instances.

use std::collections::BTreeSet;

use dev::proxy::Call;
use lambda_session::{MemoryStore, Store};
use tokio::task::JoinSet;

use super::World;
use crate::support::site::{Answer, Site, keys};

/// The answers to so many requests, all begun at once, each to its path with its cookie.
async fn at_once(requests: impl IntoIterator<Item = (Site, String, Option<String>)>) -> Vec<Answer> {
    let mut visits = JoinSet::new();
    for (site, path, cookie) in requests {
        visits.spawn(async move { site.visit(&path, cookie.as_deref()).await });
    }
    visits.join_all().await
}

/// Increments through these instances in turn: how many were acknowledged.
async fn incremented(sites: &[Site], cookie: &str, times: usize) -> usize {
    let sites = sites.iter().cycle().take(times).cloned();
    let requests = sites.map(|site| (site, "/increment?visits".to_owned(), Some(cookie.to_owned())));
    let answers = at_once(requests).await;
    for answer in &answers {
        assert_eq!(answer.cookie, None, "{answer:?}");
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[track_caller]
fn visits(found: &str) -> usize {
    let visits = found.split(' ').find_map(|pair| pair.strip_prefix("visits="));
    visits
        .and_then(|visits| visits.parse().ok())
        .expect("a number of visits")
}

fn one_layer(store: impl Store) -> Site {
    Site::with(store, || 1_800_000_000, keys())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_through_one_layer_on_one_session_are_all_counted() {
    let world = World::new().await;
    for site in [one_layer(MemoryStore::default()), one_layer(world.store())] {
        let cookie = site.login("admin", None).await;
        let done = incremented(std::slice::from_ref(&site), &cookie, 16).await;
        assert_eq!(visits(&site.view(&cookie).await), done);
        assert!(done >= 12, "{done}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_through_one_layer_on_many_sessions_keep_out_of_each_others_way() {
    let world = World::new().await;
    for site in [one_layer(MemoryStore::default()), one_layer(world.store())] {
        let logins = (0..16).map(|n| (site.clone(), format!("/login?visitor-{n}"), None));
        let cookies: Vec<_> = at_once(logins).await.into_iter().map(Answer::issued).collect();
        let requests = cookies
            .iter()
            .map(|cookie| (site.clone(), "/increment?visits".to_owned(), Some(cookie.clone())));
        for answer in at_once(requests).await {
            answer.assert_done();
        }
        let views = cookies
            .iter()
            .map(|cookie| (site.clone(), "/".to_owned(), Some(cookie.clone())));
        let mut found: Vec<_> = at_once(views).await.into_iter().map(|answer| answer.body).collect();
        found.sort_unstable();
        let mut expected: Vec<_> = (0..16).map(|n| format!("username=visitor-{n} visits=1")).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// As clicks of an impatient visitor reach several instances. A request that runs out of time is told that its write may
/// have been made; what was acknowledged counts once, and nothing counts twice.
#[tokio::test]
async fn parallel_increments_through_four_instances_count_once_each() {
    for (times, at_least) in [(20, 15), (100, 0)] {
        let world = World::new().await;
        let sites: [Site; 4] = std::array::from_fn(|_| world.site());
        let cookie = sites[0].login("admin", None).await;
        let done = incremented(&sites, &cookie, times).await;
        let counted = visits(&sites[1].view(&cookie).await);
        assert!(done >= at_least, "{done} of {times}");

        let landed = world.proxy.calls().into_iter().filter(|call| {
            let update = call.operation == "UpdateItem";
            update && call.status == Some(200)
        });
        let tokens: Vec<_> = landed.filter_map(|call| token(&call)).collect();
        let requests: BTreeSet<_> = tokens.iter().collect();
        assert_eq!((counted, requests.len()), (tokens.len(), tokens.len()), "of {times}");
        assert!((done..=times).contains(&counted), "{counted} for {done} of {times}");
        assert!(done < times || counted == times, "{counted} for {done} of {times}");
    }
}

/// The token of the request whose write this is.
fn token(call: &Call) -> Option<String> {
    let writes = call.request["ExpressionAttributeValues"][":writes"]["S"].as_str()?;
    writes.rsplit(' ').next().map(str::to_owned)
}
