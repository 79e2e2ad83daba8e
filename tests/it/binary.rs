//! The compiled function as Lambda runs it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::{App, COOKIE, value_of};
use crate::support::{SECRET_KEY, binary, environment, function};
use dev::PATIENCE;
use dev::dynamodb::Embedded;
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::tls::Terminator;

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    let event: Value = event.into_value();
    lambda.invoke(event).await.expect("an answer")
}

#[tokio::test]
async fn a_visitor_logs_in_and_out_and_the_old_cookie_is_worth_nothing() {
    let dynamodb = Embedded::in_memory().await;
    let mut lambda = function(&dynamodb.endpoint(), &[]).await;

    let start = visit(&lambda, Event::get("/")).await;
    assert_eq!(start.status, 200);
    assert!(start.body.contains("You are not logged in"), "{}", start.body);
    assert!(start.cookies.is_empty(), "{start:?}");

    let form = visit(&lambda, Event::get("/login")).await;
    assert_eq!(form.status, 200);
    assert!(form.body.contains("name=\"username\""), "{}", form.body);

    let login = visit(&lambda, Event::post_form("/login", &[("username", "admin")])).await;
    assert_eq!((login.status, login.headers["location"].as_str()), (303, "/"));
    let cookie = login.cookie();
    let (id, mac) = value_of(&cookie).split_once('.').expect("an ID and a MAC");

    let inside = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(inside.body.contains("Logged in as admin"), "{}", inside.body);
    assert!(inside.cookies.is_empty(), "{inside:?}");

    let logout = visit(&lambda, Event::get("/logout").cookie(&cookie)).await;
    assert_eq!((logout.status, logout.headers["location"].as_str()), (303, "/"));
    assert_eq!(logout.cookie(), COOKIE);

    let replayed = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert_eq!(replayed.status, 200);
    assert!(replayed.body.contains("You are not logged in"), "{}", replayed.body);

    let logged = lambda.kill().await;
    for secret in [SECRET_KEY, id, mac] {
        assert!(
            !format!("{logged:?}").contains(secret),
            "a secret in the log: {logged:?}"
        );
    }
}

/// The app reads `DYNAMODB_ENDPOINT`. The template sets it to an empty value, which must not override the SDK's own
/// variables.
#[tokio::test]
async fn the_sdks_own_endpoint_variable_works_too() {
    let dynamodb = Embedded::in_memory().await;
    let own = dynamodb.endpoint();
    let lambda = function("", &[("AWS_ENDPOINT_URL_DYNAMODB", own.as_str())]).await;
    let login = Event::post_form("/login", &[("username", "admin")]);
    let cookie = visit(&lambda, login).await.cookie();
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

/// `SSL_CERT_FILE` replaces the machine's certificate authorities.
#[tokio::test]
async fn over_tls_only_a_dynamodb_with_a_trusted_certificate_is_believed() {
    let dynamodb = Embedded::in_memory().await;
    let terminator = Terminator::new().expect("a certificate");
    let authority = terminator.authority.clone();
    let front = terminator.start(&dynamodb).await.expect("an endpoint");
    let stranger = Terminator::new().expect("another certificate").authority;
    for (trusted_authority, status) in [(&authority, 303), (&stranger, 503)] {
        let mut trusted = tempfile::NamedTempFile::new().expect("a file");
        trusted
            .write_all(trusted_authority.as_bytes())
            .expect("the certificate");
        let file = trusted.path().display().to_string();
        let lambda = function(&front, &[("SSL_CERT_FILE", file.as_str())]).await;
        let login = Event::post_form("/login", &[("username", "admin")]);
        assert_eq!(visit(&lambda, login).await.status, status);
    }
}

/// A proxy that opens tunnels, and records the requests for them.
struct TunnelProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::default();
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::open(stream, Arc::clone(&kept)));
            }
        });
        Self { address, asked }
    }

    async fn open(stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await? > 0 {}
        let to = head.split(' ').nth(1).unwrap_or_default().to_owned();
        asked.lock().expect("no panic").push(head.to_ascii_lowercase());
        let mut upstream = TcpStream::connect(to).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        copy_bidirectional(&mut stream, &mut upstream).await?;
        Ok(())
    }
}

/// <https://curl.se/docs/manpage.html#ENVIRONMENT>
#[tokio::test]
async fn dynamodb_is_reached_through_the_proxy_that_the_environment_names() {
    let dynamodb = Embedded::in_memory().await;
    let [before_dynamodb, before_proxy] = [(); 2].map(|()| Terminator::new().expect("a certificate"));
    let mut trusted = tempfile::NamedTempFile::new().expect("a file");
    for authority in [&before_dynamodb.authority, &before_proxy.authority] {
        trusted.write_all(authority.as_bytes()).expect("the certificate");
    }
    let trusted = trusted.path().display().to_string();
    let endpoint = before_dynamodb.start(&dynamodb).await.expect("an endpoint");
    let to_dynamodb = format!("connect {} ", endpoint.trim_start_matches("https://"));
    let log_in = async |proxy: &str, exempt: &str| {
        let variables = [
            ("SSL_CERT_FILE", trusted.as_str()),
            ("HTTPS_PROXY", proxy),
            ("NO_PROXY", exempt),
        ];
        let lambda = function(&endpoint, &variables).await;
        visit(&lambda, Event::post_form("/login", &[("username", "admin")]))
            .await
            .status
    };

    let proxy = TunnelProxy::start().await;
    assert_eq!(log_in(&format!("http://{}", proxy.address), "localhost").await, 303);
    assert_eq!(*proxy.asked.lock().expect("no panic"), [""; 0]);

    let proxy = TunnelProxy::start().await;
    assert_eq!(
        log_in(&format!("http://user:password@{}", proxy.address), "").await,
        303
    );
    for asked in proxy.asked.lock().expect("no panic").iter() {
        assert!(asked.starts_with(&to_dynamodb), "{asked}");
        assert!(
            asked.contains("\r\nproxy-authorization: basic dxnlcjpwyxnzd29yza==\r\n"),
            "{asked}"
        );
    }
    assert!(!proxy.asked.lock().expect("no panic").is_empty());

    let proxy = TunnelProxy::start().await;
    let tls = before_proxy.start_before(proxy.address).await.expect("a free port");
    assert_eq!(log_in(&format!("https://localhost:{tls}"), "").await, 303);
    assert!(
        proxy
            .asked
            .lock()
            .expect("no panic")
            .iter()
            .any(|asked| asked.starts_with(&to_dynamodb))
    );

    assert_eq!(
        log_in(&dynamodb.endpoint(), "").await,
        503,
        "the embedded DynamoDB is not a proxy"
    );
}

#[tokio::test]
async fn a_session_outlives_the_sandbox_it_began_in() {
    let dynamodb = Embedded::in_memory().await;
    let mut first = function(&dynamodb.endpoint(), &[]).await;
    let cookie = visit(&first, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    first.kill().await;

    let second = function(&dynamodb.endpoint(), &[]).await;
    let page = visit(&second, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

#[tokio::test]
async fn in_json_the_reason_of_a_failed_start_is_a_line_that_lambda_keeps() {
    let json = ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned());
    let mut lambda = Lambda::start(binary(), environment("http://127.0.0.1:9").into_iter().chain([json])).await;
    let exit = lambda.exit().await;
    let line: Value = serde_json::from_str(exit.stderr.trim()).expect("one line of JSON");
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("SECRET_KEY")),
        "{line}"
    );
    assert!(line["level"] == "FATAL" && line["timestamp"].is_string(), "{line}");
}

/// Starts the program without a sandbox and with one more variable, and returns what it says as it ends.
async fn failed_start(name: &str, value: &str) -> String {
    let mut command = tokio::process::Command::new(binary());
    let command = command
        .env_clear()
        .envs(environment("http://127.0.0.1:9"))
        .env(name, value);
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let ended = ended.expect("an end in time").expect("a program");
    assert!(!ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stderr).expect("text")
}

#[tokio::test]
async fn where_no_lambda_is_it_says_how_to_run_it_and_waits_for_no_silent_one() {
    let told = failed_start("SECRET_KEY", SECRET_KEY).await;
    assert!(told.contains("use `cargo local`"), "{told}");
    // It takes connections and answers nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("a bound listener").to_string();
    let told = failed_start("AWS_LAMBDA_RUNTIME_API", &address).await;
    assert!(told.contains("AWS_REGION is not set"), "{told}");
}

/// A later version of the app may keep more than the name.
#[tokio::test]
async fn a_login_under_the_same_name_keeps_what_the_session_holds_and_one_under_another_keeps_nothing() {
    let app = App::start().await;
    for (is_admin, name, is_kept) in [(true, "admin", true), (true, "bob", false), (false, "eve", false)] {
        let cookie = app.login("admin").await;
        app.dynamodb.edit(|item| {
            if let Some(data) = item.pointer_mut("/data/M").and_then(Value::as_object_mut) {
                data.insert("basket".to_owned(), json!({ "S": "tea" }));
                if !is_admin {
                    data.remove("username");
                }
            }
        });
        let login = Event::post_form("/login", &[("username", name)]).cookie(&cookie);
        assert_eq!(app.send(login).await.status, 303);
        let mut baskets = Vec::new();
        app.dynamodb.edit(|item| {
            if item.pointer("/data/M/username/S") == Some(&json!(name)) {
                baskets.push(item.pointer("/data/M/basket").is_some());
            }
        });
        assert_eq!(baskets, [is_kept], "{name}");
    }
}

/// The rotation of docs/rotation.md, as changes of the function's environment: at each step, instances from before it
/// and from after it serve the same visitors.
#[tokio::test]
async fn a_rotated_key_logs_nobody_out_and_the_old_one_is_dropped_when_its_sessions_are_over() {
    let dynamodb = Embedded::in_memory().await;
    let endpoint = dynamodb.endpoint();
    let new_key = "another key for tests that is longer than thirty-two bytes";
    let mut running = Vec::new();
    for (key, fallback) in [(SECRET_KEY, ""), (SECRET_KEY, new_key), (new_key, SECRET_KEY)] {
        running.push(function(&endpoint, &[("SECRET_KEY", key), ("SECRET_KEY_FALLBACKS", fallback)]).await);
    }
    let login = || Event::post_form("/login", &[("username", "admin")]);
    for step in running.windows(2) {
        for (first, second) in [(&step[0], &step[1]), (&step[1], &step[0])] {
            let cookie = visit(first, login()).await.cookie();
            let page = visit(second, Event::get("/").cookie(&cookie)).await;
            assert!(page.body.contains("Logged in as admin"), "{}", page.body);
            let logout = visit(second, Event::get("/logout").cookie(&cookie)).await;
            assert_eq!(logout.cookie(), COOKIE);
            let page = visit(first, Event::get("/").cookie(&cookie)).await;
            assert!(page.body.contains("You are not logged in"), "{}", page.body);
        }
    }
    let old = visit(&running[1], login()).await.cookie();
    let new = visit(&running[2], login()).await.cookie();
    let dropped = function(&endpoint, &[("SECRET_KEY", new_key)]).await;
    let page = visit(&dropped, Event::get("/").cookie(&new)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
    let page = visit(&dropped, Event::get("/").cookie(&old)).await;
    assert!(page.body.contains("You are not logged in"), "{}", page.body);
}

#[tokio::test]
async fn without_a_secret_key_it_says_so_and_serves_nothing() {
    for secret in [
        None,
        Some(""),
        Some("too short"),
        Some("{{resolve:secretsmanager:arn}}"),
    ] {
        let secret = secret.map(|value| ("SECRET_KEY".to_owned(), value.to_owned()));
        let mut lambda = Lambda::start(
            binary(),
            environment("http://127.0.0.1:9").into_iter().chain(secret.clone()),
        )
        .await;
        let exit = lambda.exit().await;
        assert!(!exit.status.success(), "{secret:?}: {exit:?}");
        assert!(
            format!("{}{}", exit.stdout, exit.stderr).contains("SECRET_KEY"),
            "{secret:?}: {exit:?}"
        );
        assert!(
            !exit.stderr.starts_with('{'),
            "text, unless JSON is asked for: {exit:?}"
        );
        let told = lambda.init_error().expect("a report to Lambda");
        let told = told["errorMessage"].as_str().expect("a message");
        assert!(told.contains("SECRET_KEY"), "{secret:?}: {told}");
        assert_eq!(lambda.polls(), 0, "{secret:?}");
    }
}

/// A wrong value is refused at the start by its variable's name, and shown nowhere.
#[tokio::test]
async fn what_cannot_be_right_is_refused_at_the_start() {
    let key = |around: &str| around.replace("KEY", "zqxmark-a-key-of-more-than-thirty-two-bytes");
    for (variable, value) in [
        ("SECRET_KEY", key("KEY\n")),
        ("SECRET_KEY", key("\"KEY\"")),
        ("SECRET_KEY", key("{\"key\":\"KEY\"}")),
        (
            "SECRET_KEY",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:zqxmark-AbCdEf".to_owned(),
        ),
        ("SECRET_KEY_FALLBACKS", key("KEY, KEY")),
        ("TABLE_NAME", "zqxmark table".to_owned()),
        ("DYNAMODB_ENDPOINT", "zqxmark:8000".to_owned()),
        ("AWS_ENDPOINT_URL", "zqxmark:8000".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://zqxmark:8000\n".to_owned()),
        ("AWS_REGION", "zqxmark\n".to_owned()),
        ("AWS_ACCESS_KEY_ID", "zqxmark\n".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "zqxmark\n".to_owned()),
        ("AWS_SESSION_TOKEN", "zqxmark\n".to_owned()),
        ("SESSION_IDLE_TIMEOUT", "86400".to_owned()),
        ("SESSION_LIFETIME", "zqxmark".to_owned()),
        ("SESSION_SEALED", "zqxmark".to_owned()),
        ("SESSION_COOKIE_SECURE", "zqxmark".to_owned()),
    ] {
        let others = [("TABLE_NAME", "Sessions"), ("SECRET_KEY", SECRET_KEY)];
        let others = others.iter().filter(|(name, _)| *name != variable);
        let others = others.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let given = [(variable.to_owned(), value.clone())];
        let mut lambda = Lambda::start(binary(), others.chain(given)).await;
        let exit = lambda.exit().await;
        assert!(!exit.status.success(), "{variable}={value:?}: {exit:?}");
        let told = lambda.init_error().expect("a report to Lambda").to_string();
        for shown in [format!("{}{}", exit.stdout, exit.stderr), told] {
            assert!(shown.contains(variable), "{variable}={value:?}: {shown}");
            assert!(
                !shown.contains("zqxmark") && !shown.contains("panicked"),
                "{variable}={value:?}: {shown}"
            );
        }
        assert_eq!(lambda.polls(), 0, "{variable}={value:?}");
    }
}

#[tokio::test]
async fn a_frozen_sandbox_carries_on_when_it_is_thawed() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = function(&dynamodb.endpoint(), &[]).await;
    let cookie = visit(&lambda, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    lambda.freeze();
    lambda.thaw();
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

/// If the HTTP client's tasks were polled in the wrong order, the next request would look for a pooled connection
/// before the last one was returned to the pool.
#[tokio::test]
async fn one_connection_to_lambda_serves_all_events() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = function(&dynamodb.endpoint(), &[]).await;
    for _ in 0..20 {
        assert_eq!(visit(&lambda, Event::get("/")).await.status, 200);
    }
    assert_eq!(lambda.connections(), 1);
}

/// The proxy holds each view's read until all sixteen views have sent theirs, which they do only if they run at once.
#[tokio::test]
async fn where_lambda_asks_for_it_sixteen_requests_are_served_at_once() {
    const AT_ONCE: usize = 16;
    let app = App::with(&[("AWS_LAMBDA_MAX_CONCURRENCY", "16")]).await;
    let cookie = app.login("admin").await;
    let gates: Vec<_> = (0..AT_ONCE).map(|_| app.proxy.hold("GetItem")).collect();
    let views = (0..AT_ONCE).map(|_| app.is_admin(&cookie));
    let all_arrived = async {
        for gate in &gates {
            gate.arrived().await;
        }
        // The reads of all views have arrived, so all views are under way.
        for gate in &gates {
            gate.release();
        }
    };
    let (inside, ()) = tokio::join!(futures(views), all_arrived);
    assert_eq!(inside, [true; AT_ONCE]);
}

/// As Lambda Managed Instances run it: one process, which always asks for as many invocations as it may serve.
#[tokio::test]
async fn under_load_one_process_serves_sixteen_at_once_and_mixes_no_visitors_up() {
    const VISITORS: usize = 48;
    let app = App::with(&[("AWS_LAMBDA_MAX_CONCURRENCY", "16")]).await;
    let visits = (0..VISITORS).map(|number| {
        let app = &app;
        async move {
            let name = format!("visitor{number}");
            let cookie = app.login(&name).await;
            let shows = async |text: &str| {
                let page = app.send(Event::get("/").cookie(&cookie)).await;
                assert!(page.status == 200 && page.body.contains(text), "{name}: {page:?}");
            };
            for _ in 0..4 {
                shows(&format!("Logged in as {name}<")).await;
            }
            let logout = app.send(Event::get("/logout").cookie(&cookie)).await;
            assert_eq!((logout.status, logout.cookie().as_str()), (303, COOKIE), "{name}");
            shows("You are not logged in").await;
        }
    });
    futures(visits).await;
    // The first answer was that of the warm-up.
    let served = 1 + VISITORS * 7;
    app.lambda.api().polled(served + 16).await;
    assert_eq!(app.lambda.polls(), served + 16, "sixteen ask for the next invocation");
}

/// Runs these futures at once, and returns their outputs.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut all {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}
