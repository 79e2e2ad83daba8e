//! The least that a Rust function on Lambda can do: one static page.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| {
        let page = Response::builder().header("content-type", "text/html");
        Ok::<_, Error>(page.body(Body::from("admin"))?)
    }))
    .await
}
