//! The shape of the code that ARCHITECTURE.md promises.

use std::collections::{BTreeMap, BTreeSet};
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
fn only_the_dynamodb_store_names_aws_types() {
    for (path, text) in sources() {
        let allowed = path.starts_with("session/dynamodb") || path == Path::new("session/dynamodb.rs");
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
        "headers.rs",
        "pages.rs",
        "session/commit.rs",
        "session/cookie.rs",
        "session/dict.rs",
        "session/edits.rs",
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

/// The module that a path leads to, seen from `module`: the longest part of it that is one.
fn target(module: &[String], path: &str, modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let mut segments = path.split("::").map(str::trim).peekable();
    let mut from = match *segments.peek()? {
        "crate" => Vec::new(),
        "super" | "self" => module.to_vec(),
        // A child of this module, or something from outside.
        child => {
            let child = [module, &[child.to_owned()]].concat();
            return modules.contains(&child).then_some(child);
        }
    };
    while let Some(segment) = segments.next_if(|segment| ["crate", "super", "self"].contains(segment)) {
        if segment == "super" {
            from.pop();
        }
    }
    from.extend(segments.map(str::to_owned));
    while !modules.contains(&from) {
        from.pop()?;
    }
    Some(from)
}

/// The paths in a piece of code, with `a::{b, c::d}` taken apart.
fn paths(code: &str) -> Vec<String> {
    fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) {
        let (mut depth, mut start) = (0, 0);
        let mut parts = Vec::new();
        for (at, character) in text.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(&text[start..]);
        for part in parts.into_iter().map(str::trim) {
            if let Some((before, inside)) = part.split_once('{') {
                expand(&format!("{prefix}{before}"), inside.trim_end_matches('}'), paths);
            } else {
                let name = part.split(" as ").next().unwrap_or_default();
                paths.push(format!("{prefix}{name}"));
            }
        }
    }
    let mut paths = Vec::new();
    for statement in code.split(';').map(str::trim) {
        if let Some((_, import)) = statement.rsplit_once("use ") {
            expand("", import, &mut paths);
        }
        let word = |character: char| !(character.is_alphanumeric() || "_:".contains(character));
        paths.extend(
            statement
                .split(word)
                .filter(|path| path.contains("::"))
                .map(str::to_owned),
        );
    }
    paths
}

#[test]
fn no_module_depends_on_itself_by_way_of_others() {
    assert_eq!(
        circles(&fixture("use self::b::{c, d as e};", "use super::super::x;")).len(),
        0
    );
    assert_eq!(
        circles(&fixture("pub use b::C;", "use super::{super::x, D as E};")).len(),
        2
    );
    assert_eq!(
        circles(&fixture("fn f() { b::c() }", "fn c() { crate::a::D::e() }")).len(),
        2
    );
    let modules: BTreeMap<Vec<String>, String> = sources()
        .into_iter()
        .filter(|(path, _)| !["main.rs", "lib.rs"].iter().any(|root| path == Path::new(root)))
        .map(|(path, text)| {
            let names = path.with_extension("");
            (
                names.iter().map(|name| name.to_string_lossy().into_owned()).collect(),
                code(&text),
            )
        })
        .collect();
    assert!(
        edges(&modules).values().map(BTreeSet::len).sum::<usize>() > 80,
        "the check sees imports"
    );
    assert_eq!(circles(&modules), BTreeMap::new());
}

type Graph = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// Modules `a` and `a::b`, with this code.
fn fixture(a: &str, b: &str) -> BTreeMap<Vec<String>, String> {
    let path = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    BTreeMap::from([(path(&["a"]), a.to_owned()), (path(&["a", "b"]), b.to_owned())])
}

/// Which module uses which.
fn edges(modules: &BTreeMap<Vec<String>, String>) -> Graph {
    let names = modules.keys().cloned().collect();
    let mut uses = Graph::new();
    for (module, code) in modules {
        let targets = paths(code).into_iter().filter_map(|path| target(module, &path, &names));
        uses.insert(module.clone(), targets.filter(|target| target != module).collect());
    }
    uses
}

/// The modules that use themselves by way of others, with those on the way.
fn circles(modules: &BTreeMap<Vec<String>, String>) -> Graph {
    let mut uses = edges(modules);
    // Take away, again and again, the modules that use none of those left.
    while let Some(free) = uses
        .iter()
        .find(|(_, targets)| targets.is_empty())
        .map(|(module, _)| module.clone())
    {
        uses.remove(&free);
        for targets in uses.values_mut() {
            targets.remove(&free);
        }
    }
    uses
}

#[test]
fn every_public_function_has_an_example() {
    let mut functions = 0;
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            if !["pub fn ", "pub async fn ", "pub const fn "]
                .iter()
                .any(|start| line.starts_with(start))
            {
                continue;
            }
            functions += 1;
            let above = lines[..number].iter().rev();
            let mut docs = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
            assert!(docs.any(|line| line.contains("```")), "{}: {line}", path.display());
        }
    }
    assert!(functions > 50, "the check sees {functions} functions");
}

#[test]
fn no_file_is_longer_than_300_lines_with_its_tests_apart() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 300, "{} has {lines} lines", path.display());
    }
}
