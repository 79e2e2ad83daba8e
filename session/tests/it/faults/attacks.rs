//! Attacks that broke something once, and no longer do.

use std::convert::Infallible;
use std::time::Duration;

use dev::proxy::Fault;
use http::{Request, Response};
use lambda_session::{
    LazySession, Limits, MemoryStore, OwnerKey, OwnerStore as _, RecordKey, RequireLoginLayer, Session, SessionLayer,
};
use tokio::time::timeout;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::World;
use crate::support::site::{IDLE, Site, keys, layer, now, wait};
use crate::support::slow::Slow;

const DAY: u64 = 24 * 60 * 60;

async fn owner(site: &Site, cookie: &str) -> String {
    site.visit("/owner", Some(cookie)).await.body
}

fn request(cookie: &str) -> Request<String> {
    Request::builder()
        .header("cookie", cookie)
        .body(String::new())
        .expect("a request")
}

fn cookie_of<B>(response: &Response<B>) -> Option<String> {
    let value = response.headers().get("set-cookie")?;
    Some(value.to_str().expect("ASCII").to_owned())
}

fn sessions(world: &World) -> SessionLayer {
    layer(world.store(), keys()).clock(now).build().expect("a layer")
}

#[tokio::test]
async fn a_path_with_dots_is_not_the_login_page() {
    let event = serde_json::json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/admin/../login", "rawQueryString": "",
        "headers": {"host": "x.lambda-url.eu-central-1.on.aws"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "x",
            "domainName": "x.lambda-url.eu-central-1.on.aws", "domainPrefix": "x",
            "http": {
                "method": "GET", "path": "/admin/../login", "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1", "userAgent": "x"
            },
            "requestId": "x", "routeKey": "$default", "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_u64
        },
        "isBase64Encoded": false
    });
    let request = lambda_http::request::from_str(&event.to_string()).expect("a request");
    let views = service_fn(async |request: lambda_http::Request| {
        use lambda_http::RequestExt as _;
        // ARCHITECTURE.md says to route on the raw path.
        let body = if request.raw_http_path().starts_with("/admin/") {
            "secret"
        } else {
            "else"
        };
        Ok::<_, Infallible>(Response::new(lambda_http::Body::from(body.to_owned())))
    });
    let layer = SessionLayer::builder(MemoryStore::default(), keys())
        .build()
        .expect("a layer");
    let site = layer.layer(RequireLoginLayer::new("/login").layer(views));
    let answer = site.oneshot(request).await.expect("an answer");
    assert_ne!(
        std::str::from_utf8(answer.into_body().into_inner().into_inner().as_ref()),
        Ok("secret"),
        "nobody is logged in"
    );
}

#[tokio::test]
async fn a_renewal_of_a_session_that_became_empty_is_done() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/flash?hello", None).await.issued();
    let gate = world.proxy.hold("PutItem");
    let renewing = site.start("/renew", Some(&cookie));
    gate.arrived().await;
    assert_eq!(world.site().visit("/flashes", Some(&cookie)).await.body, "hello");
    gate.release();
    let answer = renewing.await.expect("an answer");
    assert!(
        answer.status != 200 || answer.cookie.is_some(),
        "a new ID or an error: {answer:?}"
    );
}

#[tokio::test]
async fn a_list_outlasts_every_session_in_it_whatever_other_instances_allow() {
    let world = World::new().await;
    let site = |most: u64| {
        Site::of(
            layer(world.store(), keys())
                .clock(now)
                .max_remembered(Duration::from_secs(most)),
        )
    };
    let (long, short) = (site(365 * DAY), site(DAY));
    let cookie = long
        .visit(&format!("/remember?admin={}", 365 * DAY), None)
        .await
        .issued();
    short.visit("/log-in?admin", None).await.issued();
    let key = lambda_session::RecordKey::from_stored(OwnerKey::new("admin").as_str().to_owned());
    let list = world.table.item(&key).await.expect("a list");
    let expiry: u64 = list["expires_at"].as_n().expect("a number").parse().expect("a number");
    assert_eq!(owner(&long, &cookie).await, "admin");
    assert!(
        expiry >= now() + 365 * DAY,
        "the list goes {} days from now",
        (expiry - now()) / DAY
    );
}

#[tokio::test]
async fn an_instance_with_shorter_timeouts_strikes_nobody() {
    let world = World::new().await;
    let site = world.site();
    let short = Site::of(
        layer(world.store(), keys())
            .clock(now)
            .lifetime(Duration::from_hours(1)),
    );
    let cookie = site.visit("/log-in?admin=one", None).await.issued();
    for _ in 0..8 {
        wait(IDLE / 2);
        assert_eq!(owner(&site, &cookie).await, "admin");
    }
    short.visit("/sessions?admin", None).await.assert_done();
    site.visit("/end-all?admin", None).await.assert_done();
    assert_eq!(owner(&site, &cookie).await, "", "all were ended");
}

#[tokio::test]
async fn whoever_renews_twice_while_all_are_ended_is_ended_too() {
    let world = World::new().await;
    let site = world.site();
    let old = site.visit("/log-in?admin=old", None).await.issued();
    let gate = world.proxy.hold("UpdateItem");
    let ending = site.start("/end-all?admin", None);
    gate.arrived().await;
    let other = world.site();
    let first = other.visit("/renew?theme=dark", Some(&old)).await.issued();
    let second = other.visit("/renew?theme=light", Some(&first)).await.issued();
    other.visit("/sessions?admin", None).await.assert_done();
    gate.release();
    ending.await.expect("an answer").assert_done();
    assert_eq!(
        owner(&site, &second).await,
        "",
        "the second renewal ends with the first session"
    );
}

#[tokio::test]
async fn what_was_sealed_stays_so_over_a_renewal_where_sealing_is_off() {
    let world = World::new().await;
    let site = |sealed| Site::of(layer(world.store(), keys()).clock(now).sealed(sealed));
    let (sealed, unsealed) = (site(true), site(false));
    let cookie = sealed.visit("/set?secret=plutonium", None).await.issued();
    unsealed.visit("/set?theme=x", Some(&cookie)).await.assert_done();
    assert!(!format!("{:?}", world.table.items().await).contains("plutonium"));
    unsealed.visit("/renew?theme=y", Some(&cookie)).await.issued();
    let items = format!("{:?}", world.table.items().await);
    assert!(!items.contains("plutonium"), "{items}");
}

#[tokio::test]
async fn an_equal_value_during_a_save_does_not_undo_another_request() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/set?theme=dark", None).await.issued();
    let held = world.proxy.hold("UpdateItem");
    let (gate, other, shared) = (held.clone(), world.site(), cookie.clone());
    let service = sessions(&world).layer(service_fn(move |request: Request<String>| {
        let (held, other, cookie) = (gate.clone(), other.clone(), shared.clone());
        async move {
            let session = Session::of(&request).await.expect("a session");
            session.insert("order", "paid").expect("small");
            let meanwhile = async {
                held.arrived().await;
                session.insert("theme", "dark").expect("an equal value is no change");
                other.visit("/set?theme=light", Some(&cookie)).await.assert_done();
                held.release();
            };
            let (saved, ()) = tokio::join!(session.save(), meanwhile);
            saved.expect("saved");
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let answer = service.oneshot(request(&cookie)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(site.view(&cookie).await, "order=paid theme=light");
}

#[tokio::test]
async fn a_sealed_value_as_deep_as_is_allowed_opens() {
    let sealed = SessionLayer::builder(MemoryStore::with_limits(Limits::NONE), keys())
        .sealed(true)
        .clock(now)
        .build()
        .expect("a layer");
    let service = sealed.layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        if request.uri().path() == "/set" {
            let nested = |depth| (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
            session.insert("deep", nested(60)).expect("within the limits");
            session.insert("deeper", nested(61)).expect_err("more than can be read");
        }
        Ok::<_, Infallible>(Response::new(session.len().to_string()))
    }));
    let set = Request::builder().uri("/set").body(String::new()).expect("a request");
    let answer = service.clone().oneshot(set).await.expect("an answer");
    let cookie = cookie_of(&answer).expect("a cookie");
    let found = service
        .oneshot(request(cookie.split(';').next().unwrap_or_default()))
        .await
        .expect("an answer");
    assert_eq!(found.into_body().into_inner(), "1", "what was saved is there");
}

#[tokio::test]
async fn a_message_that_is_too_long_does_not_prevent_the_logout() {
    let (world, site, cookie) = World::logged_in().await;
    let service = sessions(&world).layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        session.end();
        let flashed = session.flash(&"x".repeat(500_000));
        Ok::<_, Infallible>(Response::new(flashed.is_ok().to_string()))
    }));
    let answer = service.oneshot(request(&cookie)).await.expect("an answer");
    let status = answer.status();
    assert_eq!(
        (status.as_u16(), site.view(&cookie).await.as_str()),
        (200, ""),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_kept_blocks_another_no_longer_than_the_deadline() {
    let store = Slow::new(Duration::from_millis(100));
    let cookie = Site::new(store.clone()).login("admin", None).await;
    let layer = layer(store, keys()).clock(now).build().expect("a layer");
    let service = layer.layer(service_fn(async |request: Request<String>| {
        let lazy = LazySession::of(&request).expect("a layer");
        let mut first = Box::pin(lazy.load());
        let begun = timeout(Duration::from_millis(1), &mut first).await;
        assert!(begun.is_err(), "the store's call is under way");
        let second = timeout(Duration::from_millis(4_600), lazy.load()).await;
        drop(first);
        Ok::<_, Infallible>(Response::new(second.is_ok().to_string()))
    }));
    let answer = service.oneshot(request(&cookie)).await.expect("an answer");
    assert_eq!(
        answer.into_body().into_inner(),
        "true",
        "one deadline for all store calls"
    );
}

/// Each request ends some of the sessions, and the next one continues.
#[tokio::test(start_paused = true)]
async fn ending_many_gets_on_though_it_is_slow() {
    let store = Slow::new(Duration::from_millis(100));
    let admin = OwnerKey::new("admin");
    for n in 0..1_000 {
        let key = RecordKey::from_stored(format!("key {n}"));
        let enlisted = store.memory.enlist(&admin, &key, now(), now() + DAY).await;
        assert_eq!(enlisted.expect("a list").len(), n + 1);
    }
    let site = Site::new(store.clone());
    let mut left = vec![1_000];
    loop {
        let answer = site.visit("/end-all?admin", None).await;
        left.push(store.memory.list(&admin).await.expect("a list").len());
        if answer.status == 200 {
            break;
        }
        answer.assert_refused(503);
        assert!(left.is_sorted_by(|before, after| before > after), "{left:?}");
    }
    assert!(
        left.len() > 2 && left.ends_with(&[0]),
        "one request is not enough: {left:?}"
    );
}

#[tokio::test]
async fn a_save_in_a_view_slides_once() {
    let (world, _site, cookie) = World::logged_in().await;
    wait(IDLE / 10);
    let service = sessions(&world).layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        session.save().await.expect("saved");
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let (_, calls) = world.cost(service.oneshot(request(&cookie))).await;
    assert_eq!(calls, ["GetItem", "UpdateItem"]);
}

#[tokio::test]
async fn a_save_that_had_nothing_to_write_forgets_nothing() {
    let (world, site, cookie) = World::logged_in().await;
    let service = sessions(&world).layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        session.remember(Duration::from_secs(DAY));
        session.save().await.expect("saved");
        session.insert("username", "admin").expect("small");
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let answer = service.clone().oneshot(request("")).await.expect("an answer");
    let set = cookie_of(&answer).unwrap_or_default();
    // A straggler that logs in.
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
    let straggler = service.oneshot(request(&cookie)).await.expect("an answer").status();
    assert!(set.contains("Max-Age=86400") && straggler == 200, "{set} {straggler}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_ends_what_is_alive_to_others() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/log-in?admin=one", None).await.issued();
    let listed = site.visit("/sessions?admin", None).await.body;
    let handle = listed.split(' ').nth(1).expect("a handle").to_owned();
    wait(IDLE - 2);
    let start = now();
    let ahead = world.site_with_clock(move || start + 5);
    let told = ahead.visit(&format!("/end-one?admin={handle}"), None).await.body;
    assert_eq!((told.as_str(), owner(&site, &cookie).await.as_str()), ("true", ""));
}

#[tokio::test]
async fn a_login_does_not_fail_for_a_look_at_the_list() {
    let world = World::new().await;
    let site = world.site();
    for _ in 0..31 {
        site.visit("/log-in?admin", None).await.issued();
    }
    world.spoil("GetItem", || Fault::Error(400, "ThrottlingException"));
    site.visit("/log-in?admin", None).await.issued();
}

#[tokio::test]
async fn to_be_remembered_for_no_time_is_a_second() {
    let world = World::new().await;
    let site = world.site();
    let answer = site.visit("/remember?admin=0", None).await;
    assert_ne!(answer.max_age, Some(0), "{answer:?}");
}

#[tokio::test]
async fn waiting_for_another_call_of_the_request_is_counted_once() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let gate = held.clone();
    let service = sessions(&world).layer(service_fn(move |request: Request<String>| {
        let held = gate.clone();
        async move {
            let session = Session::of(&request).await.expect("a session");
            session.insert("a", 1).expect("small");
            let other = session.clone();
            tokio::spawn(async move { other.save().await });
            held.arrived().await;
            session.insert("b", 2).expect("small");
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2_400)).await;
                held.release();
            });
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let (answer, took) = super::timed(service.oneshot(request(&cookie))).await;
    let status = answer.expect("an answer").status();
    assert_eq!(status, 200, "{took:?} {}", site.view(&cookie).await);
}

#[tokio::test]
async fn sealed_updates_one_after_the_other_lose_nothing() {
    let world = World::new().await;
    let site = Site::of(layer(world.store(), keys()).clock(now).sealed(true));
    let cookie = site.visit("/both?a=1&c=1", None).await.issued();
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    let sealed = layer(world.store(), keys())
        .clock(now)
        .sealed(true)
        .build()
        .expect("a layer");
    let (other, shared) = (site.clone(), cookie.clone());
    let service = sealed.layer(service_fn(move |request: Request<String>| {
        let (other, cookie) = (other.clone(), shared.clone());
        async move {
            let session = Session::of(&request).await.expect("a session");
            session.insert("a", "2").expect("small");
            let flashes = session.take_flashes().await.expect("taken");
            session.save().await.expect("saved");
            session.insert("b", "2").expect("small");
            other.visit("/set?c=2", Some(&cookie)).await.assert_done();
            session.save().await.expect("saved");
            session.remove("a");
            session.insert("d", "2").expect("small");
            Ok::<_, Infallible>(Response::new(flashes[0].text.clone()))
        }
    }));
    let answer = service.oneshot(request(&cookie)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().into_inner(), "hello");
    assert_eq!(site.view(&cookie).await, "b=2 c=2 d=2");
}

#[tokio::test]
async fn a_failed_login_takes_no_session_s_place() {
    let world = World::new().await;
    let site = Site::of(layer(world.store(), keys()).clock(now).max_sessions_per_owner(2));
    let real = site.visit("/log-in?admin=real", None).await.issued();
    wait(1);
    world.spoil("PutItem", || Fault::Error(400, "ThrottlingException"));
    site.visit("/log-in?admin=failed", None).await.assert_refused(503);
    world.proxy.pass_everything();
    wait(60);
    site.visit("/log-in?admin=second", None).await.issued();
    assert_eq!(
        owner(&site, &real).await,
        "admin",
        "two are allowed, and there were two"
    );
}

#[tokio::test]
async fn a_clock_that_is_an_hour_ahead_strikes_no_login_under_way() {
    let world = World::new().await;
    let site = world.site();
    let start = now();
    let ahead = world.site_with_clock(move || start + 3_600);
    let gate = world.proxy.hold("PutItem");
    let login = site.start("/log-in?admin=late", None);
    gate.arrived().await;
    ahead.visit("/sessions?admin", None).await.assert_done();
    gate.release();
    let cookie = login.await.expect("an answer").issued();
    site.visit("/end-all?admin", None).await.assert_done();
    assert_eq!(owner(&site, &cookie).await, "");
}

#[tokio::test]
async fn a_tombstone_does_not_tell_who_it_was() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/log-in?admin=Firefox", None).await.issued();
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
    let items = format!("{:?}", world.table.items().await);
    assert!(!items.contains("admin") && !items.contains("Firefox"), "{items}");
}

/// Another tab renews the session that `end_others` is to spare.
#[tokio::test]
async fn ending_all_others_from_a_session_that_was_renewed_meanwhile_is_refused() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/log-in?admin=mine", None).await.issued();
    let mut gets = 0;
    let held = dev::proxy::Gate::new();
    let stop = held.clone();
    world.proxy.rule(move |call| {
        if call.operation == "GetItem" {
            gets += 1;
            if gets == 2 {
                return Fault::Hold(stop.clone());
            }
        }
        Fault::Pass
    });
    let ending = site.start("/end-others", Some(&cookie));
    held.arrived().await;
    let renewed = world.site().visit("/renew?theme=dark", Some(&cookie)).await.issued();
    held.release();
    ending.await.expect("an answer").assert_refused(409);
    assert_eq!(owner(&site, &renewed).await, "admin", "the same browser's");
}
