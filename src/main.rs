//! The Lambda function: configuration, store, warm-up, run.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_session::config::Config;
use lambda_session::session::DynamoDbStore;
use lambda_session::{app, event, init, log};

const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// A fifth of a page's instructions are the C library's `malloc` and `free`; this one saves most of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let message = format!("lambda-session cannot start: {error}");
            let format = std::env::var("AWS_LAMBDA_LOG_FORMAT");
            log::cannot_start(&message, format.is_ok_and(|format| format.eq_ignore_ascii_case("json")));
            // `sam local` loses the last words of a process that ends at once, and Lambda knows what to do with them. If
            // it cannot be told, it has them in the log.
            if let Ok(api) = std::env::var(RUNTIME_API) {
                let _ = init::report(&api, &message);
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    if std::env::var_os(RUNTIME_API).is_none() {
        return Err(
            "AWS_LAMBDA_RUNTIME_API is not set: this program is started by AWS Lambda. \
                    To run it on this machine, use `cargo local`."
                .into(),
        );
    }
    log::start(&config);
    log::panics();
    let store = DynamoDbStore::on_lambda(&config.table_name, config.dynamodb_endpoint.as_deref());
    // Init has a whole processor; the first visitor has the share that the function's memory buys.
    store.warm_up().await;
    let application = app::service(&config, Arc::new(store))?;
    event::warm_up(application.clone()).await;
    event::run(application).await
}
