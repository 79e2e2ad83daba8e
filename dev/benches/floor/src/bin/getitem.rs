//! The least that a session in DynamoDB can cost: one bare `GetItem` for a request with a cookie, one bare `PutItem`
//! for a POST, with the SDK's defaults. It has no signature, no dictionary, no log and no warm-up.

use aws_sdk_dynamodb::types::AttributeValue::S;
use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let sdk = aws_config::load_from_env().await;
    let client = &aws_sdk_dynamodb::Client::new(&sdk);
    let table = &std::env::var("TABLE_NAME")?;
    run(service_fn(move |request: Request| async move {
        let response = Response::builder().header("content-type", "text/html");
        if request.method() == "POST" {
            let put = client.put_item().table_name(table);
            put.item("id", S("x".into()))
                .item("username", S("admin".into()))
                .send()
                .await?;
            let response = response
                .status(303)
                .header("location", "/")
                .header("set-cookie", "id=x");
            return Ok::<_, Error>(response.body(Body::Empty)?);
        }
        let page = match request.headers().get("cookie") {
            None => "no".into(),
            Some(_) => {
                let get = client.get_item().table_name(table).key("id", S("x".into()));
                let item = get.consistent_read(true).send().await?.item.unwrap_or_default();
                item.get("username")
                    .and_then(|name| name.as_s().ok().cloned())
                    .unwrap_or_default()
            }
        };
        Ok(response.body(Body::from(page))?)
    }))
    .await
}
