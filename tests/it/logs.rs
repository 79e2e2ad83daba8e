//! The log of the compiled function: a line a request, and nothing in it that came from outside or must stay inside.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::embedded::table;
use crate::support::app::COOKIE;
use crate::support::event::Event;
use crate::support::lambda::{Answer, Exit, Lambda};
use crate::support::proxy::{Fault, Proxy};
use crate::support::{SECRET_KEY, dynamodb, endpoint, environment, forge, sdk_at};

/// In everything that is sent and must not come back in a log.
const MARK: &str = "zqxmark";
const FALLBACK: &str = "an older key for tests that nobody may see in a log";
const AWS_SECRET: &str = "an AWS secret access key that nobody may see";

/// What a run printed, and what must not be in it.
struct Run {
    printed: Exit,
    secrets: Vec<String>,
    requests: usize,
}

/// Normal and hostile requests through one function that logs at this level and in this format.
async fn run(level: &str, format: &str) -> Run {
    let dynamodb = dynamodb().await;
    let proxy = Proxy::start(&endpoint(&dynamodb));
    let variables = [
        ("SECRET_KEY", SECRET_KEY),
        ("SECRET_KEY_FALLBACKS", FALLBACK),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("AWS_LAMBDA_LOG_LEVEL", level),
        ("AWS_LAMBDA_LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let lambda = Lambda::start(environment(&proxy.endpoint()).into_iter().chain(variables)).await;
    let mut suite = Suite {
        lambda,
        secrets: [SECRET_KEY, FALLBACK, AWS_SECRET, MARK].map(str::to_owned).into(),
        requests: 0,
    };
    suite.walk().await;
    suite.mistakes().await;
    suite.attacks().await;
    suite.failures(&proxy, &endpoint(&dynamodb)).await;
    Run {
        printed: suite.lambda.kill().await,
        secrets: suite.secrets,
        requests: suite.requests,
    }
}

struct Suite {
    lambda: Lambda,
    secrets: Vec<String>,
    requests: usize,
}

impl Suite {
    async fn send(&mut self, event: Event, status: u16) -> Answer {
        self.requests += 1;
        let answer = self.lambda.invoke(event.into_value()).await.expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
        answer
    }

    /// Logs in, and takes note of everything about the session that is secret.
    async fn login(&mut self, event: Event) -> String {
        let cookie = self.send(event, 303).await.cookie();
        let (id, mac) = cookie[COOKIE.len()..].split_once('.').expect("an ID and a MAC");
        self.secrets
            .extend([id, mac, &forge::record_key(id)].map(str::to_owned));
        cookie
    }

    async fn walk(&mut self) {
        let form = |name: &str| Event::post_form("/login", &[("username", name)]);
        self.send(Event::get("/"), 200).await;
        self.send(Event::get("/login"), 200).await;
        let first = self.login(form(&format!("admin {MARK}"))).await;
        self.send(Event::get("/").cookie(&first), 200).await;
        let second = self.login(form(&format!("other {MARK}")).cookie(&first)).await;
        self.send(Event::get("/logout").cookie(&second), 303).await;
        self.send(Event::get("/").cookie(&second), 200).await;
        self.send(Event::new("HEAD", "/"), 200).await;
    }

    async fn mistakes(&mut self) {
        let form = |name: &str| Event::post_form("/login", &[("username", name)]);
        for (event, status) in [
            (form(&MARK.repeat(10)), 400),
            (form(&format!("{MARK}\n{{\"level\":\"ERROR\"}}")), 400),
            (
                form(&format!("{MARK}\u{1b}[31m\r\n2026-01-01T00:00:00Z ERROR fake")),
                400,
            ),
            (form(&MARK.repeat(1_000)), 413),
            (form(MARK).with("/headers/content-type", MARK), 415),
            (Event::get(&format!("/{MARK}\n{MARK}")), 404),
            (Event::get(&format!("/%0a{MARK}?{MARK}")), 404),
            (Event::new("ZQXMARK", "/"), 405),
            (Event::get("/").header("user-agent", MARK).header(MARK, MARK), 200),
            (
                Event::get("/")
                    .header("x-amzn-trace-id", MARK)
                    .header("x-forwarded-for", MARK),
                200,
            ),
        ] {
            self.send(event, status).await;
        }
    }

    async fn attacks(&mut self) {
        let id = forge::id(7);
        let forged = forge::cookie(b"another key", &id);
        self.secrets.extend(forged.split('.').map(str::to_owned));
        let planted = forge::cookie(FALLBACK.as_bytes(), &id);
        self.secrets.push(forge::record_key(&id));
        self.secrets.extend(planted.split('.').map(str::to_owned));
        let form = || Event::post_form("/login", &[("username", MARK)]);
        for (event, status) in [
            (Event::get("/").cookie(&format!("{COOKIE}{forged}")), 200),
            (Event::get("/").cookie(&format!("{COOKIE}{planted}")), 200),
            (Event::get("/").cookie(&format!("{MARK}={MARK}\n")), 200),
            (Event::get("/logout").header("sec-fetch-site", MARK), 403),
            (
                form()
                    .with("/headers/origin", MARK)
                    .with("/headers/sec-fetch-site", "cross-site"),
                403,
            ),
            (Event::get("/").with("/headers/host", format!("{MARK} {MARK}")), 400),
            (Event::get("/").with("/headers/a", format!("{MARK}\n{MARK}")), 400),
            (Event::get("/").with("/rawQueryString", format!("<{MARK}>")), 400),
            (form().with("/body", format!("%{MARK}")), 400),
        ] {
            self.send(event, status).await;
        }
        for event in [
            json!({ MARK: MARK }),
            json!(MARK),
            Event::get("/")
                .with("/requestContext/http/method", format!("{MARK} {MARK}"))
                .into_value(),
            Event::get("/").with("/isBase64Encoded", MARK).into_value(),
        ] {
            self.lambda.invoke(event).await.expect_err("no request");
        }
        for event in [format!("{{\"{MARK}\":"), format!("{MARK}\n")] {
            self.lambda
                .invoke_raw(event.into_bytes())
                .await
                .expect_err("no request");
        }
        let no_text = [MARK.as_bytes(), b"\xff"].concat();
        self.lambda.invoke_raw(no_text).await.expect_err("no request");
    }

    async fn failures(&mut self, proxy: &Proxy, endpoint: &str) {
        let form = Event::post_form("/login", &[("username", MARK)]);
        let cookie = self.login(form).await;
        let id = cookie[COOKIE.len()..].split('.').next().unwrap_or_default();
        let view = || Event::get("/").cookie(&cookie);
        proxy.once("GetItem", Fault::Error(400, "AccessDeniedException"));
        self.send(view(), 503).await;
        proxy.rule(|_| Fault::Garbage);
        self.send(Event::get("/logout").cookie(&cookie), 503).await;
        proxy.rule(|_| Fault::Error(500, "InternalServerError"));
        self.send(view(), 503).await;
        proxy.pass_everything();

        // A record that somebody else broke.
        let client = Client::from_conf(sdk_at(endpoint).build());
        let broken = client.update_item().table_name(table::NAME);
        let broken = broken.key("id", AttributeValue::S(forge::record_key(id)));
        let broken = broken.update_expression("SET created_at = :wrong");
        let broken = broken.expression_attribute_values(":wrong", AttributeValue::S(MARK.into()));
        broken.send().await.expect("a broken record");
        self.send(view(), 200).await;
    }
}

impl Run {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.printed.stdout.lines().chain(self.printed.stderr.lines())
    }

    #[track_caller]
    fn assert_keeps_secrets(&self) {
        let printed = format!("{}{}", self.printed.stdout, self.printed.stderr).to_lowercase();
        assert!(!printed.is_empty());
        for secret in &self.secrets {
            let line = printed.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert_eq!(line, None, "{secret}");
        }
    }
}

#[tokio::test]
async fn in_json_every_line_is_an_object_and_every_request_has_one() {
    for level in ["DEBUG", "TRACE"] {
        let run = run(level, "JSON").await;
        run.assert_keeps_secrets();
        let parsed = run
            .lines()
            .map(|line| (line, serde_json::from_str::<Value>(line).unwrap_or_default()));
        let lines: Vec<_> = parsed.collect();
        for (line, value) in &lines {
            assert!(
                value["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')),
                "{line}"
            );
            assert!(value["level"].is_string() && value["message"].is_string(), "{line}");
        }
        let answered: Vec<_> = lines
            .iter()
            .filter(|(_, value)| value["message"] == "answered")
            .collect();
        assert_eq!(answered.len(), run.requests);
        for (line, value) in answered {
            assert!(value["route"].is_string() && value["method"].is_string(), "{line}");
            assert!(value["status"].is_u64() && value["store_calls"].is_u64(), "{line}");
            assert!(
                value["duration_ms"].is_f64() && value["request_id"].is_string(),
                "{line}"
            );
        }
        for (event, level) in [
            ("request", "INFO"),
            ("login", "INFO"),
            ("logout", "INFO"),
            ("refused", "INFO"),
            ("malformed record", "WARN"),
            ("store failure", "ERROR"),
        ] {
            let found = lines.iter().find(|(_, value)| value["event"] == event);
            assert_eq!(found.map(|(_, value)| &value["level"]), Some(&json!(level)), "{event}");
        }
    }
}

/// Lambda drops lines below the function's level, and metrics are in a line.
#[tokio::test]
async fn every_request_has_its_metrics_at_every_level() {
    for (level, on_the_line) in [
        ("INFO", "INFO"),
        ("WARN", "WARN"),
        ("ERROR", "ERROR"),
        ("FATAL", "FATAL"),
    ] {
        let run = run(level, "JSON").await;
        let lines: Vec<Value> = run
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["_aws"].is_object())
            .collect();
        assert_eq!(lines.len(), run.requests, "{level}");
        let sum = |metric: &str| lines.iter().filter_map(|line| line[metric].as_u64()).sum::<u64>();
        assert_eq!(sum("Requests"), run.requests as u64, "{level}");
        assert_eq!(sum("ColdStarts"), 1, "{level}");
        assert!(sum("Logins") > 0 && sum("StoreFailures") > 0, "{level}");
        assert!(lines.iter().all(|line| line["level"] == on_the_line), "{level}");
        assert!(
            lines.iter().all(|line| line["FunctionName"] == "lambda-session"),
            "{level}"
        );
    }
}

#[tokio::test]
async fn in_text_every_line_begins_with_its_time_and_level() {
    for level in ["DEBUG", "TRACE"] {
        let run = run(level, "Text").await;
        run.assert_keeps_secrets();
        for line in run.lines() {
            let mut words = line.split_whitespace();
            let time = words.next().unwrap_or_default();
            assert!(
                time.len() >= 20 && time.ends_with('Z') && time.starts_with("20"),
                "{line}"
            );
            assert!(
                matches!(words.next(), Some("ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE")),
                "{line}"
            );
        }
        let answered = run.lines().filter(|line| line.contains(" answered ")).count();
        assert_eq!(answered, run.requests);
    }
}
