use serde_json::json;

use super::*;

fn read_json(event: &Value) -> Read {
    read(&event.to_string(), false)
}

fn request(event: &Value) -> Request<Body> {
    read_json(event)
        .request
        .unwrap_or_else(|| panic!("no request: {event}"))
}

fn http_api(path: &str, query: &str) -> Value {
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": query, "headers": { "host": "api.example" },
        "requestContext": { "stage": "$default", "http": { "method": "GET", "path": path } },
    })
}

fn rest_api(path: &str, context: Value) -> Value {
    let mut event = json!({
        "httpMethod": "GET", "path": path, "requestContext": context,
        "headers": { "Host": "api.example", "X-Twice": "2" },
        "multiValueHeaders": { "Host": ["api.example"], "X-Twice": ["1", "2"] },
    });
    event["requestContext"]["httpMethod"] = json!("GET");
    event
}

#[test]
fn each_kind_of_event_is_read_as_what_it_is() {
    let elb = json!({ "elb": { "targetGroupArn": "arn" } });
    let lattice = json!({
        "version": "2.0", "path": "/", "method": "GET",
        "requestContext": {
            "serviceNetworkArn": "a", "serviceArn": "a", "targetGroupArn": "a",
            "region": "eu-central-1", "timeEpoch": "1",
        },
    });
    // Has the fields that mark the other kinds, some of them where strangers can put them.
    let named = json!({
        "version": "2.0", "httpMethod": "GET", "requestContext": { "httpMethod": "GET" },
        "queryStringParameters": { "requestContext": "http" }, "body": lattice.to_string(),
    });
    for (event, door) in [
        (
            json!({ "requestContext": { "http": { "method": "GET" } } }),
            Some(Door::V2),
        ),
        (rest_api("/", json!({})), Some(Door::V1)),
        (
            json!({ "httpMethod": "GET", "path": "/", "headers": {}, "requestContext": elb }),
            Some(Door::SingleValueLoadBalancer),
        ),
        (
            json!({ "httpMethod": "GET", "path": "/", "multiValueHeaders": { "a": ["b"] }, "requestContext": elb }),
            Some(Door::LoadBalancer),
        ),
        (lattice, Some(Door::Lattice)),
        (named, Some(Door::V1)),
        (json!({}), None),
    ] {
        let read = read_json(&event);
        assert_eq!(read.request.is_some().then_some(read.door), door, "{event}");
    }
}

#[test]
fn what_an_http_api_decoded_in_a_path_is_what_the_browser_sent() {
    for (path, sent) in [
        ("/a#b", "/a%23b"),
        ("/a?b", "/a%3Fb"),
        ("/a\\b", "/a%5Cb"),
        ("/a\tb", "/a%09b"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/two words", "/two%20words"),
        ("/straße", "/stra%C3%9Fe"),
        ("/100%", "/100%25"),
        ("/100%/50%zz", "/100%25/50%25zz"),
        ("/%41/100%", "/%41/100%25"),
        ("/\u{0}", "/%00"),
        // As every other service sends it.
        ("/stra%C3%9Fe%2Fa", "/stra%C3%9Fe%2Fa"),
        ("/it's;(all)*legal,$!~|^[]@:", "/it's;(all)*legal,$!~|^[]@:"),
        ("//evil.example", "//evil.example"),
    ] {
        let request = request(&http_api(path, "a=b"));
        let uri = format!("https://api.example{sent}?a=b");
        assert_eq!(
            (request.uri().to_string(), request.raw_http_path()),
            (uri, sent),
            "{path}"
        );
    }
}

#[test]
fn a_path_has_the_stage_if_the_browser_sent_it_and_the_program_did_not_ask_otherwise() {
    for (path, context, sent) in [
        ("/a", json!({ "stage": "prod", "path": "/prod/a" }), "/prod/a"),
        // Custom domains.
        ("/a", json!({ "stage": "prod", "path": "/a" }), "/a"),
        ("/shop/a", json!({ "stage": "prod", "path": "/shop/a" }), "/shop/a"),
        // As `lambda_http` does it, where the event does not tell the browser's path.
        ("/a", json!({ "stage": "prod" }), "/prod/a"),
        ("/prod/a", json!({ "stage": "prod" }), "/prod/a"),
        ("/a", json!({ "stage": "prod", "path": "/" }), "/prod/a"),
        ("/a", json!({ "stage": "$default" }), "/a"),
        ("/a", json!({}), "/a"),
    ] {
        let event = rest_api(path, context);
        assert_eq!(request(&event).uri().path(), sent, "{event}");
        let ignoring = read(&event.to_string(), true).request.unwrap();
        assert_eq!(
            (ignoring.uri().path(), ignoring.raw_http_path()),
            (path, path),
            "{event}"
        );
    }
}

#[test]
fn every_value_of_a_repeated_header_is_kept() {
    let request = request(&rest_api("/", json!({})));
    let values = |name| request.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values("x-twice"), ["1", "2"]);
    assert_eq!(values("host"), ["api.example"]);
}

#[test]
fn a_query_means_the_same_through_each_door() {
    let elb = json!({ "elb": { "targetGroupArn": "arn" } });
    let decoded = json!({ "q": "a&b=c d" });
    let mut rest = rest_api("/", json!({}));
    rest["queryStringParameters"] = decoded.clone();
    let encoded = json!({ "q": "a%26b%3Dc%20d" });
    let events = [
        http_api("/", "q=a%26b%3Dc%20d"),
        rest,
        json!({ "httpMethod": "GET", "path": "/", "queryStringParameters": encoded, "requestContext": elb }),
        json!({
            "httpMethod": "GET", "path": "/", "requestContext": elb,
            "multiValueQueryStringParameters": { "q": ["a%26b%3Dc%20d"] },
        }),
    ];
    for event in events {
        let request = request(&event);
        let told = request
            .query_string_parameters_ref()
            .and_then(|parameters| parameters.first("q"));
        assert_eq!(told, Some("a&b=c d"), "{event}");
        let query = QueryMap::from_str(request.uri().query().unwrap()).unwrap();
        assert_eq!(query.first("q"), Some("a&b=c d"), "{event}");
    }
}

#[test]
fn a_parameter_without_values_is_no_parameter() {
    let elb = json!({ "elb": { "targetGroupArn": "arn" } });
    let lattice = json!({
        "serviceNetworkArn": "a", "serviceArn": "a", "targetGroupArn": "a", "region": "eu-central-1", "timeEpoch": "1",
    });
    let (none, one) = (json!({ "a": [] }), json!({ "a": [], "q": ["1"] }));
    let rest = |parameters: &Value| {
        let mut event = rest_api("/", json!({}));
        event["multiValueQueryStringParameters"] = parameters.clone();
        event
    };
    let load_balancer = |parameters: &Value| {
        json!({
            "httpMethod": "GET", "path": "/", "multiValueQueryStringParameters": parameters, "requestContext": elb,
        })
    };
    let lattice = |parameters: &Value| {
        json!({
            "version": "2.0", "path": "/", "method": "GET", "queryStringParameters": parameters,
            "requestContext": lattice,
        })
    };
    for (without, with) in [
        (rest(&none), rest(&one)),
        (load_balancer(&none), load_balancer(&one)),
        (lattice(&none), lattice(&one)),
    ] {
        assert_eq!(request(&without).uri().query(), None, "{without}");
        assert_eq!(request(&with).uri().query(), Some("q=1"), "{with}");
    }
}

#[test]
fn an_event_whose_host_is_not_valid_has_no_request() {
    for path in ["/login", "//login", "/"] {
        for host in [
            "",
            "evil.example/x",
            "x@evil.example",
            "api.example?x",
            "api.example#x",
            "a b",
        ] {
            let mut event = http_api(path, "");
            event["headers"]["host"] = json!(host);
            assert!(read_json(&event).request.is_none(), "{host} {path}");
        }
    }
}

#[test]
fn a_uri_has_the_scheme_that_was_forwarded_and_a_path_and_a_query_of_its_own() {
    for (scheme, path, query, uri) in [
        (Value::Null, "/", "", Some("https://api.example/")),
        (json!("https"), "/", "", Some("https://api.example/")),
        (json!("http"), "/", "", Some("http://api.example/")),
        (json!("http"), "*", "", Some("http://api.example/*")),
        (
            json!("http"),
            ".evil.example",
            "",
            Some("http://api.example/.evil.example"),
        ),
        (json!("http"), "/", "a=b", Some("http://api.example/?a=b")),
        (json!("http"), "/", "a=b#c", None),
    ] {
        let mut event = http_api(path, query);
        if scheme.is_string() {
            event["headers"]["x-forwarded-proto"] = scheme;
        }
        let request = read_json(&event).request;
        assert_eq!(
            request.map(|request| request.uri().to_string()).as_deref(),
            uri,
            "{event}"
        );
    }
}

#[test]
fn an_event_with_more_headers_than_a_map_holds_has_no_request() {
    let event = |count: usize, name: &str, values: Value| {
        let mut headers: Map<_, _> = (1..count).map(|n| (format!("h{n:020}"), json!("v"))).collect();
        headers.insert("many".to_owned(), values);
        let mut event = rest_api("/", json!({}));
        event[name] = headers.into();
        event.to_string()
    };
    for name in ["headers", "multiValueHeaders"] {
        let one = if name == "headers" { json!("v") } else { json!(["v"]) };
        for (count, is_crowd) in [(2, false), (MOST_HEADERS, false), (MOST_HEADERS + 1, true)] {
            assert_eq!(
                has_a_crowd(&event(count, name, one.clone())),
                is_crowd,
                "{count} {name}"
            );
        }
        let crowd = event(40_000, name, one);
        assert!(crowd.len() > SHORT && read(&crowd, false).request.is_none(), "{name}");
        let other = if name == "headers" {
            "multiValueHeaders"
        } else {
            "headers"
        };
        let mut event: Value = serde_json::from_str(&crowd).unwrap();
        event[other] = json!("of another type");
        assert!(has_a_crowd(&event.to_string()), "{name} beside a field of another type");
        for other in [
            r#""x":1e999"#,
            r#""x":"\ud800""#,
            r#""x":{"$serde_json::private::RawValue":"x"}"#,
            r#""headers":{}"#,
            r#""multiValueHeaders":{}"#,
        ] {
            let event = crowd.replacen('{', &format!("{{{other},"), 1);
            assert!(
                has_a_crowd(&event) && read(&event, false).request.is_none(),
                "{other}, {name}"
            );
        }
    }
    let mut long = rest_api("/", json!({}));
    long["body"] = "x".repeat(SHORT).into();
    assert!(read_json(&long).request.is_some(), "it is long because of its body");
    let values = |count| event(1, "multiValueHeaders", json!(vec!["v"; count]));
    assert!(!has_a_crowd(&values(MOST_HEADERS)) && has_a_crowd(&values(MOST_HEADERS + 1)));
}

#[test]
fn a_path_that_leads_to_another_site_is_no_base() {
    for (sent, base) in [
        ("/shop/login", "/shop"),
        ("/login", ""),
        ("//login", ""),
        ("//evil.example/login", ""),
        ("/%2Fevil.example/login", ""),
        ("/%5Cevil.example/login", ""),
        ("/%09/evil.example/login", ""),
    ] {
        let mut event = http_api(sent, "");
        event["routeKey"] = json!("GET /login");
        event["requestContext"]["routeKey"] = event["routeKey"].clone();
        let request = request(&event);
        let (_, found) = path::in_event(request.extensions()).expect("an event");
        assert_eq!(found, base, "{sent}");
    }
}

/// All texts of at most this many characters of the alphabet.
fn texts(alphabet: &str, longest: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut begin = 0;
    for _ in 0..longest {
        let end = texts.len();
        for n in begin..end {
            texts.extend(
                alphabet
                    .chars()
                    .map(|next| format!("{}{next}", texts[n]))
                    .collect::<Vec<_>>(),
            );
        }
        begin = end;
    }
    texts
}

#[test]
fn a_url_parser_leaves_a_canonical_host_and_path_as_they_are() {
    let is_kept = |host: &str, path: &str| {
        let url = format!("https://{host}{path}");
        Url::parse(&url).is_ok_and(|parsed| parsed.as_str() == url)
    };
    let mut canonical = 0;
    for host in texts("a0-.xnZ:_", 5) {
        if is_canonical(&host, "/") {
            assert!(is_kept(&host, "/"), "{host}");
            canonical += 1;
        }
    }
    for path in texts("a/.%2eE\\;~_?#é", 4) {
        let path = format!("/{path}");
        if is_canonical("a.b", &path) {
            assert!(is_kept("a.b", &path), "{path}");
            canonical += 1;
        }
    }
    assert!(canonical > 1_000, "{canonical}");
    let of_lambda = "abcdefghijklmnop0123456789.lambda-url.eu-central-1.on.aws";
    assert!(is_canonical(of_lambda, "/login"), "the case that has to be fast");
}
