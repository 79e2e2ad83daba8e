//! The examples that are Lambda functions, run as functions.

use std::sync::Arc;

use dev::PATIENCE;
use dev::dynamodb::{Embedded, table};
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::program::{Asked, Program, Table};
use dev::proxy::Fault;
use dev::visitor::Visitor;
#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::time::timeout;

use crate::support::{SECRET_KEY, example};

async fn start(name: &str, dynamodb: &Embedded) -> Lambda {
    let endpoint = dynamodb.endpoint();
    let environment = [
        ("SECRET_KEY", SECRET_KEY),
        ("TABLE_NAME", table::NAME),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
    ];
    Lambda::start(example(name), environment).await
}

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    lambda.invoke(event.into_value()).await.expect("an answer")
}

/// Checks that a query that is not part of a URL, and a body that is not valid base64, are answered with 400.
async fn assert_unreadable_is_400(lambda: &Lambda) {
    let hostile = [
        Event::get("/").with("/rawQueryString", "<script>"),
        Event::new("POST", "/note").body(b"").with("/body", "not base64!"),
    ];
    for event in hostile {
        let answer = visit(lambda, event.clone()).await;
        assert_eq!(answer.status, 400, "{event:?}: {answer:?}");
    }
}

#[tokio::test]
async fn both_counters_count_each_visitor_for_himself() {
    // axum's router refuses unknown paths, and the plain example serves all.
    for (name, elsewhere) in [("counter", 404), ("plain", 200)] {
        count(name, elsewhere).await;
    }
}

async fn count(name: &str, elsewhere: u16) {
    let dynamodb = Embedded::in_memory().await;
    let lambda = start(name, &dynamodb).await;

    let first = visit(&lambda, Event::get("/")).await;
    assert_eq!((first.status, first.body.as_str()), (200, "Visit number 1"));
    let private = ["vary", "cache-control"].map(|name| first.headers.get(name).map(String::as_str));
    let expected = [Some("Cookie"), Some("no-store")];
    assert_eq!(private, expected, "no cache gives one visitor's page to another");
    let cookie = first.cookie();
    assert_unreadable_is_400(&lambda).await;
    for number in 2..5 {
        let next = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert_eq!(next.body, format!("Visit number {number}"));
        assert!(next.cookies.is_empty(), "{next:?}");
    }
    assert_eq!(visit(&lambda, Event::get("/")).await.body, "Visit number 1");
    assert_eq!(visit(&lambda, Event::get("/elsewhere")).await.status, elsewhere);
}

#[tokio::test]
async fn a_path_has_no_stage_where_the_variable_of_lambda_http_says_so() {
    let table = Table::new().await;
    for (variables, status) in [
        (&[][..], 404),
        (&[("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true")], 200),
    ] {
        let counter = Program::function(example("counter"), &table, variables).await;
        let Program::Function(lambda) = &counter else {
            unreachable!("a function")
        };
        let event = Event::get("/").with("/requestContext/stage", "prod");
        assert_eq!(visit(lambda, event).await.status, status, "{variables:?}");
    }
}

#[tokio::test]
async fn note_keeps_a_note_and_forgets_it() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = start("note", &dynamodb).await;

    let kept = visit(&lambda, Event::new("POST", "/note").body(b"buy tea")).await;
    assert_eq!((kept.status, kept.body.as_str()), (200, "kept"));
    let cookie = kept.cookie();
    assert_unreadable_is_400(&lambda).await;
    let note = || visit(&lambda, Event::get("/note").cookie(&cookie));
    assert_eq!(note().await.body, "buy tea");
    let unreadable = Event::new("POST", "/note").body(b"\xff\xfe").cookie(&cookie);
    assert_eq!(
        visit(&lambda, unreadable).await.status,
        200,
        "a body that is not text does not fail"
    );
    let forgotten = visit(&lambda, Event::new("POST", "/forget").cookie(&cookie)).await;
    assert_eq!(forgotten.cookie(), "__Host-session=");
    assert_eq!(note().await.body, "");
    let about = visit(&lambda, Event::get("/about").cookie(&cookie)).await;
    assert_eq!(
        about.headers.get("vary"),
        None,
        "a page without a session may be cached"
    );
    assert_eq!(visit(&lambda, Event::get("/elsewhere")).await.status, 404);
}

/// The examples in which a browser logs in, and the environment that one of them needs.
const SITES: [&str; 2] = ["account", "passwords"];
const ENVIRONMENT: [(&str, &str); 1] = [("USERS_TABLE_NAME", "Users")];

#[tokio::test]
async fn on_https_every_answer_of_a_site_asks_for_https_for_a_year() {
    let table = Table::new().await;
    for name in SITES {
        let https = Program::function(example(name), &table, &ENVIRONMENT).await;
        let http = Program::server(example(name), None, &ENVIRONMENT).await;
        for (program, expected) in [(https, Some("max-age=31536000")), (http, None)] {
            let mut visitor = Visitor::of(&Arc::new(program));
            for path in ["/", "/elsewhere"] {
                let answer = visitor.get(path).await;
                assert_eq!(answer.status == 404, path == "/elsewhere", "{name}: {answer:?}");
                let asked = answer.headers.get("strict-transport-security");
                assert_eq!(asked.map(String::as_str), expected, "{name}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn on_lambda_no_site_keeps_its_sessions_in_memory() {
    for name in SITES {
        let environment = ENVIRONMENT.into_iter().chain([("SECRET_KEY", SECRET_KEY)]);
        let exit = Lambda::start(example(name), environment).await.exit().await;
        assert!(!exit.status.success(), "{name}");
        assert!(exit.stderr.contains("TABLE_NAME is not set"), "{exit:?}");
    }
}

/// Beside the view, a user writes only what the environment does not say.
#[test]
fn the_shortest_functions_have_at_most_twelve_lines_of_code() {
    let documentation: Vec<_> = include_str!("../../src/web/lambda.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let documentation = documentation.join("\n");
    let functions: Vec<_> = documentation
        .split("```no_run\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .chain([
            include_str!("../../examples/counter.rs"),
            include_str!("../../examples/plain.rs"),
        ])
        .filter(|code| code.contains("fn main()"))
        .collect();
    assert_eq!(
        functions.len(),
        4,
        "on axum and plain lambda_http, as documented and as an example"
    );
    for function in functions {
        let code = function
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        assert!(code.count() <= 12, "{function}");
    }
}

/// Whoever copies one needs these files, too.
#[test]
fn the_documentation_of_an_example_names_the_files_that_it_shares() {
    for example in [
        include_str!("../../examples/account/main.rs"),
        include_str!("../../examples/oidc/src/main.rs"),
        include_str!("../../examples/passkeys/src/main.rs"),
        include_str!("../../examples/passwords/main.rs"),
    ] {
        let documentation = example.lines().filter(|line| line.starts_with("//!"));
        let documentation: String = documentation.collect();
        let shared = example.lines().filter_map(|line| line.strip_prefix("#[path = \""));
        let shared: Vec<_> = shared
            .map(|path| path.trim_end_matches("\"]"))
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        assert!(shared.len() >= 2, "{shared:?}");
        for file in shared {
            assert!(
                documentation.contains(&format!("`{file}`")),
                "{file} in {documentation}"
            );
        }
    }
}

/// The guide compares them with axum-login's examples of the same names.
#[test]
fn the_guide_has_the_number_of_lines_of_the_examples_with_users_in_sqlite() {
    let of_both = concat!(
        include_str!("../../examples/sqlite/login.rs"),
        include_str!("../../examples/sqlite/people.rs"),
    );
    for (name, own) in [
        ("sqlite", include_str!("../../examples/sqlite/main.rs")),
        ("permissions", include_str!("../../examples/permissions.rs")),
    ] {
        let lines = own.lines().chain(of_both.lines()).map(str::trim);
        let number = lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
        let row = format!("| the example `{name}`: {number} lines");
        let guide = include_str!("../../guide.md");
        assert!(guide.contains(&row), "{row}");
    }
}

#[tokio::test]
async fn a_program_that_sets_no_log_shows_a_failure_and_at_no_level_what_was_sent() {
    for (level, format) in [("INFO", "Text"), ("TRACE", "JSON")] {
        let table = Table::new().await;
        let variables = [
            ("SECRET_KEY", SECRET_KEY),
            ("AWS_LAMBDA_LOG_LEVEL", level),
            ("AWS_LAMBDA_LOG_FORMAT", format),
        ];
        let variables = variables.map(|(name, value)| (name, value.to_owned()));
        let mut lambda = Lambda::start(example("counter"), variables.into_iter().chain(table.environment())).await;
        table.proxy.once("PutItem", Fault::Error(400, "AccessDeniedException"));
        let sent = Event::get("/?a-query")
            .cookie("theme=a-cookie")
            .header("x-a", "a-header")
            .body(b"a-body");
        assert_eq!(visit(&lambda, sent.clone()).await.status, 500);
        assert_eq!(visit(&lambda, sent).await.status, 200);
        let log = lambda.kill().await.stdout;
        let failures = log.lines().filter(|line| line.contains("store failure")).count();
        assert_eq!(failures, 1, "{log}");
        for marker in ["a-query", "a-cookie", "a-header", "YS1ib2R5", "__Host-session="] {
            assert!(!log.contains(marker), "{level} {marker}: {log}");
        }
        let is_json = log.lines().all(|line| line.starts_with('{'));
        assert_eq!(is_json, format == "JSON", "{log}");
    }
}

#[tokio::test]
async fn a_framework_without_tower_counts_as_well() {
    let server = Program::server(example("hyper"), None, &[]).await;
    let ask = |cookie| Asked {
        path: "/",
        form: None,
        headers: Vec::new(),
        cookie,
        address: None,
    };
    let first = server.answer(ask(None)).await;
    assert_eq!((first.status, first.body.as_str()), (200, "Visit number 1"));
    assert_eq!(first.headers["cache-control"], "no-store");
    let cookie = first.cookie();
    let second = server.answer(ask(Some(&cookie))).await;
    assert_eq!((second.body.as_str(), second.cookies.len()), ("Visit number 2", 0));
    assert_eq!(server.answer(ask(None)).await.body, "Visit number 1");
}

#[tokio::test]
async fn without_lambda_the_same_program_serves_a_port() {
    let table = Table::new().await;
    let server = Program::server(example("counter"), Some(&table), &[]).await;
    let ask = |cookie| Asked {
        path: "/",
        form: None,
        headers: Vec::new(),
        cookie,
        address: None,
    };
    let first = server.answer(ask(None)).await;
    assert_eq!((first.status, first.body.as_str()), (200, "Visit number 1"));
    let cookie = first.cookie();
    assert_eq!(server.answer(ask(Some(&cookie))).await.body, "Visit number 2");
    let large = "x".repeat(6 << 20);
    let form = [("large", large.as_str())];
    let large = Asked {
        form: Some(&form),
        ..ask(None)
    };
    assert_eq!(server.answer(large).await.status, 413);
    table.proxy.once("PutItem", Fault::Error(400, "AccessDeniedException"));
    assert_eq!(server.answer(ask(None)).await.status, 500);
    let log = server.stop().await;
    assert!(log.contains("store failure"), "{log}");

    let taken = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken.local_addr().expect("a bound listener").port().to_string();
    for (arguments, reason) in [
        (&["--port"][..], "missing argument for option '--port'"),
        (&["--port", "x"], "cannot parse argument \"x\""),
        (&["--port", &taken], "in use"),
        (&["--ports", "1"], "invalid option '--ports'"),
        (&["serve"], "unexpected argument \"serve\""),
    ] {
        let mut command = tokio::process::Command::new(example("counter"));
        command
            .args(arguments)
            .env_clear()
            .env("SECRET_KEY", SECRET_KEY)
            .envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "local")))
            .env("AWS_REGION", "eu-central-1")
            .envs(table.environment())
            .kill_on_drop(true);
        let ended = timeout(PATIENCE, command.output()).await.expect("an end in time");
        let ended = ended.expect("an end");
        assert!(!ended.status.success(), "{arguments:?}: {ended:?}");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(told.contains(reason), "{arguments:?}: {told}");
    }
}

/// Sets how many files the process may have open. With too few, it accepts no connection.
#[cfg(target_os = "linux")]
fn limit_files(process: u32, limits: Rlimit) {
    let process = process.try_into().ok().and_then(Pid::from_raw);
    prlimit(process, Resource::Nofile, limits).expect("a running program");
}

/// Whether no thread of the process runs, or waits for a processor.
#[cfg(target_os = "linux")]
fn sleeps(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("a running program");
    threads.into_iter().all(|thread| {
        let stat = std::fs::read_to_string(thread.expect("a thread").path().join("stat")).unwrap_or_default();
        // The state comes after the name, which is in parentheses.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_cannot_be_accepted_waits_and_takes_no_processor_time() {
    let server = Program::server(example("permissions"), None, &[]).await;
    let Program::Server { process, .. } = &server else {
        unreachable!("a server")
    };
    let process = process.id().expect("a running program");
    let usual = getrlimit(Resource::Nofile);
    let current = Some(1);
    limit_files(process, Rlimit { current, ..usual });
    let asked = Asked {
        path: "/login",
        form: None,
        headers: Vec::new(),
        cookie: None,
        address: None,
    };
    let mut answer = std::pin::pin!(timeout(PATIENCE, server.answer(asked)));
    // A program that tries again and again never sleeps.
    let waited = async {
        let mut asleep = 0;
        while asleep < 20 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            asleep += u32::from(sleeps(process));
        }
    };
    tokio::select! {
        early = &mut answer => panic!("answered without a file for it: {early:?}"),
        waited = timeout(PATIENCE, waited) => waited.expect("a program that sleeps"),
    }
    limit_files(process, usual);
    assert_eq!(answer.await.expect("an answer in time").status, 200);
}
