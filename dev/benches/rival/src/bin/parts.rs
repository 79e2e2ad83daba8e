//! Does what *getitem* does, with the parts that the app uses: the store's client, `lambda::run` and the app's
//! allocator. It has no session, no log line, and a page of one word.

use aws_sdk_dynamodb::types::AttributeValue::S;
use lambda_http::{Body, Error, Request, Response, service_fn};
use lambda_session::{DynamoDbStore, lambda};

// Takes the place of `malloc`.
use mimalloc as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let store = DynamoDbStore::from_env()?;
    lambda::run(service_fn(move |request: Request| {
        let store = store.clone();
        async move { Ok(respond(&store, &request).await.expect("an answer of DynamoDB")) }
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
