//! The Runtime API, from the function's side.

use dev::runtime::{self, Outcome, RuntimeApi};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// A function that speaks the protocol itself. Clones share their connections.
#[derive(Clone)]
struct Function {
    client: Client<HttpConnector, Full<Bytes>>,
    api: String,
}

impl Function {
    fn new(api: &RuntimeApi) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            api: format!("http://{}/2018-06-01/runtime", api.address()),
        }
    }

    /// Returns an invocation's ID and the event.
    async fn next(&self) -> (String, Bytes) {
        let request = Request::get(format!("{}/invocation/next", self.api)).body(Full::default());
        let response = self
            .client
            .request(request.expect("a request"))
            .await
            .expect("an answer");
        let id = response.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        (id, response.into_body().collect().await.expect("an event").to_bytes())
    }

    async fn post(&self, path: &str, body: &'static str) -> Response<Incoming> {
        let request = Request::post(format!("{}/{path}", self.api)).body(Full::from(body));
        self.client
            .request(request.expect("a request"))
            .await
            .expect("an answer")
    }
}

fn read(outcome: Outcome) -> Result<Value, Value> {
    outcome.and_then(|answer| runtime::json(&answer))
}

#[tokio::test]
async fn several_invocations_are_in_flight_when_the_function_asks_for_several() {
    let api = RuntimeApi::start().await.expect("a port");
    let function = Function::new(&api);
    let polls: Vec<_> = (0..3)
        .map(|_| {
            let function = function.clone();
            tokio::spawn(async move { function.next().await })
        })
        .collect();
    api.polled(3).await;
    let outcomes = ["1", "2", "3"].map(|event| api.invoke(event.into()));
    let mut taken = Vec::new();
    for poll in polls {
        taken.push(poll.await.expect("an invocation"));
    }
    // The invocations are answered in the opposite order, each with its own event.
    taken.sort_by(|one, other| other.1.cmp(&one.1));
    for (id, event) in &taken {
        let answer = match &event[..] {
            b"1" => "1",
            b"2" => "2",
            _ => "3",
        };
        assert_eq!(
            function
                .post(&format!("invocation/{id}/response"), answer)
                .await
                .status(),
            202
        );
    }
    for (outcome, expected) in outcomes.into_iter().zip(1..) {
        assert_eq!(read(outcome.await.expect("an outcome")), Ok(json!(expected)));
    }
    assert_eq!(api.polls(), 3);
}

#[tokio::test]
async fn an_error_and_an_answer_that_is_no_json_are_errors() {
    let api = RuntimeApi::start().await.expect("a port");
    let function = Function::new(&api);
    for (path, body) in [("error", r#"{"errorMessage":"no"}"#), ("response", "no JSON")] {
        let outcome = api.invoke(b"{}".to_vec());
        let (id, _) = function.next().await;
        assert_eq!(
            function.post(&format!("invocation/{id}/{path}"), body).await.status(),
            202
        );
        assert!(read(outcome.await.expect("an outcome")).is_err(), "{path}");
        assert_eq!(
            function.post(&format!("invocation/{id}/{path}"), body).await.status(),
            404,
            "twice"
        );
    }
}

#[tokio::test]
async fn a_failed_start_is_kept() {
    let api = RuntimeApi::start().await.expect("a port");
    let function = Function::new(&api);
    assert_eq!(
        function
            .post("init/error", r#"{"errorMessage":"no key"}"#)
            .await
            .status(),
        202
    );
    assert_eq!(api.init_error().expect("a report")["errorMessage"], "no key");
}
