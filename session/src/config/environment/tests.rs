//! Variables that the layer accepts, and the messages for those that it refuses.

use super::*;
use crate::MemoryStore;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn layer_in(variables: &[(&str, &str)]) -> Result<SessionLayer, EnvironmentError> {
    let required = [("SECRET_KEY", KEY)];
    let builder = layer(MemoryStore::default(), &|name| {
        let mut all = variables.iter().chain(&required);
        all.find(|(key, _)| *key == name).map(|(_, value)| value.into())
    });
    Ok(builder?.build().expect("a good configuration"))
}

/// The idle timeout, the lifetime and the cookie's name.
fn settings(variables: &[(&str, &str)]) -> (u64, u64, String) {
    let layer = layer_in(variables).unwrap();
    let timeouts = &layer.settings.timeouts;
    (timeouts.idle, timeouts.lifetime, layer.cookie_name().to_owned())
}

#[track_caller]
fn refusal(variables: &[(&str, &str)]) -> String {
    layer_in(variables).expect_err("a refusal").to_string()
}

#[track_caller]
fn assert_refused(variable: &str, value: &str, message: &str) {
    let error = refusal(&[(variable, value)]);
    assert_eq!(error, format!("{variable} {message}"), "for {value:?}");
}

/// The default that the table of `SessionLayer::from_env` tells for this variable. A test of the repository compares
/// that table with the template and the pages.
#[track_caller]
fn documented(variable: &str) -> u64 {
    let mut rows = include_str!("../environment.rs").lines();
    let row = rows.find(|line| line.contains(&format!("| `{variable}` |")));
    let default = row.and_then(|row| row.trim_end_matches(" |").rsplit("| ").next());
    default.and_then(|default| default.parse().ok()).expect(variable)
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let timeouts = ["SESSION_IDLE_TIMEOUT", "SESSION_LIFETIME"].map(documented);
    let expected = (timeouts[0], timeouts[1], "__Host-session".to_owned());
    assert_eq!(
        settings(&[]),
        expected,
        "the table in config/environment.rs tells another default"
    );
}

#[test]
fn an_empty_optional_variable_counts_as_unset() {
    let empty = [
        "SECRET_KEY_FALLBACKS",
        "SESSION_IDLE_TIMEOUT",
        "SESSION_LIFETIME",
        "SESSION_COOKIE_SECURE",
        "SESSION_SEALED",
    ]
    .map(|name| (name, ""));
    assert_eq!(settings(&empty), settings(&[]));
}

#[test]
fn every_variable_is_taken() {
    let given = [
        ("SESSION_IDLE_TIMEOUT", "60"),
        ("SESSION_LIFETIME", "3600"),
        ("SESSION_COOKIE_SECURE", "false"),
    ];
    assert_eq!(settings(&given), (60, 3_600, "session".to_owned()));
    let shortest = ["SESSION_IDLE_TIMEOUT", "SESSION_LIFETIME"].map(|name| (name, "1"));
    assert_eq!(settings(&shortest), (1, 1, "__Host-session".to_owned()));
    #[cfg(feature = "bound")]
    for (value, bound) in [("true", true), ("false", false), ("", false)] {
        let layer = layer_in(&[("SESSION_BOUND", value)]).unwrap();
        assert_eq!(layer.bound.is_some(), bound, "{value:?}");
    }
    #[cfg(feature = "sealed")]
    for (value, sealed) in [("true", true), ("false", false), ("", false)] {
        let layer = layer_in(&[("SESSION_SEALED", value)]).unwrap();
        assert_eq!(layer.settings.sealed, sealed, "{value:?}");
    }
}

#[test]
fn what_the_secret_key_and_each_fallback_signed_is_read() {
    let other = format!("{KEY}x");
    let fallbacks = ["an older key that has at least 32 bytes", &other].join(",");
    let rotated = layer_in(&[("SECRET_KEY_FALLBACKS", &fallbacks)]).unwrap();
    let id = crate::core::id::SessionId::new([1; crate::core::id::ID_BYTES]);
    for (key, known) in [
        (KEY, true),
        ("an older key that has at least 32 bytes", true),
        (other.as_str(), true),
        ("a key of nobody that has at least 32 bytes", false),
    ] {
        let issued = layer_in(&[("SECRET_KEY", key)])
            .unwrap()
            .settings
            .cookie
            .issue(&id, None);
        let pair = issued.to_str().unwrap().split(';').next().unwrap();
        let request = [(http::header::COOKIE, pair.parse().unwrap())].into_iter().collect();
        assert_eq!(!rotated.settings.cookie.read(&request).is_empty(), known, "{key}");
    }
}

#[test]
fn a_key_with_some_characters_of_json_is_accepted() {
    let (start, rest) = KEY.split_at(4);
    for key in [
        format!("{{{KEY}"),
        format!("{KEY}}}"),
        format!("{{{KEY}}}"),
        format!("{{\"{KEY}"),
        format!("{start}\"{rest}}}"),
        format!("{start}\"{rest}"),
    ] {
        assert!(layer_in(&[("SECRET_KEY", &key)]).is_ok(), "{key}");
    }
}

#[test]
fn a_bad_secret_key_is_refused_without_showing_it() {
    let not_set = "is not set; set it to at least 32 random bytes, such as `openssl rand -hex 32` prints";
    assert_refused("SECRET_KEY", "", not_set);
    assert_refused(
        "SECRET_KEY",
        &KEY[1..],
        "has 31 bytes; a key needs at least 32, such as `openssl rand -hex 32` prints",
    );
    assert_refused(
        "SECRET_KEY",
        &format!("{KEY},{KEY}"),
        "has a comma in it, so it could not be moved to SECRET_KEY_FALLBACKS later; choose one without, such as \
         `openssl rand -hex 32` prints",
    );
    for (value, problem, remedy) in [
        (
            "{{resolve:secretsmanager:arn:aws:secret}}".to_owned(),
            "is a reference that nobody resolved ({{resolve:…)",
            "under `sam local`, pass its value with --env-vars",
        ),
        (
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sessions-AbCdEf".to_owned(),
            "is the ARN of a secret rather than its value",
            "pass its value, in a template as {{resolve:secretsmanager:ARN:SecretString}}",
        ),
        (
            format!("{{\"key\":\"{KEY}\"}}\n"),
            "is a JSON object",
            "pass the one value in it, in a template as {{resolve:secretsmanager:ARN:SecretString:KEY}}",
        ),
        (format!("{KEY}\n"), "has a line break", "remove it"),
        (format!("{KEY}\r{KEY}"), "has a line break", "remove it"),
        (format!(" {KEY}"), "begins or ends with a blank", "remove it"),
        (format!("{KEY}\t"), "begins or ends with a blank", "remove it"),
        (format!("{KEY}\u{a0}"), "begins or ends with a blank", "remove it"),
        (
            format!("\"{KEY}\""),
            "begins or ends with a quotation mark",
            "remove it",
        ),
        (format!("{KEY}'"), "begins or ends with a quotation mark", "remove it"),
        (format!("“{KEY}"), "begins or ends with a quotation mark", "remove it"),
        (
            KEY[1..].to_owned(),
            "has 31 bytes",
            "a key needs at least 32, such as `openssl rand -hex 32` prints",
        ),
        (" ".to_owned(), "begins or ends with a blank", "remove it"),
    ] {
        assert_refused("SECRET_KEY", &value, &format!("{problem}; {remedy}"));
        assert_refused(
            "SECRET_KEY_FALLBACKS",
            &value,
            &format!("{problem} in element 1; {remedy}"),
        );
        let second = format!("{KEY},{value}");
        assert_refused(
            "SECRET_KEY_FALLBACKS",
            &second,
            &format!("{problem} in element 2; {remedy}"),
        );
    }
    for fallbacks in [format!("{KEY},"), format!("{KEY},short"), format!(",{KEY}")] {
        let error = refusal(&[("SECRET_KEY_FALLBACKS", &fallbacks)]);
        assert!(error.starts_with("SECRET_KEY_FALLBACKS has "), "{error}");
        assert!(!error.contains("short") && !error.contains(KEY), "{error}");
    }
}

#[test]
fn a_main_that_returns_the_error_prints_its_sentence() {
    let missing = layer_in(&[("SECRET_KEY", "")]).expect_err("a refusal");
    assert_eq!(format!("{missing:?}"), missing.to_string());
    let refused = SessionLayer::builder(MemoryStore::default(), Keys::new(&[0; MIN_KEY_BYTES]).expect("a key"))
        .max_sessions_per_owner(0)
        .build()
        .expect_err("a refusal");
    assert_eq!(format!("{refused:?}"), refused.to_string());
}

#[test]
fn an_idle_timeout_over_the_lifetime_is_refused_by_the_names_of_both_variables() {
    for (idle, lifetime) in [("86400", ""), ("", "1799"), ("3601", "3600")] {
        let variables = [
            ("SECRET_KEY", KEY),
            ("SESSION_IDLE_TIMEOUT", idle),
            ("SESSION_LIFETIME", lifetime),
        ];
        let given = layer(MemoryStore::default(), &|name| {
            let mut all = variables.iter();
            all.find(|(key, _)| *key == name).map(|(_, value)| value.into())
        });
        let refused = given
            .expect("each is a number of seconds")
            .build()
            .expect_err("together they are not")
            .to_string();
        assert!(
            refused.contains("SESSION_IDLE_TIMEOUT") && refused.contains("SESSION_LIFETIME"),
            "{refused}"
        );
    }
    assert_eq!(
        settings(&[("SESSION_IDLE_TIMEOUT", "600"), ("SESSION_LIFETIME", "600")]).0,
        600
    );
}

#[test]
fn a_bad_value_is_refused_with_what_is_allowed() {
    for value in ["0", "-1", "1.5", "31536001", "ten", " 60", "99999999999999999999"] {
        for variable in ["SESSION_LIFETIME", "SESSION_IDLE_TIMEOUT"] {
            assert_refused(variable, value, "is not a whole number of seconds from 1 to 31536000");
        }
    }
    for value in ["yes", "TRUE", "1"] {
        for variable in ["SESSION_COOKIE_SECURE", "SESSION_SEALED", "SESSION_BOUND"] {
            assert_refused(variable, value, "is neither `true` nor `false`");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let error = layer(MemoryStore::default(), &|_| Some(OsString::from_vec(vec![0xff]))).err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("SECRET_KEY is not valid UTF-8")
    );
}
