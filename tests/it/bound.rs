//! The app with bound sessions, behind the Runtime API and https, in Chromium.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use dev::PATIENCE;
use dev::browser::{command, fill, in_browser, that_binds};
use dev::event::Event;
use dev::tls::Terminator;
use fantoccini::{Client, Locator};
use http::{Request, Response, header};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::app::{App, COOKIE_NAME};
use crate::support::browser::{assert_heading, follow};

const SITE: &str = "https://site.test/";

/// Answers a browser with what the function answers.
async fn forward(app: Arc<App>, request: Request<Body>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 10_000).await.expect("a body");
    let event = Event::from_request(&parts, &body, "site.test").expect("an event");
    let answer = app.send(event).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    for cookie in &answer.cookies {
        response = response.header(header::SET_COOKIE, cookie);
    }
    response.body(answer.body).expect("an answer")
}

async fn cookies(client: &Client) -> Vec<String> {
    let kept = command(client, "Network.getCookies", json!({ "urls": [SITE] })).await;
    let kept = kept["cookies"].as_array().expect("a list").clone();
    kept.iter()
        .filter_map(|cookie| cookie["name"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_login_is_bound_to_the_browser_and_stays_when_the_second_cookie_has_ended() {
    let app = Arc::new(App::with(&[("SESSION_BOUND", "true")]).await);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let front = Arc::clone(&app);
    let pages = Router::new().fallback(move |request| forward(Arc::clone(&front), request));
    tokio::spawn(async move { axum::serve(listener, pages).await });
    let terminator = Terminator::new().expect("a certificate");
    let pin = terminator.pin.clone();
    let port = terminator.start_before(address).await.expect("a free port");
    let flags = that_binds(port, &pin);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let name = "a_login_is_bound_to_the_browser_and_stays_when_the_second_cookie_has_ended";
    in_browser(name, &flags, |client| async move {
        client.goto("https://site.test/login").await.expect("the form");
        fill(&client, "username", "admin").await;
        let login = client.find(Locator::Css("input[type=submit]")).await.expect("a button");
        login.click().await.expect("a click");
        assert_heading(&client, "Logged in as admin").await;
        let began = Instant::now();
        while cookies(&client).await.len() < 2 {
            assert!(began.elapsed() < PATIENCE, "the browser does not bind the session");
            client.refresh().await.expect("the page");
        }
        let second = format!("{COOKIE_NAME}-bound");
        for _ in 0..3 {
            command(&client, "Network.deleteCookies", json!({ "name": second, "url": SITE })).await;
            client.goto(SITE).await.expect("the start page");
            assert_heading(&client, "Logged in as admin").await;
            assert!(
                cookies(&client).await.contains(&second),
                "the browser refreshes the session"
            );
        }
        follow(&client, "click here to log out").await;
        assert_heading(&client, "You are not logged in").await;
        assert_eq!(cookies(&client).await, [""; 0]);
    })
    .await;
    let bound = |call: &dev::proxy::Call| call.request["ExpressionAttributeNames"]["#bound"] == "bound";
    assert!(app.proxy.calls().iter().any(bound), "the key lies in the record");
}
