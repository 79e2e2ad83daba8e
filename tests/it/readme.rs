//! What README.md shows and links to.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_library_in_ten_lines_is_the_example_that_is_run() {
    let readme = read(&root().join("README.md"));
    let blocks: Vec<_> = readme
        .split("```rust\n")
        .skip(1)
        .filter_map(|after| after.split("```").next())
        .collect();
    let example = read(&root().join("session/examples/counter.rs"));
    let (_, code) = example.split_once("\n\n").expect("the code after its documentation");
    let code: Vec<_> = code.lines().skip_while(|line| !line.starts_with("use ")).collect();
    assert_eq!(blocks, [code.join("\n") + "\n"]);
}

/// The anchor that a forge gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_to_a_file_here_or_to_a_heading_in_it_leads_there() {
    let folders = [root().to_owned(), root().join("docs")];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files: Vec<PathBuf> = files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    let mut links = 0;
    for file in &files {
        let text = read(file);
        for link in text.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            links += 1;
            let (path, heading) = link
                .split_once('#')
                .map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = match path {
                "" => file.clone(),
                path => file.with_file_name(path),
            };
            assert!(target.exists(), "{link} in {}", file.display());
            if let Some(heading) = heading {
                let text = read(&target);
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(anchors.any(|anchor| anchor == heading), "{link} in {}", file.display());
            }
        }
    }
    assert!(links > 10, "{links} links in {files:?}");
}
