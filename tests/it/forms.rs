//! The bodies that `/login` accepts, and its answers to mistakes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::App;
use crate::support::function;
use crate::support::html::Page;
use dev::dynamodb::Embedded;
use dev::event::Event;
use dev::lambda::Answer;

const FORM: &str = "application/x-www-form-urlencoded";

fn post(content_type: &str, body: &[u8]) -> Event {
    Event::post_form("/login", &[])
        .with("/headers/content-type", content_type)
        .body(body)
}

/// Asserts that this page is the form, with this message for its field, and with `kept` in the field.
#[track_caller]
fn assert_form_again(page: &Answer, message: &str, kept: &str) {
    assert_eq!(page.status, 400, "{page:?}");
    let parsed = Page::parse(&page.body);
    let [field, button] = &parsed.all("input")[..] else {
        panic!("a field and a button: {page:?}")
    };
    assert_eq!(button.attribute("type").as_deref(), Some("submit"));
    assert_eq!(field.attribute("name").as_deref(), Some("username"));
    assert_eq!(field.attribute("value").as_deref(), Some(kept), "{page:?}");
    assert_eq!(field.attribute("aria-invalid").as_deref(), Some("true"));
    let described = field.attribute("aria-describedby").expect("a description");
    let said = parsed
        .elements()
        .into_iter()
        .find(|element| element.attribute("id").as_deref() == Some(&described));
    let said = said.expect("the description").text();
    assert!(said.contains(message), "{said:?} instead of {message:?}");
    assert_eq!(parsed.errors(), [""; 0]);
}

#[tokio::test]
async fn a_name_is_taken_as_it_was_meant() {
    let site = App::start().await;
    let longest = "ü".repeat(64);
    for (body, name) in [
        ("username=admin", "admin"),
        ("username=+admin+", "admin"),
        ("other=1&username=a%26b&another", "a&amp;b"),
        (
            "username=%3Cscript%3Ealert(1)%3C/script%3E",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        ),
        ("username=%22%27", "&quot;'"),
        ("username=%D0%98%D0%B2%D0%B0%D0%BD", "Иван"),
        ("username=%F0%9F%A6%80", "🦀"),
        (&format!("username={longest}"), &longest),
    ] {
        let login = site.send(post(FORM, body.as_bytes())).await;
        assert_eq!(login.status, 303, "{body}: {login:?}");
        let page = site.send(Event::get("/").cookie(&login.cookie())).await;
        assert!(
            page.body.contains(&format!("Logged in as {name}<")),
            "{body}: {}",
            page.body
        );
    }
}

#[tokio::test]
async fn a_mistake_gets_the_form_back_with_what_was_typed() {
    let site = App::start().await;
    let cookie = site.login("admin").await;
    let long = "x".repeat(65);
    let quoted = "\"><script>alert(1)</script>".repeat(4);
    let encoded = quoted.replace('"', "%22").replace('>', "%3E").replace('<', "%3C");
    for (body, message, kept) in [
        (&b""[..], "enter a username", ""),
        (b"username=+++", "enter a username", ""),
        (b"username=a&user%6eame=a", "more than one", ""),
        (format!("username={long}").as_bytes(), "longer than 64", &long),
        (format!("username={encoded}").as_bytes(), "longer than 64", &quoted),
        (b"username=ad%00min", "cannot be seen", "admin"),
        (b"username=%", "damaged", ""),
        (b"username=\xff", "damaged", ""),
        (b"{\"username\":\"admin\"}", "enter a username", ""),
    ] {
        let (page, calls) = site.counted(post(FORM, body).cookie(&cookie)).await;
        assert_form_again(&page, message, kept);
        assert!(page.cookies.is_empty() && calls.is_empty(), "{page:?} {calls:?}");
    }
    let in_the_query = Event::post_form("/login", &[]).with("/rawQueryString", "username=admin");
    assert_form_again(&site.send(in_the_query).await, "enter a username", "");
    let null_body = Event::post_form("/login", &[]).with("/body", json!(null));
    assert_form_again(&site.send(null_body).await, "enter a username", "");
    assert!(site.is_admin(&cookie).await);
}

#[tokio::test]
async fn a_body_that_is_not_a_plain_form_is_415() {
    let site = App::start().await;
    let name = b"username=admin";
    let boundary = b"--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nadmin\r\n--x--";
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for event in [
        post("application/json", b"{\"username\":\"admin\"}"),
        post("multipart/form-data; boundary=x", boundary),
        post("text/plain", name),
        post("", name),
        post("application/x-www-form-urlencodedx", name),
        post("application/x-www-form-urlencoded; charset=utf-16", name),
        post("application/x-www-form-urlencoded,text/plain", name),
        post(FORM, name).without("content-type"),
        post(FORM, &gzip).header("content-encoding", "gzip"),
        post(FORM, name).header("content-encoding", "br"),
    ] {
        let (page, calls) = site.counted(event).await;
        assert_eq!(page.status, 415, "{page:?}");
        assert!(page.body.contains("href=\"/login\""), "{page:?}");
        assert!(page.cookies.is_empty() && calls.is_empty(), "{page:?} {calls:?}");
    }
    for content_type in [
        "Application/X-WWW-Form-URLEncoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
    ] {
        assert_eq!(site.send(post(content_type, name)).await.status, 303, "{content_type}");
    }
}

/// Only the compiled function reads the body from an event, which may encode it and may be large.
#[tokio::test]
async fn large_and_wrongly_encoded_bodies_are_answered_quickly_and_in_little_memory() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = function(&dynamodb.endpoint(), &[]).await;
    let megabyte = format!("username={}", "x".repeat(1024 * 1024));
    let many = format!("username=admin{}", "&a=b".repeat(100_000));
    let same = "username=admin&".repeat(100_000);
    let ampersands = "&".repeat(4_096);
    let escapes = format!("username={}", "%25".repeat(1_362));
    let plain = |body: &str| post(FORM, b"").with("/body", body).with("/isBase64Encoded", false);
    let marked = |body: &str| post(FORM, b"").with("/body", body).with("/isBase64Encoded", true);
    let warm = lambda.invoke(Event::get("/").into_value()).await.expect("an answer");
    assert_eq!(warm.status, 200);
    let memory_before = lambda.memory_kib("VmHWM");
    for (event, status) in [
        (post(FORM, megabyte.as_bytes()), 413),
        (post("application/json", megabyte.as_bytes()), 413),
        (post(FORM, many.as_bytes()), 413),
        (post(FORM, same.as_bytes()), 413),
        (plain(&megabyte), 413),
        (post(FORM, ampersands.as_bytes()), 400),
        (post(FORM, escapes.as_bytes()), 400),
        (post(FORM, &[0xff; 4_096]), 400),
        // An HTTP API sends a body that it considers text without base64.
        (plain("username=admin"), 303),
        // Base64 that is not marked as such is read as a form without the field `username`.
        (plain("dXNlcm5hbWU9YWRtaW4="), 400),
        (marked("dXNlcm5hbWU9YWRtaW4="), 303),
        (marked("username=admin"), 400),
        (marked("dXNlcm5hbWU9YWRtaW4"), 400),
        (marked("dXNlcm5hbWU9YWRtaW4=\n"), 400),
        (marked("====\u{fc}"), 400),
        (marked(""), 400),
    ] {
        let asked = Instant::now();
        let answer = lambda.invoke(event.into_value()).await.expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
    }
    if let (Some(before), Some(after)) = (memory_before, lambda.memory_kib("VmHWM")) {
        assert!(after - before < 32 * 1024, "from {before} to {after} KiB");
    }
}
