//! The life of a bound session: registration, refreshes, renewals, the end, and instances that do not know of it.

use std::sync::Mutex;

use dev::proxy::Fault;
use lambda_http::tracing::subscriber::fmt;
use lambda_session::{LazySession, SameSite};

use super::*;
use crate::support::device::header_of;

#[tokio::test]
async fn a_login_is_bound_once_and_refreshed_in_one_round_trip_as_long_as_it_lives() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    let login = browser.visit("/login?admin").await;
    assert_eq!(login.status(), 200);
    assert!(login.headers()["secure-session-registration"].is_sensitive());
    assert_eq!(browser.visit("/bound").await.body(), "false");
    let (answer, calls) = world.cost(browser.register()).await;
    assert!(answer.headers()["secure-session-challenge"].is_sensitive());
    assert_eq!(
        (answer.status().as_u16(), calls),
        (200, vec!["GetItem".to_owned(), "UpdateItem".to_owned()])
    );
    assert_eq!(header_of(&answer, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        answer.extensions().get().map(LazySession::store_calls),
        Some(2),
        "for a log"
    );
    assert_eq!(browser.visit("/bound").await.body(), "true");
    for _ in 0..3 {
        wait(TEN_MINUTES - 60);
        assert!(
            !browser.cookies().contains(SECOND),
            "the browser has to refresh before the server asks for it"
        );
        let (answer, calls) = world.cost(browser.attempt()).await;
        assert_eq!((answer.status().as_u16(), calls), (200, vec!["GetItem".to_owned()]));
        let (answer, calls) = world.cost(browser.visit("/")).await;
        assert_admin(&answer);
        assert_eq!(calls[0], "GetItem");
    }
}

#[tokio::test]
async fn a_browser_that_slept_gets_a_challenge_and_comes_again() {
    let (world, _, mut browser) = Calm::bound().await;
    wait(1_500);
    let (answer, calls) = world.cost(browser.attempt()).await;
    assert_eq!((answer.status().as_u16(), calls), (403, Vec::new()));
    assert_eq!(browser.attempt().await.status(), 200);
    assert_admin(&browser.visit("/").await);
    // A refresh is no visit: it keeps no session alive.
    wait(1_700);
    assert_eq!(browser.refresh().await.status(), 200);
    wait(200);
    assert_eq!(browser.refresh().await.status(), 200);
    assert!(browser.session.is_none(), "the session has ended");
    assert_nobody(&browser.visit("/").await);
}

#[tokio::test]
async fn requests_that_were_on_their_way_when_the_session_was_bound_are_answered() {
    let world = Calm::new().await;
    // The seconds for which a second cookie is good, and those in which nobody needs one.
    for (life, on_its_way) in [(100, 10), (TEN_MINUTES, 60), (1_200, 60)] {
        let layer = world.bound_layer().bound_for(Duration::from_secs(life));
        let mut early = Browser::log_in(&Site::of(layer), "/login?admin").await;
        early.jar.remove(SECOND);
        wait(on_its_way - 1);
        assert_admin(&early.visit("/").await);
        wait(1);
        assert_nobody(&early.visit("/").await);
    }
}

#[tokio::test]
async fn a_browser_that_cannot_bind_is_served_as_before() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    wait(TEN_MINUTES * 2);
    let (answer, calls) = world.cost(browser.visit("/")).await;
    assert_admin(&answer);
    assert_eq!(calls[0], "GetItem");
    assert_eq!(browser.visit("/set?theme=dark").await.status(), 200);
    let (answer, calls) = world.cost(browser.visit("/logout")).await;
    assert_eq!(
        (answer.status().as_u16(), calls),
        (200, vec!["GetItem".to_owned(), "UpdateItem".to_owned()])
    );
    assert!(browser.jar.is_empty());
}

#[tokio::test]
async fn a_visitor_who_does_not_log_in_is_asked_for_no_key() {
    let world = Calm::new().await;
    let mut browser = Browser::new(&world.bound_site());
    browser.visit("/set?basket=full").await;
    assert!(browser.jar.contains_key(FIRST) && browser.asked.is_none());
    browser.visit("/login?admin").await;
    assert!(browser.asked.is_some());
}

#[tokio::test]
async fn a_renewal_goes_on_with_the_key_and_the_time_of_the_second_cookie() {
    let (world, _, mut browser) = Calm::bound().await;
    let name = browser.session.clone().expect("it is bound").name;
    browser.asked = None;
    for _ in 0..3 {
        wait(100);
        let (first, second) = (browser.jar[FIRST].clone(), browser.jar[SECOND].clone());
        assert_eq!(browser.visit("/renew").await.status(), 200);
        assert!(browser.jar[FIRST] != first && browser.jar[SECOND].0 != second.0);
        assert_eq!(browser.jar[SECOND].1, second.1);
        assert_admin(&browser.visit("/").await);
        assert_eq!(browser.visit("/bound").await.body(), "true");
        wait(TEN_MINUTES - 160);
        assert!(!browser.cookies().contains(SECOND));
        let (answer, calls) = world.cost(browser.attempt()).await;
        assert_eq!((answer.status().as_u16(), calls), (200, vec!["GetItem".to_owned()]));
        assert_admin(&browser.visit("/").await);
    }
    assert!(browser.asked.is_none(), "nobody is asked for another key");
    assert_eq!(browser.session.clone().expect("it is bound").name, name);
    browser.visit("/logout").await;
    browser.refresh().await;
    assert!(browser.session.is_none());
}

#[tokio::test]
async fn a_link_from_another_site_finds_a_session_that_was_renewed() {
    const HOUR: u64 = 60 * 60;
    let world = Calm::new().await;
    let mut browser = Browser::log_in(&world.bound_site(), "/remember?ann=864000").await;
    // As an instance that does not renew bound sessions has told the browser.
    let told = browser.session.as_mut().expect("it is bound");
    told.url = told.url.split('?').next().expect("a path").to_owned();
    wait(TEN_MINUTES);
    assert_eq!(browser.refresh_from_elsewhere().await.status(), 200);
    for calls in [2, 1, 1] {
        assert_eq!(browser.visit("/owner").await.body(), "ann");
        if calls == 2 {
            assert_eq!(browser.visit("/renew").await.status(), 200);
        }
        // The refresh after the renewal follows it, and tells the browser at which URL to ask from then on.
        wait(TEN_MINUTES);
        let (answer, made) = world.cost(browser.refresh_from_elsewhere()).await;
        assert_eq!((answer.status().as_u16(), made.len()), (200, calls));
        wait(HOUR);
        assert_eq!(browser.refresh_from_elsewhere().await.status(), 200);
    }
}

#[tokio::test]
async fn a_refresh_that_is_under_way_during_a_renewal_serves_the_new_session() {
    let (world, _, mut browser) = Calm::bound().await;
    wait(60);
    let before = browser.jar.clone();
    assert_eq!(browser.visit("/renew").await.status(), 200);
    let after = std::mem::replace(&mut browser.jar, before);
    let (answer, calls) = world.cost(browser.attempt()).await;
    assert_eq!((answer.status().as_u16(), calls.len()), (200, 2));
    // The answer to the renewal comes last, or its second cookie did.
    let refreshed = browser.jar[SECOND].clone();
    for second in [after[SECOND].clone(), refreshed] {
        browser.jar.clone_from(&after);
        browser.jar.insert(SECOND.to_owned(), second);
        assert_admin(&browser.visit("/").await);
    }
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn whoever_loses_the_answer_to_a_renewal_logs_in_again() {
    let (_world, _, mut browser) = Calm::bound().await;
    wait(60);
    let before = browser.jar.clone();
    assert_eq!(browser.visit("/renew").await.status(), 200);
    browser.jar = before;
    assert_nobody(&browser.visit("/").await);
    assert_eq!(browser.refresh().await.status(), 200);
    assert_nobody(&browser.visit("/").await);
    let lost = browser.session.take();
    assert_eq!(browser.visit("/login?admin").await.status(), 200);
    assert_eq!(browser.register().await.status(), 200);
    let new = std::mem::replace(&mut browser.session, lost);
    browser.refresh().await;
    assert!(browser.session.is_none());
    browser.session = new;
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn a_session_that_waits_for_a_key_waits_no_longer_after_a_renewal() {
    let world = Calm::new().await;
    let mut browser = Browser::log_in(&world.bound_site(), "/log-in?ann").await;
    browser.visit("/log-in?ann").await;
    for _ in 0..3 {
        assert_eq!(browser.visit("/owner").await.body(), "ann");
        browser.asked = None;
        assert_eq!(browser.visit("/renew").await.status(), 200);
        assert!(browser.asked.is_some());
        wait(TEN_MINUTES / 3);
    }
    assert_nobody(&browser.visit("/").await);
}

#[tokio::test]
async fn a_registration_after_a_renewal_binds_the_session_that_it_was_made_for() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    let early = browser.asked.clone();
    browser.visit("/renew").await;
    let late = browser.asked.clone();
    assert!(late != early);
    // One for the session before is refused, whenever it comes. The session has its own.
    for (asked, status) in [(&early, 400), (&late, 200), (&early, 400)] {
        let mut other = browser.copied();
        other.asked.clone_from(asked);
        let device = if status == 200 { &mut browser } else { &mut other };
        device.asked.clone_from(asked);
        assert_eq!(device.register().await.status(), status);
    }
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn a_registration_again_after_a_renewal_is_answered_for_the_new_session() {
    let (_world, _, mut browser) = Calm::bound().await;
    assert_eq!(browser.visit("/renew").await.status(), 200);
    assert_eq!(browser.register().await.status(), 200);
    wait(60);
    assert_admin(&browser.visit("/").await);
}

#[tokio::test]
async fn a_login_of_the_same_owner_is_bound_within_ten_minutes_and_that_of_another_begins_anew() {
    let world = Calm::new().await;
    let site = world.bound_site();
    for (owner, after) in [("ann", ""), ("ben", "ben")] {
        let mut browser = Browser::log_in(&site, "/log-in?ann").await;
        browser.visit(&format!("/log-in?{owner}")).await;
        wait(TEN_MINUTES);
        assert_eq!(browser.visit("/owner").await.body(), after);
    }
}

#[tokio::test]
async fn whoever_has_lost_the_key_logs_in_again_after_a_logout_in_the_same_request() {
    let (_world, _, mut browser) = Calm::bound().await;
    browser.jar.remove(SECOND);
    wait(60);
    assert_nobody(&browser.visit("/").await);
    assert_eq!(browser.visit("/end-and-log-in?alice").await.status(), 200);
    assert_eq!(browser.visit("/owner").await.body(), "alice");
}

#[tokio::test]
async fn a_session_that_is_bound_while_it_is_renewed_leaves_one_that_is_bound() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    let mut late = browser.copied();
    // The new session is about to be created, and the one before is replaced after that.
    let gate = world.proxy.hold("PutItem");
    let renewing = tokio::spawn(async move {
        let answer = late.visit("/renew").await;
        (late, answer)
    });
    gate.arrived().await;
    assert_eq!(browser.register().await.status(), 200);
    gate.release();
    let (late, answer) = renewing.await.expect("an answer");
    assert_eq!((answer.status().as_u16(), late.asked.is_some()), (200, false));
    browser.jar.extend(late.jar);
    assert_admin(&browser.visit("/").await);
    wait(60);
    // The second cookie is that of the session before, until the browser has asked for the right one.
    browser.browse("/").await;
    assert!(!browser.jar.contains_key(SECOND));
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn after_a_logout_the_next_refresh_says_that_it_is_over() {
    let (_world, _, mut browser) = Calm::bound().await;
    let answer = browser.visit("/logout").await;
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    assert!(browser.jar.is_empty());
    assert_eq!(browser.attempt().await.body(), "{\"continue\":false}");
    assert!(browser.session.is_none());
}

#[tokio::test]
async fn the_list_and_the_session_say_that_it_is_bound() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    let listed = async || {
        let sessions = world.sessions().list("ann").await.expect("a list");
        sessions.iter().map(|session| session.bound).collect::<Vec<_>>()
    };
    browser.visit("/log-in?ann").await;
    assert_eq!(listed().await, [false]);
    browser.register().await;
    assert_eq!(listed().await, [true]);
    assert_eq!(browser.visit("/bound").await.body(), "true");
    // A session that is ended from elsewhere is over at the next refresh, too.
    world.sessions().end_all("ann").await.expect("an end");
    browser.refresh().await;
    assert!(browser.session.is_none());
}

#[tokio::test]
async fn a_remembered_session_is_refreshed_for_its_thirty_days() {
    const DAY: u64 = 24 * 60 * 60;
    let world = Calm::new().await;
    let mut browser = Browser::log_in(&world.bound_site(), &format!("/remember?ann={}", 30 * DAY)).await;
    for _ in 0..29 {
        wait(DAY);
        assert_eq!(browser.browse("/owner").await.body(), "ann");
    }
    wait(DAY);
    browser.refresh().await;
    assert!(browser.session.is_none());
}

#[tokio::test]
async fn a_sealed_session_is_bound_without_being_opened() {
    let world = Calm::new().await;
    let sealed = Site::of(world.bound_layer().sealed(true));
    let mut browser = Browser::log_in(&sealed, "/login?admin").await;
    world.check_sealed();
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn the_record_grows_by_at_most_150_bytes() {
    let (world, _, mut browser) = Calm::bound().await;
    let grown = async || {
        let items = world.table.items().await;
        let bound = items.iter().filter_map(|item| item.get("bound"));
        let sizes: Vec<_> = bound
            .map(|bound| "bound".len() + bound.as_s().expect("a text").len())
            .collect();
        sizes
    };
    assert_eq!(grown().await, [103]);
    for _ in 0..2 {
        browser.visit("/renew").await;
        assert_eq!(grown().await, [147]);
    }
}

#[tokio::test]
async fn the_second_cookie_and_the_scope_follow_the_attributes() {
    let world = Calm::new().await;
    let scope = async |layer: SessionLayerBuilder| {
        let browser = Browser::log_in(&Site::of(layer), "/login?admin").await;
        let instructions = browser.session.expect("it is bound").instructions;
        assert_eq!(instructions["allowed_refresh_initiators"], serde_json::json!(["*"]));
        let (told, credential) = (instructions["scope"].to_string(), &instructions["credentials"][0]);
        let [name, attributes] =
            ["name", "attributes"].map(|part| credential[part].as_str().expect("a text").to_owned());
        assert!(browser.jar.contains_key(&name), "{name}");
        assert_eq!(credential["type"], "cookie");
        [told, name, attributes]
    };
    let site = "{\"include_site\":true,\"origin\":\"https://example.com\"}";
    assert_eq!(
        scope(world.bound_layer()).await,
        [
            "{\"include_site\":false}",
            SECOND,
            "HttpOnly; SameSite=Lax; Path=/; Secure"
        ]
    );
    assert_eq!(
        scope(world.bound_layer().domain("example.com").same_site(SameSite::Strict)).await,
        [
            site,
            "__Secure-session-bound",
            "HttpOnly; SameSite=Strict; Path=/; Domain=example.com; Secure"
        ]
    );
    assert_eq!(
        scope(
            world
                .bound_layer()
                .cookie_name("shop")
                .path("/shop")
                .bound_path("/shop/keys")
        )
        .await,
        [
            "{\"include_site\":false}",
            "__Secure-shop-bound",
            "HttpOnly; SameSite=Lax; Path=/shop; Secure"
        ]
    );
}

#[tokio::test]
async fn a_rotation_of_the_keys_ends_no_bound_session() {
    const NEW: &[u8] = b"the new key, which signs from now on";
    let (world, _, mut browser) = Calm::bound().await;
    let rotated = lambda_session::Keys::new(NEW).expect("a long key");
    let rotated = rotated
        .with_fallback(crate::support::SECRET_KEY.as_bytes())
        .expect("a long key");
    let site = Site::of(layer(world.store(), rotated).clock(now).bound(true));
    assert_admin(&browser.at(&site).visit("/").await);
    assert_eq!(browser.visit("/renew").await.status(), 200);
    assert_admin(&browser.visit("/").await);
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_a_minute_locks_nobody_out() {
    let (world, site, mut browser) = Calm::bound().await;
    for skew in [60, -60_i64] {
        let other = Site::of(world.bound_layer().clock(move || now().saturating_add_signed(skew)));
        wait(TEN_MINUTES);
        // One instance gives the second cookie, and the other one looks at it, until the browser asks for the next.
        browser.at(&other).refresh().await;
        assert_admin(&browser.at(&site).visit("/").await);
        wait(TEN_MINUTES - 61);
        assert_admin(&browser.at(&site).visit("/").await);
        browser.at(&site).refresh().await;
        assert_admin(&browser.at(&other).visit("/").await);
        wait(TEN_MINUTES - 61);
        assert_admin(&browser.at(&other).visit("/").await);
        browser.at(&site).browse("/").await;
    }
}

#[tokio::test]
async fn an_instance_that_does_not_bind_opens_a_bound_session_and_keeps_its_binding() {
    let (world, site, mut browser) = Calm::bound().await;
    let other = world.site();
    wait(TEN_MINUTES);
    let mut late = browser.copied();
    assert_admin(&late.at(&other).visit("/").await);
    assert_eq!(late.at(&other).visit("/set?theme=dark").await.status(), 200);
    assert_eq!(late.at(&site).visit("/").await.body(), "");
    assert_eq!(browser.browse("/").await.body(), "theme=dark username=admin");
    assert_eq!(browser.browse("/bound").await.body(), "true");
    // A renewal there keeps it, too, and the browser asks for the second cookie of the new session.
    assert_eq!(browser.at(&other).visit("/renew").await.status(), 200);
    browser.at(&site).browse("/").await;
    assert_eq!(browser.browse("/").await.body(), "theme=dark username=admin");
}

#[tokio::test]
async fn a_browser_whose_refresh_fails_logs_in_again() {
    let (world, _, mut browser) = Calm::bound().await;
    wait(TEN_MINUTES);
    world.spoil("GetItem", || Fault::Error(400, "AccessDeniedException"));
    // A browser forgets no session for an error of the server, which is logged.
    let log = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(log.reopen().expect("a file"));
    let logging = tracing::subscriber::set_default(fmt().with_ansi(false).with_writer(writer).finish());
    let logged = || std::fs::read_to_string(&log).expect("a log");
    // Another test may meet the place that logs for the first time just when this subscriber begins.
    for _ in 0..100 {
        tracing::callsite::rebuild_interest_cache();
        assert_eq!(browser.attempt().await.status(), 500);
        if logged().contains("store failure") {
            break;
        }
    }
    drop(logging);
    assert!(logged().contains("store failure"), "{}", logged());
    assert!(browser.session.is_some());
    world.proxy.rule(|_| Fault::Pass);
    assert_nobody(&browser.visit("/").await);
    // Or its next refresh succeeds.
    assert_admin(&browser.browse("/").await);
    wait(TEN_MINUTES);
    let old = browser.session.take();
    assert_eq!(browser.visit("/login?admin").await.status(), 200);
    assert_eq!(browser.register().await.status(), 200);
    let new = browser.session.clone();
    // The session before is alive, but the browser is told to forget it, and keeps the second cookie of the new one.
    browser.session = old;
    browser.refresh().await;
    assert!(browser.session.is_none());
    browser.session = new;
    assert_admin(&browser.visit("/").await);
}

#[tokio::test]
async fn a_second_cookie_that_a_late_answer_has_left_is_removed_so_that_the_browser_refreshes() {
    let (_world, _, mut browser) = Calm::bound().await;
    let old = browser.jar[SECOND].clone();
    browser.visit("/login?bob").await;
    browser.register().await;
    wait(61);
    browser.jar.insert(SECOND.to_owned(), old);
    let answer = browser.browse("/").await;
    assert_eq!(
        (answer.body().as_str(), header_of(&answer, "cache-control").as_deref()),
        ("", Some("no-store"))
    );
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), [FIRST]);
    assert_eq!(browser.browse("/").await.body(), "username=bob");
}
