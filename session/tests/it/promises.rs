//! What the sources promise: the front page, whose promises name the tests that prove them in comments that rustdoc
//! does not show, and ARCHITECTURE.md.

use std::fs;
use std::path::Path;

/// Returns all Rust files below `folder`, one after the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("a source file");
        }
    }
    text
}

#[test]
fn every_promise_on_the_front_page_names_its_tests() {
    let front_page: String = include_str!("../../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"])
        .collect();
    let (_, after) = front_page.split_once("\n# What holds\n").expect("the section");
    let (list, _) = after.split_once("\n# ").expect("the section after it");
    let promises: Vec<_> = list.split("\n- ").skip(1).collect();
    assert!(promises.len() >= 10, "{promises:?}");

    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&package.join("src")) + &sources(&package.join("tests"));
    for promise in promises {
        let comment = promise.split_once("<!--").and_then(|(_, rest)| rest.split_once("-->"));
        let (tests, _) = comment.unwrap_or_else(|| panic!("it names no test: {promise}"));
        assert!(!tests.trim().is_empty(), "it names no test: {promise}");
        for test in tests.split_whitespace() {
            assert!(is_test(&sources, test), "there is no test {test}: {promise}");
        }
    }
}

#[test]
fn what_decides_does_not_read_the_environment() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for room in ["core", "protocol", "session"] {
        assert!(!sources(&package.join("src").join(room)).contains("env::var"), "{room}");
    }
    assert!(sources(&package.join("src/config")).contains("env::var"));
}

/// Whether `sources` has a test of this name.
fn is_test(sources: &str, name: &str) -> bool {
    let attributed = ["#[test]", "#[tokio::test"].map(|attribute| sources.split(attribute).skip(1));
    attributed.into_iter().flatten().any(|after| {
        let signature = after.lines().find(|line| line.contains("fn "));
        signature.is_some_and(|line| line.contains(&format!("fn {name}(")))
    })
}
