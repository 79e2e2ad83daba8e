//! The pages: HTML without parse errors, accessible, with the tutorial's texts.

use dev::event::Event;
use dev::proxy::Fault;

use crate::support::app::App;
use crate::support::html::Page;

/// Every page that the function shows, each with a name. The name of a problem's page is its status.
pub(crate) async fn every_page() -> Vec<(String, String)> {
    let app = App::start().await;
    let [plain, hostile] = [app.login("admin").await, app.login("</h1><script>&amp;\"'").await];
    let form = |name: &str| Event::post_form("/login", &[("username", name)]);
    let long = "x".repeat(5_000);
    let mut pages = Vec::new();
    for (name, event) in [
        ("home", Event::get("/")),
        ("inside", Event::get("/").cookie(&plain)),
        ("inside with a name to escape", Event::get("/").cookie(&hostile)),
        ("login", Event::get("/login")),
        ("login again", form(&"\"><script>&amp;'".repeat(9))),
        ("refused login", form("mallory").header("sec-fetch-site", "cross-site")),
        (
            "refused logout",
            Event::get("/logout").header("sec-fetch-site", "cross-site"),
        ),
        (
            "prefetched logout",
            Event::get("/logout").header("sec-purpose", "prefetch"),
        ),
        ("400", Event::get("")),
        ("404", Event::get("/nothing")),
        ("405", Event::new("DELETE", "/")),
        ("413", form(&long)),
        ("415", form("admin").with("/headers/content-type", "text/plain")),
    ] {
        pages.push((name.to_owned(), app.send(event).await.body));
    }
    for (status, name) in [(500, "AccessDeniedException"), (503, "ThrottlingException")] {
        app.proxy.rule(move |_| Fault::Error(400, name));
        let answer = app.send(Event::get("/").cookie(&plain)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        pages.push((status.to_string(), answer.body));
    }
    pages
}

async fn parsed() -> Vec<(String, Page)> {
    let pages = every_page().await.into_iter();
    pages.map(|(name, text)| (name, Page::parse(&text))).collect()
}

/// The page of this name.
async fn page(wanted: &str) -> Page {
    let found = parsed().await.into_iter().find(|(name, _)| name == wanted);
    found.expect(wanted).1
}

#[tokio::test]
async fn a_browsers_parser_has_nothing_to_mend() {
    assert_ne!(
        Page::parse("<!DOCTYPE html><p><b></p>").errors(),
        [""; 0],
        "the check works"
    );
    for (name, page) in parsed().await {
        assert_eq!(page.errors(), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn every_page_says_its_language_title_width_and_colours() {
    for (name, page) in parsed().await {
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

/// The pages contain nothing that the policy forbids, and no two elements have the same ID.
#[tokio::test]
async fn no_page_has_a_script_a_handler_or_an_id_twice() {
    for (name, page) in parsed().await {
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

#[tokio::test]
async fn the_texts_are_the_tutorials() {
    let start = page("home").await;
    assert_eq!(start.one("h1").text(), "You are not logged in");
    let link = start.one("a");
    assert_eq!(
        (link.text().as_str(), link.attribute("href").as_deref()),
        ("click here to log in", Some("/login"))
    );

    let inside = page("inside").await;
    assert_eq!(inside.one("h1").text(), "Logged in as admin");
    let link = inside.one("a");
    assert_eq!(
        (link.text().as_str(), link.attribute("href").as_deref()),
        ("click here to log out", Some("/logout"))
    );
    // The link is bold, as in the tutorial.
    assert_eq!(inside.one("b").text(), "click here to log out");
}

#[tokio::test]
async fn the_form_has_one_field_that_browsers_know_how_to_fill() {
    let page = page("login").await;
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

#[tokio::test]
async fn a_title_says_that_there_is_a_mistake_and_a_refused_logout_why() {
    for (name, title) in [("login", "Login"), ("login again", "Error: Login")] {
        let shown = page(name).await.one("title").text();
        assert!(shown.starts_with(title), "{name}: {shown}");
    }
    for (name, reason) in [
        ("refused logout", "Another site"),
        ("prefetched logout", "Your browser"),
    ] {
        let shown = page(name).await.all("p")[0].text();
        assert!(shown.starts_with(reason), "{name}: {shown}");
    }
}

/// The pages of problems have the other pages' style, and one link.
#[tokio::test]
async fn every_problem_says_what_happened_and_what_to_do_next() {
    let style = page("home").await.one("style").text();
    let problems = parsed()
        .await
        .into_iter()
        .filter(|(name, _)| name.parse::<u16>().is_ok());
    for (status, page) in problems {
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
        let title = match &*status {
            "400" => "Request not understood",
            "404" => "Page not found",
            "405" => "Method not allowed",
            "413" => "Form too large",
            "415" => "Form not understood",
            "503" => "Please try again",
            _ => "Something went wrong",
        };
        assert_eq!(page.one("h1").text(), title, "{status}");
    }
}
