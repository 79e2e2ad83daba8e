//! The shape of the code that ARCHITECTURE.md promises.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        (path.strip_prefix(&source).expect("below src").to_owned(), code)
    };
    files.into_iter().map(read).collect()
}

/// Code without comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn only_the_dynamodb_store_and_main_name_aws_types() {
    for (path, text) in sources() {
        let allowed =
            path == Path::new("main.rs") || path.starts_with("session/dynamodb") || path.ends_with("dynamodb.rs");
        for name in ["aws_sdk_dynamodb", "aws_config", "aws_smithy"] {
            assert!(
                allowed || !code(&text).contains(name),
                "{} names {name}",
                path.display()
            );
        }
    }
}

#[test]
fn the_pure_modules_touch_no_clock_environment_or_network() {
    let pure = [
        "config.rs",
        "form.rs",
        "guard.rs",
        "pages.rs",
        "session/commit.rs",
        "session/cookie.rs",
        "session/dict.rs",
        "session/record.rs",
        "session/value.rs",
    ];
    let sources = sources();
    for file in pure {
        let (_, text) = sources.iter().find(|(path, _)| path == Path::new(file)).expect(file);
        for name in ["SystemTime", "Instant", "std::env", "tokio", "async ", "getrandom"] {
            assert!(!code(text).contains(name), "{file} names {name}");
        }
    }
}

#[test]
fn no_file_is_longer_than_300_lines_with_its_tests_apart() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 300, "{} has {lines} lines", path.display());
    }
}
