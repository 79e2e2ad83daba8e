//! The product without its warm-up, and with one page more: `/count` changes one variable of the session.

use std::sync::Arc;

use lambda_http::{Body, Error, Request, RequestExt as _, Response, service_fn};
use lambda_session::config::Config;
use lambda_session::session::{DynamoDbStore, LazySession, SessionLayer, Store};
use lambda_session::{app, event, log};
use tower::{Layer as _, ServiceExt as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    log::start(&config);
    let endpoint = config.dynamodb_endpoint.as_deref();
    let store: Arc<dyn Store> = Arc::new(DynamoDbStore::on_lambda(&config.table_name, endpoint));
    let sessions = SessionLayer::builder(Arc::clone(&store), config.keys.clone()).build()?;
    let counter = sessions.layer(service_fn(count));
    let product = app::service(&config, store)?;
    event::run(service_fn(move |request: Request| {
        let (counter, product) = (counter.clone(), product.clone());
        async move {
            if request.raw_http_path() != "/count" {
                return product.oneshot(request).await;
            }
            let failed = |error: Error| Response::builder().status(500).body(error.to_string().into());
            Ok(counter.oneshot(request).await.or_else(failed).unwrap_or_default())
        }
    }))
    .await
}

async fn count(request: Request) -> Result<Response<Body>, Error> {
    let session = LazySession::of(&request)?.load().await?;
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(Response::new(Body::from(visits.to_string())))
}
