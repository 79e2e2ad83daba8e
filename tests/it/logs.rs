//! The log of the compiled function: one line for each request, with no text from the request and no secret.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::app::{COOKIE, COOKIE_NAME, value_of};
use crate::support::{SECRET_KEY, client, forge, function};
use dev::dynamodb::{Embedded, table};
use dev::event::Event;
use dev::lambda::{Answer, Exit, Lambda};
use dev::proxy::{Fault, Proxy};

/// A part of every text that these tests send and that no log line may contain.
const MARK: &str = "zqxmark";
const FALLBACK: &str = "an older key for tests that nobody may see in a log";
const AWS_SECRET: &str = "an AWS secret access key that nobody may see";

/// How many requests of a run meet a failing store.
const STORE_FAILURES: usize = 3;

/// What the function printed in a run, and the secrets that it must not have printed.
struct Run {
    printed: Exit,
    secrets: Vec<String>,
    requests: usize,
}

/// Sends normal and hostile requests to a function that logs at this level and in this format.
async fn run(level: &str, format: &str) -> Run {
    let dynamodb = Embedded::in_memory().await;
    let proxy = Proxy::start(&dynamodb.endpoint());
    let variables = [
        ("SECRET_KEY_FALLBACKS", FALLBACK),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("AWS_LAMBDA_LOG_LEVEL", level),
        ("AWS_LAMBDA_LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
    ];
    let lambda = function(&proxy.endpoint(), &variables).await;
    let mut suite = Suite {
        lambda,
        secrets: [SECRET_KEY, FALLBACK, AWS_SECRET, MARK].map(str::to_owned).into(),
        requests: 0,
    };
    suite.walk().await;
    suite.mistakes().await;
    suite.attacks().await;
    suite.failures(&proxy, &dynamodb.endpoint()).await;
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

    /// Logs in, and records everything about the session that is secret.
    async fn login(&mut self, event: Event) -> String {
        let cookie = self.send(event, 303).await.cookie();
        let (id, mac) = value_of(&cookie).split_once('.').expect("an ID and a MAC");
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
        let forged = forge::cookie(b"another key", COOKIE_NAME, &id);
        self.secrets.extend(forged.split('.').map(str::to_owned));
        let planted = forge::cookie(FALLBACK.as_bytes(), COOKIE_NAME, &id);
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
            self.requests += 1;
            assert_eq!(self.lambda.invoke(event).await.expect("an answer").status, 400);
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
        let id = value_of(&cookie).split('.').next().unwrap_or_default();
        let view = || Event::get("/").cookie(&cookie);
        proxy.once("GetItem", Fault::Error(400, "AccessDeniedException"));
        self.send(view(), 500).await;
        proxy.rule(|_| Fault::Garbage);
        self.send(Event::get("/logout").cookie(&cookie), 503).await;
        proxy.rule(|_| Fault::Error(500, "InternalServerError"));
        self.send(view(), 503).await;
        proxy.pass_everything();

        // Another program makes the record malformed.
        let broken = client(endpoint).update_item().table_name(table::NAME);
        let broken = broken.key("id", AttributeValue::S(forge::record_key(id)));
        let broken = broken.update_expression("SET created_at = :wrong");
        let broken = broken.expression_attribute_values(":wrong", AttributeValue::S(MARK.into()));
        broken.send().await.expect("a broken record");
        self.send(view(), 200).await;
    }
}

/// Answers of a failing store, or of something else at its address. All of them show what was sent or what is stored.
fn planted() -> Vec<Fault> {
    let error = |code: &str| {
        let body = json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
            "message": format!("The value {MARK} is not valid"),
            "Item": { "id": { "S": MARK }, MARK: { "S": MARK } },
            "CancellationReasons": [{ "Message": MARK }],
        });
        body.to_string()
    };
    let answers = [
        (400, error("ValidationException")),
        (400, error("ConditionalCheckFailedException")),
        (400, error("SerializationException")),
        (400, error("InvalidSignatureException")),
        (400, error("ItemCollectionSizeLimitExceededException")),
        (400, error("TransactionConflictException")),
        (400, error(&format!("{MARK} {MARK}"))),
        (500, error("InternalServerError")),
        (503, error("ServiceUnavailable")),
        (
            400,
            format!("{{\"__type\":\"ValidationException\",\"message\":\"{MARK}"),
        ),
        (400, format!("{{\"__type\":{{\"{MARK}\":1}}}}")),
        (403, format!("<html>{MARK}</html>")),
        (502, MARK.to_owned()),
        (200, MARK.to_owned()),
        (200, format!("{{\"Item\":{{\"id\":{{\"S\":\"{MARK}\\ud800\"}}}}}}")),
        (200, format!("{{\"Item\":{{\"id\":{{\"{MARK}\":\"{MARK}\"}}}}}}")),
        (200, format!("{{\"Item\":{{\"id\":{{\"N\":{MARK}}}}}}}")),
        (200, format!("{{\"Item\":{{\"{MARK}\":[\"{MARK}\"]}}}}")),
        (200, format!("{{\"Attributes\":{{\"{MARK}\":{{\"B\":\"{MARK}\"}}}}}}")),
    ];
    let answers = answers.into_iter().map(|(status, body)| Fault::Answer(status, body));
    answers
        .chain([Fault::DropCall, Fault::DropReply, Fault::Hang])
        .collect()
}

#[tokio::test]
async fn no_text_of_a_failing_store_reaches_the_log() {
    let dynamodb = Embedded::in_memory().await;
    let runs: JoinSet<_> = planted()
        .into_iter()
        .map(|fault| run_over_failing_store(dynamodb.endpoint(), fault))
        .collect();
    let runs = runs.join_all().await;
    let failures: usize = runs.iter().map(Run::store_failures).sum();
    assert!(failures > 40, "{failures} failures");
    for run in runs {
        run.assert_keeps_secrets();
    }
}

/// Views, logs in and logs out with a function whose store fails like this.
async fn run_over_failing_store(store: String, fault: Fault) -> Run {
    let proxy = Proxy::start(&store);
    let variables = [("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")];
    let mut suite = Suite {
        lambda: function(&proxy.endpoint(), &variables).await,
        secrets: [SECRET_KEY, MARK].map(str::to_owned).into(),
        requests: 0,
    };
    let form = || Event::post_form("/login", &[("username", MARK)]);
    let cookie = suite.login(form()).await;
    let planted = fault.clone();
    proxy.rule(move |_| planted.clone());
    let send = |event: Event| suite.lambda.invoke(event.cookie(&cookie).into_value());
    let (view, login, logout) = tokio::join!(send(Event::get("/")), send(form()), send(Event::get("/logout")));
    for answer in [view, login, logout] {
        let answer = answer.expect("an answer");
        assert!(!answer.body.contains(MARK), "{fault:?}: {answer:?}");
    }
    Run {
        printed: suite.lambda.kill().await,
        secrets: suite.secrets,
        requests: 0,
    }
}

impl Run {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.printed.stdout.lines().chain(self.printed.stderr.lines())
    }

    fn store_failures(&self) -> usize {
        self.printed.stdout.matches("store failure").count()
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
            assert!(
                value["level"].is_string() && (value["event"].is_string() || value["message"].is_string()),
                "{line}"
            );
        }
        let answered: Vec<_> = lines.iter().filter(|(_, value)| value["route"].is_string()).collect();
        assert_eq!(answered.len(), run.requests);
        for (line, value) in answered {
            assert!(value["method"].is_string() || value["route"] == "unreadable", "{line}");
            assert!(value["status"].is_u64() && value["store_calls"].is_u64(), "{line}");
            assert!(value["route"] != "unreadable" || value["store_calls"] == 0, "{line}");
            assert!(
                value["duration_ms"].is_f64() && value["request_id"].is_string(),
                "{line}"
            );
        }
        let panics = lines.iter().filter(|(_, value)| value["event"] == "panic");
        assert_eq!(panics.count(), 0, "a request made the function panic");
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

/// A row of the table of a million views' costs in docs/cost.md: dollars as deployed, with `SystemLogs=no`, and with
/// `LogLevel=WARN` as well.
struct Cost {
    what: String,
    dollars: Vec<f64>,
}

impl Cost {
    fn all() -> Vec<Self> {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cost.md")).expect("docs/cost.md");
        let table = page.lines().skip_while(|line| !line.starts_with("| a million views"));
        table.skip(2).map_while(Self::read).collect()
    }

    fn read(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        let what = cells.next()?.to_owned();
        let dollars = cells.map(|cell| cell.replace(['*', '$'], "").trim().parse().expect("dollars"));
        Some(Self {
            what,
            dollars: dollars.collect(),
        })
    }

    fn bytes(&self) -> u16 {
        let before = self.what.split(" bytes").next().unwrap_or_default();
        let number = before.rsplit(' ').next().unwrap_or_default();
        number.parse().expect("a number of bytes")
    }
}

/// The bytes that CloudWatch bills for each line in addition to its text.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>
const ENVELOPE: usize = 26;

/// The lines that Lambda writes for each request, unless `SystemLogs=no`.
/// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>
const LAMBDAS: [&str; 2] = [
    concat!(
        r#"{"time":"2026-11-25T12:00:00.123Z","type":"platform.start","record":"#,
        r#"{"requestId":"8476a536-e9f4-11e8-9739-2dfe598c3fcd","version":"$LATEST"}}"#,
    ),
    concat!(
        r#"{"time":"2026-11-25T12:00:00.128Z","type":"platform.report","record":"#,
        r#"{"requestId":"8476a536-e9f4-11e8-9739-2dfe598c3fcd","metrics":{"durationMs":4.512,"billedDurationMs":5,"#,
        r#""memorySizeMB":256,"maxMemoryUsedMB":24},"status":"success"}}"#,
    ),
];

/// CloudWatch bills log lines by their bytes. docs/cost.md says how many bytes a view writes, and what they cost.
#[tokio::test]
async fn a_view_writes_the_bytes_that_the_page_on_cost_counts() {
    let run = run("INFO", "JSON").await;
    let views = run
        .lines()
        .filter(|line| line.contains("\"route\":\"/\"") && line.contains("\"status\":200"));
    let views: Vec<_> = views.filter(|line| !line.contains("\"cold\"")).collect();
    assert!(views.len() > 3, "{views:?}");
    let costs = Cost::all();
    let [ours, lambdas] = ["our", "Lambda's own"].map(|whose| {
        let row = costs.iter().find(|row| row.what.contains(&format!("log: {whose}")));
        row.expect("a row")
    });
    for line in views {
        // The duration has more or fewer digits, a byte each.
        let bytes = line.len() + ENVELOPE;
        assert!(bytes.abs_diff(ours.bytes().into()) <= 10, "{bytes} bytes: {line}");
    }
    let written: usize = LAMBDAS.iter().map(|line| line.len() + ENVELOPE).sum();
    assert_eq!(usize::from(lambdas.bytes()), written);

    // $0.50 per GB, and a million views.
    let paid = |row: &Cost| (f64::from(row.bytes()) * 0.05).round() / 100.0;
    assert_eq!(ours.dollars, [paid(ours), paid(ours), 0.0]);
    assert_eq!(lambdas.dollars, [paid(lambdas), 0.0, 0.0]);
    let (together, rows) = costs.split_last().expect("a table");
    for (column, sum) in together.dollars.iter().enumerate() {
        let added: f64 = rows.iter().map(|row| row.dollars[column]).sum();
        assert!((added - sum).abs() < 0.001, "{added} is not {sum}");
    }
    assert!(together.dollars[0] < 0.95 && together.dollars[1] < 0.60);
}

/// Every metric filter of the template counts lines that the function writes, and no others.
#[tokio::test]
async fn the_templates_metric_filters_find_what_they_count() {
    let run = run("INFO", "JSON").await;
    let lines: Vec<Value> = run.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let counts = crate::template::metric_filters().into_iter().map(|(metric, pattern)| {
        let matching = lines.iter().filter(|line| crate::template::matches(&pattern, line));
        (metric, matching.count())
    });
    let counts: BTreeMap<String, usize> = counts.collect();
    let answered = |event: &str| {
        lines
            .iter()
            .filter(|line| line["event"] == event && line["route"].is_string())
            .count()
    };
    assert_eq!(counts["Logins"], answered("login"));
    assert_eq!(counts["Logouts"], answered("logout"));
    assert_eq!(counts["Refused"], answered("refused"));
    assert_eq!(counts["ColdStarts"], 1);
    assert_eq!(counts["StoreFailures"], STORE_FAILURES);
    assert_eq!(counts.len(), 5, "{counts:?}");
    assert!(
        counts["Logins"] > 2 && counts["Logouts"] > 0 && counts["Refused"] > 1,
        "{counts:?}"
    );
}

/// `LogLevel=WARN` drops the lines of ordinary requests, and keeps those of failures.
#[tokio::test]
async fn at_warn_only_what_went_wrong_is_written() {
    let run = run("WARN", "JSON").await;
    run.assert_keeps_secrets();
    let lines: Vec<Value> = run.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().all(|line| line["level"] != "INFO"), "{lines:?}");
    let failures = lines.iter().filter(|line| line["event"] == "store failure");
    assert_eq!(failures.count(), STORE_FAILURES);
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
        let answered = run.lines().filter(|line| line.contains(" route=")).count();
        assert_eq!(answered, run.requests);
    }
}
