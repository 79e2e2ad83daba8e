//! The pages: HTML without a parse error, usable by everybody, in the words of the tutorial.

use http::StatusCode;
use lambda_session::guard::Refusal;
use lambda_session::pages;

use crate::support::html::Page;

/// Every page there is, by a name.
pub(crate) fn every_page() -> Vec<(String, String)> {
    let fixed = [
        ("home", pages::home(None)),
        ("inside", pages::home(Some("admin"))),
        (
            "inside with a name to escape",
            pages::home(Some("</h1><script>&amp;\"'")),
        ),
        ("login", pages::login(None)),
        (
            "login again",
            pages::login(Some(("Please enter a username.", "\"><script>&amp;'"))),
        ),
        ("refused login", pages::refused_login()),
        ("refused logout", pages::refused_logout(Refusal::CrossOrigin)),
        ("prefetched logout", pages::refused_logout(Refusal::Prefetch)),
    ];
    let fixed = fixed.map(|(name, page)| (name.to_owned(), page));
    let problems = PROBLEMS.map(|status| (status.to_string(), pages::problem(status)));
    let pages = fixed.into_iter().chain(problems);
    pages.map(|(name, page)| (name, page.into_string())).collect()
}

fn parsed() -> impl Iterator<Item = (String, Page)> {
    every_page().into_iter().map(|(name, text)| (name, Page::parse(&text)))
}

const PROBLEMS: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

#[test]
fn a_browsers_parser_has_nothing_to_mend() {
    assert_ne!(
        Page::parse("<!DOCTYPE html><p><b></p>").errors(),
        [""; 0],
        "the check works"
    );
    for (name, page) in parsed() {
        assert_eq!(page.errors(), [""; 0], "{name}");
    }
}

#[test]
fn every_page_says_its_language_title_width_and_colours() {
    for (name, page) in parsed() {
        assert_eq!(page.one("html").attribute("lang").as_deref(), Some("en"), "{name}");
        assert!(page.one("title").text().ends_with(" – lambda-session"), "{name}");
        assert_eq!((page.all("main").len(), page.all("h1").len()), (1, 1), "{name}");
        let said = |wanted: &str| {
            let mut meta = page.all("meta").into_iter();
            let found = meta.find(|meta| meta.attribute("name").as_deref() == Some(wanted));
            found.and_then(|meta| meta.attribute("content"))
        };
        assert_eq!(
            said("viewport").as_deref(),
            Some("width=device-width, initial-scale=1"),
            "{name}"
        );
        let style = page.one("style").text();
        for rule in ["color-scheme:light dark", "prefers-color-scheme:dark", ":focus-visible"] {
            assert!(style.contains(rule), "{name}: {rule}");
        }
    }
}

/// What the policy forbids is not there to begin with, and every ID is one element's.
#[test]
fn no_page_has_a_script_a_handler_or_an_id_twice() {
    for (name, page) in parsed() {
        let mut ids = Vec::new();
        for element in page.elements() {
            assert!(
                !["script", "iframe", "object", "base"].contains(&element.name().as_str()),
                "{name}"
            );
            for attribute in element.attributes() {
                assert!(
                    !attribute.starts_with("on") && attribute != "style",
                    "{name}: {attribute}"
                );
            }
            ids.extend(element.attribute("id"));
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: {ids:?}");
    }
}

#[test]
fn the_texts_are_the_tutorials() {
    let start = Page::parse(&pages::home(None).into_string());
    assert_eq!(start.one("h1").text(), "You are not logged in");
    let link = start.one("a");
    assert_eq!(
        (link.text().as_str(), link.attribute("href").as_deref()),
        ("click here to log in", Some("/login"))
    );

    let inside = Page::parse(&pages::home(Some("admin")).into_string());
    assert_eq!(inside.one("h1").text(), "Logged in as admin");
    let link = inside.one("a");
    assert_eq!(
        (link.text().as_str(), link.attribute("href").as_deref()),
        ("click here to log out", Some("/logout"))
    );
    // In bold, as there.
    assert_eq!(inside.one("b").text(), "click here to log out");
}

#[test]
fn the_form_has_one_field_that_browsers_know_how_to_fill() {
    let page = Page::parse(&pages::login(None).into_string());
    let form = page.one("form");
    let said = |name: &str| form.attribute(name);
    assert_eq!(
        (said("action").as_deref(), said("method").as_deref()),
        (Some("/login"), Some("post"))
    );
    let [field, button] = &page.all("input")[..] else {
        panic!("one field and one button")
    };
    for (name, value) in [
        ("name", "username"),
        ("type", "text"),
        ("autocomplete", "username"),
        ("autocapitalize", "none"),
        ("autofocus", ""),
        ("required", ""),
    ] {
        assert_eq!(field.attribute(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(page.one("label").attribute("for"), field.attribute("id"));
    assert_eq!(page.one("label").text(), "Username");
    assert_eq!(button.attribute("value").as_deref(), Some("Login"));
    assert_eq!(field.attribute("aria-invalid"), None);
}

/// In the same dress as the others, with one way on.
#[test]
fn every_problem_says_what_happened_and_what_to_do_next() {
    let style = Page::parse(&pages::home(None).into_string()).one("style").text();
    for status in PROBLEMS {
        let page = Page::parse(&pages::problem(status).into_string());
        assert_eq!(page.one("style").text(), style, "{status}");
        let [advice, next] = &page.all("p")[..] else {
            panic!("{status}: an advice and a way on")
        };
        assert!(advice.text().len() > 20 && next.text().len() > 10, "{status}");
        let target = page.one("a").attribute("href");
        assert!(
            matches!(target.as_deref(), Some("/" | "/login")),
            "{status}: {target:?}"
        );
        assert!(!page.one("h1").text().is_empty(), "{status}");
    }
}
