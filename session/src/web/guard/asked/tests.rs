//! The guards behind stages, base paths and nested routers.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::LOCATION;
use lambda_http::request::LambdaRequest;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{Keys, MemoryStore, RequireLoginLayer, SameOriginLayer, SessionLayer};

fn sessions() -> SessionLayer {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    SessionLayer::builder(MemoryStore::default(), keys).build().unwrap()
}

/// A navigation to `sent` as a REST API's event. Its stage is `prod` and its resource is `/{proxy+}`.
fn rest_api(path: &str, sent: &str) -> Value {
    let proxy = path.trim_start_matches('/').trim_start_matches("shop/");
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "GET", "pathParameters": { "proxy": proxy },
        "multiValueQueryStringParameters": { "page": ["2"] },
        "multiValueHeaders": {
            "Host": ["api.example"], "Sec-Fetch-Mode": ["navigate"], "Sec-Fetch-Site": ["cross-site"],
        },
        "requestContext": { "stage": "prod", "resourcePath": "/{proxy+}", "path": sent, "httpMethod": "GET" },
    })
}

/// A navigation to `path` as an HTTP API's event in payload format 2.0.
fn http_api(path: &str, stage: &str, route: &str) -> Value {
    let proxy = path.rsplit('/').next();
    json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "page=2",
        "pathParameters": { "proxy": proxy },
        "headers": { "host": "api.example", "sec-fetch-mode": "navigate", "sec-fetch-site": "cross-site" },
        "requestContext": { "stage": stage, "routeKey": route, "http": { "method": "GET", "path": path } },
    })
}

fn load_balancer(path: &str) -> Value {
    json!({
        "httpMethod": "GET", "path": path, "queryStringParameters": { "page": "2" },
        "headers": { "host": "lb.example", "sec-fetch-mode": "navigate" },
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:x" } },
    })
}

fn request(event: &Value) -> lambda_http::Request {
    serde_json::from_value::<LambdaRequest>(event.clone()).unwrap().into()
}

/// Where a visitor who is not logged in is sent, or `None` if the request passes.
async fn sent_to(login: &str, request: lambda_http::Request) -> Option<String> {
    let views = service_fn(async |_| Ok::<_, Infallible>(http::Response::new("a page".to_owned())));
    let guarded = sessions().layer(RequireLoginLayer::new(login).layer(views));
    let answer = guarded.oneshot(request).await.unwrap();
    let location = answer.headers().get(LOCATION)?;
    Some(location.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "current_thread")]
async fn a_visitor_goes_to_the_login_page_and_back_by_the_way_that_he_came() {
    for (event, base, page) in [
        (rest_api("/orders", "/prod/orders"), "/prod", "/orders"),
        (rest_api("/orders/", "/prod/orders/"), "/prod", "/orders/"),
        (rest_api("/prod/orders", "/prod/prod/orders"), "/prod", "/prod/orders"),
        // A custom domain, without and with a base path, and with the stage in the path because its mapping names none.
        (rest_api("/orders", "/orders"), "", "/orders"),
        (rest_api("/shop/orders", "/shop/orders"), "/shop", "/orders"),
        (http_api("/orders", "$default", "$default"), "", "/orders"),
        (http_api("/prod/orders", "prod", "$default"), "/prod", "/orders"),
        (http_api("/prod/orders", "prod", "GET /{proxy+}"), "/prod", "/orders"),
        (
            http_api("/shop/orders", "$default", "ANY /{proxy+}"),
            "/shop",
            "/orders",
        ),
        (http_api("/shop/orders", "$default", "GET /orders"), "/shop", "/orders"),
        (http_api("/shop", "$default", "GET /"), "/shop", ""),
        (http_api("/product", "prod", "$default"), "", "/product"),
        (load_balancer("/orders"), "", "/orders"),
    ] {
        let next = format!("{base}{page}?page=2")
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('=', "%3D");
        for login in ["/login".to_owned(), format!("{base}/login")] {
            let sent = sent_to(&login, request(&event)).await;
            assert_eq!(sent, Some(format!("{base}/login?next={next}")), "{login} {event}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_login_page_passes_by_every_way_and_no_other_page_does() {
    for (event, passes) in [
        (rest_api("/login", "/prod/login"), true),
        (rest_api("/login", "/login"), true),
        (rest_api("/shop/login", "/shop/login"), true),
        (http_api("/login", "$default", "$default"), true),
        (http_api("/prod/login", "prod", "$default"), true),
        (http_api("/shop/login", "$default", "ANY /{proxy+}"), true),
        (load_balancer("/login"), true),
        (rest_api("/admin/login", "/prod/admin/login"), false),
        (rest_api("/prod/login", "/prod/prod/login"), false),
        (http_api("/admin/login", "$default", "$default"), false),
        (http_api("/admin/../login", "$default", "$default"), false),
        (http_api("/x#/../login", "$default", "$default"), false),
        (http_api("/login/login", "login", "$default"), true),
        // The root of the site.
        (http_api("/login", "login", "$default"), false),
        (load_balancer("/login/"), false),
    ] {
        assert_eq!(sent_to("/login", request(&event)).await.is_none(), passes, "{event}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_guard_in_a_nested_router_knows_the_whole_path() {
    let members = Router::new()
        .route("/orders", any(async || "orders"))
        .route("/login", any(async || "a page of the members"))
        .layer(RequireLoginLayer::new("/login"));
    let app = Router::new()
        .route("/login", any(async || "the form"))
        .nest("/account", members)
        .layer(sessions());
    for (path, location) in [
        ("/account/orders?page=2", Some("/login?next=/account/orders%3Fpage%3D2")),
        ("/account/login", Some("/login?next=/account/login")),
        ("/login", None),
    ] {
        let visit = http::Request::get(path).header("sec-fetch-mode", "navigate");
        let answer = app.clone().oneshot(visit.body(Body::empty()).unwrap()).await.unwrap();
        let sent = answer
            .headers()
            .get(LOCATION)
            .map(|location| location.to_str().unwrap());
        assert_eq!(sent, location, "{path}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_page_that_ends_a_session_is_checked_by_every_way_and_a_webhook_is_exempt() {
    let layer = SameOriginLayer::new().also("/logout").except("/hook");
    let status = async |event: Value| {
        let views = service_fn(async |_| Ok::<_, Infallible>(http::Response::new("done".to_owned())));
        layer
            .layer(views)
            .oneshot(request(&event))
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let staged = |path: &str| rest_api(path, &format!("/prod{path}"));
    let based = |path: &str| rest_api(&format!("/shop{path}"), &format!("/shop{path}"));
    let ways: [&dyn Fn(&str) -> Value; 2] = [&staged, &based];
    for way in ways {
        let post = |path| {
            let mut event = way(path);
            event["httpMethod"] = json!("POST");
            event
        };
        assert_eq!(status(way("/logout")).await, 403);
        assert_eq!(status(way("/orders")).await, 200);
        assert_eq!(status(post("/hook")).await, 200);
        assert_eq!(status(post("/orders/hook")).await, 403);
        assert_eq!(status(post("/x/../hook")).await, 403);
    }
    // A router gets this path without its dots.
    assert_eq!(status(staged("/x/../logout")).await, 403);
}
