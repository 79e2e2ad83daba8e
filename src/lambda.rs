//! What only Lambda needs: the loop over its events, the warm-up, and the report of a start that failed.

use std::convert::Infallible;
use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Duration;

use lambda_http::{Body, Context, LambdaEvent, Request, RequestExt as _, Response};
use opentelemetry::context::FutureExt as _;
use serde_json::json;
use serde_json::value::to_raw_value;
use tower::{Service, ServiceExt as _, service_fn};

use crate::app::App;
use crate::{Error, log, xray};

/// The variable with the host and port of the Runtime API.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

type Answer = Response<Body>;

/// The longest wait for the Runtime API's reply to a report.
const PATIENCE: Duration = Duration::from_secs(1);

/// Checks that Lambda or an emulator of it, such as `sam local`, started this program.
///
/// # Errors
///
/// `AWS_LAMBDA_RUNTIME_API` is not set. The message says what to do instead.
pub(crate) fn require() -> Result<(), Error> {
    match env::var_os(RUNTIME_API) {
        Some(_) => Ok(()),
        None => Err(
            "AWS_LAMBDA_RUNTIME_API is not set: this program is started by AWS Lambda. To run it on this \
                machine, use `cargo local`."
                .into(),
        ),
    }
}

/// Answers Lambda's events until Lambda ends the process. If `traced`, each request's spans are part of its
/// invocation's trace.
pub(crate) async fn run(app: App, traced: bool) -> Result<(), Error> {
    let unreadable = {
        let app = app.clone();
        move |invocation: &str| app.unreadable(invocation)
    };
    lambda_session::lambda::run_with(service(app, true, traced), unreadable).await
}

/// Answers an event that no visitor sent: `GET /` with a forged cookie, for which no store call is made. The code and
/// data that the first visitor's request needs are then in memory already. This is not logged, because it is not a
/// request.
pub(crate) async fn warm_up(app: &App) {
    // As long as a session ID and its MAC, so that the MAC is computed.
    let forged = format!("{}={:A<43}.{:A<43}", app.sessions.cookie_name(), "", "");
    let event = json!({
        "version": "2.0",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": { "host": "localhost", "x-forwarded-proto": "https" },
        "cookies": [forged],
        "requestContext": { "stage": "$default", "http": { "method": "GET", "path": "/" } },
        "isBase64Encoded": false,
    });
    let Ok(event) = to_raw_value(&event) else { return };
    let unreadable = |_: &str| Response::new(Body::Empty);
    let function = lambda_session::lambda::service(service(app.clone(), false, false), unreadable);
    let answer = function.oneshot(LambdaEvent::new(event, Context::default())).await;
    // Serializes the answer, as Lambda's runtime does.
    let _ = answer.map(|answer| serde_json::to_vec(&answer));
}

/// The app as a service. If `logged`, it logs a line for each request; if `traced`, each request's spans are part of
/// its invocation's trace.
fn service(
    app: App,
    logged: bool,
    traced: bool,
) -> impl Service<Request, Response = Answer, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static {
    service_fn(move |request: Request| {
        let app = app.clone();
        async move {
            let context = request.lambda_context_ref().filter(|_| traced);
            let trace = context.and_then(|context| xray::parent(context.xray_trace_id.as_deref()?));
            let answer = pin!(app.answer(request));
            let (response, line) = match trace {
                Some(trace) => answer.with_context(trace).await,
                None => answer.await,
            };
            if logged {
                app.log.write(&line);
            }
            Ok(response)
        }
    })
}

/// Logs why the function does not start, and reports it to Lambda.
pub(crate) fn report_failed_start(message: &str) {
    let format = env::var("AWS_LAMBDA_LOG_FORMAT");
    log::cannot_start(message, format.is_ok_and(|format| format.eq_ignore_ascii_case("json")));
    // `sam local` may lose the output of a process that ends at once, so the reason goes to the Runtime API as well. If
    // the Runtime API does not accept the report, the log still has it.
    if let Ok(api) = env::var(RUNTIME_API) {
        let _ = report(&api, message);
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>
fn report(api: &str, message: &str) -> io::Result<()> {
    let body = json!({ "errorType": "Runtime.InitError", "errorMessage": message, "stackTrace": [] }).to_string();
    let mut connection = TcpStream::connect(api)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(
        connection,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: Runtime.InitError\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
         {body}",
        body.len()
    )?;
    // The reply's first byte shows that the report has arrived. The rest is of no use.
    connection.read(&mut [0; 1]).map(drop)
}
