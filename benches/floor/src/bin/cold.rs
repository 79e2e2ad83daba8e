//! The product without its warm-up, and with one page more: `/count` changes one variable of the session.

use std::sync::Arc;

use lambda_http::{Body, Error, Request, RequestExt as _, Response, run, service_fn};
use lambda_session::config::Config;
use lambda_session::session::{DynamoDbStore, LazySession, SessionLayer, Store};
use lambda_session::{app, log};
use tower::{Layer as _, ServiceExt as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    log::start(&config);
    let sdk = aws_config::load_from_env().await;
    let store: Arc<dyn Store> = Arc::new(DynamoDbStore::new(
        &sdk,
        &config.table_name,
        config.dynamodb_endpoint.as_deref(),
    ));
    let sessions = SessionLayer::builder(Arc::clone(&store), config.keys.clone()).build()?;
    let counter = sessions.layer(service_fn(count));
    let product = app::service(&config, store)?;
    run(service_fn(move |request: Request| {
        let (counter, product) = (counter.clone(), product.clone());
        async move {
            if request.raw_http_path() == "/count" {
                return counter.oneshot(request).await;
            }
            match product.oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
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
