//! The example's environment variables, on Lambda and elsewhere.

use std::sync::Arc;

use dev::lambda::Lambda;
use dev::program::{Program, SECRET_KEY, Table};
use dev::visitor::Visitor;

use crate::site::PROGRAM;

/// Names a provider that does not exist.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("OIDC_ISSUER", "http://127.0.0.1:1"),
    ("OIDC_CLIENT_ID", "shop"),
    ("OIDC_CLIENT_SECRET", "a secret"),
    ("BASE_URL", "https://shop.example"),
];

#[tokio::test]
async fn on_https_every_answer_asks_for_https_for_a_year() {
    let table = Table::new().await;
    let https = Program::function(PROGRAM, &table, &ENVIRONMENT).await;
    let http = Program::server(PROGRAM, None, &ENVIRONMENT).await;
    for (program, expected) in [(https, Some("max-age=31536000")), (http, None)] {
        let mut visitor = Visitor::of(&Arc::new(program));
        for path in ["/", "/elsewhere"] {
            let answer = visitor.get(path).await;
            assert_eq!(answer.status == 404, path == "/elsewhere", "{answer:?}");
            let asked = answer.headers.get("strict-transport-security");
            assert_eq!(asked.map(String::as_str), expected, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn on_lambda_it_keeps_no_sessions_in_memory() {
    let environment = ENVIRONMENT.into_iter().chain([("SECRET_KEY", SECRET_KEY)]);
    let exit = Lambda::start(PROGRAM, environment).await.exit().await;
    assert!(!exit.status.success(), "{exit:?}");
    assert!(exit.stderr.contains("TABLE_NAME is not set"), "{exit:?}");
}

#[tokio::test]
async fn a_missing_variable_is_named_and_the_program_ends() {
    for (missing, _) in ENVIRONMENT {
        let environment = ENVIRONMENT.into_iter().filter(|(name, _)| *name != missing);
        let exit = Lambda::start(PROGRAM, environment.chain([("SECRET_KEY", SECRET_KEY)]))
            .await
            .exit()
            .await;
        assert!(!exit.status.success(), "{exit:?}");
        assert!(exit.stderr.contains(missing), "{exit:?}");
    }
}
