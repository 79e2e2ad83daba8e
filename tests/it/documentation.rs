//! The code, names and links in README, the guide and the other pages are correct.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of a folder.
fn pages_of(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension() == Some(OsStr::new("md")))
        .collect()
}

/// Every page of documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = ["", "docs", "session"].into_iter().flat_map(pages_of).collect();
    let others = ["dev/benches", "session/tests/exhaustive", "starter/template"];
    pages.extend(others.map(|folder| root().join(folder).join("README.md")));
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// A page's prose and code.
#[derive(Default)]
struct Page {
    /// Everything but the blocks of code.
    prose: String,
    /// The blocks of code, each with its language.
    blocks: Vec<(String, String)>,
}

impl Page {
    fn read(path: impl AsRef<Path>) -> Self {
        let mut page = Self::default();
        let mut inside = false;
        for line in read(path).lines() {
            if let Some(language) = line.strip_prefix("```") {
                if !inside {
                    page.blocks.push((language.to_owned(), String::new()));
                }
                inside = !inside;
                continue;
            }
            let text = match page.blocks.last_mut() {
                Some((_, code)) if inside => code,
                _ => &mut page.prose,
            };
            text.push_str(line);
            text.push('\n');
        }
        assert!(!inside, "a block of code does not end");
        page
    }

    /// The blocks of code in a language.
    fn code(&self, language: &str) -> Vec<&str> {
        let blocks = self.blocks.iter().filter(|(of, _)| of == language);
        blocks.map(|(_, code)| code.as_str()).collect()
    }

    /// The anchors that a forge gives to the headings.
    fn anchors(&self) -> Vec<String> {
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_library_in_ten_lines_is_the_example_that_is_run() {
    let example = read("session/examples/counter.rs");
    let (_, code) = example.split_once("\n\n").expect("the code after its documentation");
    let code: Vec<_> = code.lines().skip_while(|line| !line.starts_with("use ")).collect();
    let code = code.join("\n") + "\n";
    assert_eq!(Page::read("README.md").code("rust"), [code.as_str()]);
    assert_eq!(
        Page::read("session/guide.md").code("no_run").first(),
        Some(&code.as_str())
    );
}

/// A link to a test has the test's name as its title.
#[test]
fn every_link_to_a_file_here_a_heading_or_a_test_in_it_leads_there() {
    let (mut links, mut tests) = (0, 0);
    for page in pages() {
        let prose = Page::read(&page).prose;
        for link in prose.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            let at = format!("{link} in {}", page.display());
            if link.starts_with("https://") {
                assert!(!link.contains("/blob/main/"), "a line that may move: {at}");
                continue;
            }
            links += 1;
            let (link, test) = link
                .split_once(' ')
                .map_or((link, None), |(link, title)| (link, Some(title.trim_matches('"'))));
            let (path, heading) = link
                .split_once('#')
                .map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = match path {
                "" => page.clone(),
                path => page.with_file_name(path),
            };
            assert!(target.exists(), "{at}");
            if let Some(heading) = heading {
                let anchors = Page::read(&target).anchors();
                assert!(anchors.iter().any(|anchor| anchor == heading), "{at}");
            }
            if let Some(test) = test {
                tests += 1;
                assert!(read(&target).contains(&format!("fn {test}()")), "{at}");
            }
        }
    }
    assert!(links > 50 && tests > 5, "{links} links, {tests} to tests");
}

#[test]
fn readme_is_short_and_leads_to_every_page() {
    let readme = read("README.md");
    let words = readme.split_whitespace().count();
    assert!(words <= 800, "{words} words");
    for page in pages_of("docs") {
        let name = page.file_name().and_then(OsStr::to_str).expect("a name");
        assert!(readme.contains(&format!("](docs/{name})")), "{name}");
    }
}

#[test]
fn the_versions_that_the_pages_name_are_the_manifests() {
    let (minor, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').expect("three numbers");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let status = format!("Status: version {minor}, for Rust {rust} and newer");
    assert!(read("README.md").contains(&status), "{status}");
    let fixed = format!("The newest minor version gets fixes: {minor} now.");
    assert!(read("SECURITY.md").contains(&fixed), "{fixed}");

    // The path is relative to a crate in the folder that contains the clone.
    let required = [
        format!("\"{minor}\""),
        format!("{{ version = \"{minor}\""),
        "{ path = \"../lambda-session/session\"".to_owned(),
    ];
    assert!(root().join("session/Cargo.toml").exists());
    for page in pages() {
        let text = read(&page);
        for dependency in text.split("lambda-session = ").skip(1) {
            let is_known = required.iter().any(|start| dependency.starts_with(start));
            assert!(is_known, "{:?} in {}", dependency.lines().next(), page.display());
        }
    }
}

/// Commands may name files in `events/`, programs of `dev`, and parameters of the template.
#[test]
fn what_the_commands_name_is_there() {
    let template: Value = serde_yaml_ng::from_str(&read("template.yaml")).expect("YAML");
    let parameters = &template["Parameters"];
    let mut pages = pages_of("docs");
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|page| root().join(page)));
    let mut named = 0;
    for page in pages {
        let text = read(&page);
        let words: Vec<_> = text
            .split(|c: char| c.is_whitespace() || matches!(c, '`' | '\'' | '"'))
            .collect();
        for pair in words.windows(2) {
            let [option, word] = pair else {
                unreachable!("a window of two")
            };
            let at = format!("{option} {word} in {}", page.display());
            if *option == "--bin" {
                named += 1;
                let is_there = *word == env!("CARGO_PKG_NAME") || root().join("dev/src/bin").join(word).exists();
                assert!(is_there, "{at}");
            }
            if word.starts_with("events/") {
                assert!(root().join(word).exists(), "{at}");
            }
            let name = word.split_once('=').map_or("", |(name, _)| name);
            let is_camel_case = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.contains(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_camel_case {
                named += 1;
                assert!(!parameters[name].is_null(), "{at}");
            }
        }
    }
    assert!(named > 20, "{named}");
}

/// The guide shows the template and the profile of the starter, without their comments. `.ci/starter` checks those.
#[test]
fn the_guide_deploys_what_the_starter_does() {
    let guide = Page::read("session/guide.md");
    let [shown] = guide.code("yaml")[..] else {
        panic!("one template")
    };
    let [shown, made] = [shown, &read("starter/template/template.yaml")]
        .map(|text| serde_yaml_ng::from_str::<Value>(text).expect("YAML"));
    assert_eq!(shown, made);

    let manifest = read("starter/template/Cargo.toml");
    let manifest: Vec<_> = manifest.lines().filter(|line| !line.starts_with('#')).collect();
    let manifest = manifest.join("\n") + "\n";
    let profile = guide
        .code("toml")
        .into_iter()
        .find(|block| block.starts_with("[profile.release]"));
    assert!(manifest.ends_with(profile.expect("a profile")), "{manifest}");
}

/// Rows of tables and links to addresses may be longer, because they cannot be wrapped.
#[test]
fn prose_has_at_most_120_columns() {
    let mut pages = pages_of("docs");
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    pages.extend(others.map(|page| root().join(page)));
    pages.extend(["guide.md", "README.md"].map(|page| root().join("session").join(page)));
    for page in pages {
        for line in Page::read(&page).prose.lines() {
            let is_wrapped = line.chars().count() <= 120 || line.starts_with('|') || line.contains("](https://");
            assert!(is_wrapped, "{line} in {}", page.display());
        }
    }
}

/// rustfmt leaves lines alone that it cannot wrap. Addresses may be longer.
#[test]
fn a_line_of_code_has_at_most_120_columns() {
    let mut folders: Vec<_> = ["src", "session/src", "session/examples", "session/tests"]
        .map(|folder| root().join(folder))
        .into();
    let mut read_files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new("rs")) {
                read_files += 1;
                for line in read(&path).lines() {
                    let is_wrapped = line.chars().count() <= 120 || line.contains("://");
                    assert!(is_wrapped, "{line} in {}", path.display());
                }
            }
        }
    }
    assert!(read_files > 100, "{read_files}");
}

/// The library's own table, which a test there compares with the code.
#[test]
fn the_default_timeouts_are_the_same_wherever_they_are_told() {
    let environment = read("session/src/config/environment.rs");
    let row = |page: &str, variable: &str| {
        let mut lines = page.lines();
        let row = lines.find(|line| line.contains(&format!("| `{variable}` |")));
        let default = row.and_then(|row| row.trim_end_matches(" |").rsplit("| ").next());
        default.and_then(|default| default.parse::<u64>().ok()).expect(variable)
    };
    let template: Value = serde_yaml_ng::from_str(&read("template.yaml")).expect("YAML");
    for (variable, parameter, unit, seconds) in [
        ("SESSION_IDLE_TIMEOUT", "SessionIdleTimeout", "minutes", 60),
        ("SESSION_LIFETIME", "SessionLifetime", "hours", 3_600),
    ] {
        let default = row(&environment, variable);
        assert_eq!(row(&read("docs/configuration.md"), variable), default, "{variable}");
        assert_eq!(template["Parameters"][parameter]["Default"], default, "{parameter}");
        let told = format!("{} {unit}", default / seconds);
        for page in [
            "session/src/config/builder.rs",
            "session/src/core/time.rs",
            "docs/sessions.md",
        ] {
            assert!(read(page).contains(&told), "{page} does not say {told}");
        }
    }
}
