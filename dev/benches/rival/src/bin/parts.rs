//! Does what *getitem* does, with the parts that the app uses: the store's client, `lambda::run` and the app's
//! allocator. It has no session, and without `ANSWER` it has no log line and a page of one word. `ANSWER` is a page of
//! the app as Lambda gets it: this program then answers with its text and its headers, and writes a line of the log. What
//! a view of the app takes beyond this is the session, and making the page and the line.

use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue::S;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::HeaderMap;
use lambda_http::{Body, Error, Request, Response, service_fn};
use lambda_session::{DynamoDbStore, lambda};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The headers and the text of `ANSWER`.
static APP: LazyLock<Option<(HeaderMap, String)>> = LazyLock::new(|| {
    let answer = std::env::var("ANSWER").ok()?;
    let answer: ApiGatewayV2httpResponse = serde_json::from_str(&answer).expect("an answer");
    let page = answer.body.map(|page| String::from_utf8_lossy(&page).into_owned());
    Some((answer.headers, page.unwrap_or_default()))
});

/// As long as the app's line for a view.
const LINE: &str = concat!(
    r#"{"timestamp":"2026-01-01T00:00:00.123456Z","level":"INFO","event":"request","route":"/","method":"GET","#,
    r#""status":200,"store_calls":1,"duration_ms":1.234,"request_id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}"#,
);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let store = DynamoDbStore::from_env()?;
    lambda::run(service_fn(move |request: Request| {
        let store = store.clone();
        async move {
            let mut response = respond(&store, &request).await.expect("an answer of DynamoDB");
            if let Some((headers, page)) = &*APP {
                response.headers_mut().extend(headers.clone());
                if response.status() == 200 {
                    *response.body_mut() = Body::from(page.as_str());
                }
                println!("{LINE}");
            }
            Ok(response)
        }
    }))
    .await
}

async fn respond(store: &DynamoDbStore, request: &Request) -> Result<Response<Body>, Error> {
    let response = Response::builder().header("content-type", "text/html");
    if request.method() == "POST" {
        let put = store.client().put_item().table_name(store.table());
        put.item("id", S("x".into()))
            .item("username", S("admin".into()))
            .send()
            .await?;
        let response = response
            .status(303)
            .header("location", "/")
            .header("set-cookie", "id=x");
        return Ok(response.body(Body::Empty)?);
    }
    let page = match request.headers().get("cookie") {
        None => "no".into(),
        Some(_) => {
            let get = store.client().get_item().table_name(store.table());
            let item = get.key("id", S("x".into())).consistent_read(true).send().await?.item;
            let item = item.unwrap_or_default();
            item.get("username")
                .and_then(|name| name.as_s().ok().cloned())
                .unwrap_or_default()
        }
    };
    Ok(response.body(Body::from(page))?)
}
