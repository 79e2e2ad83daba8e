//! What a collector of OpenTelemetry's spans sees of sessions, and what it must not see.

use std::fmt::Write as _;

use dev::dynamodb::table;
use dev::proxy::{Fault, Proxy};
use lambda_http::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
use lambda_http::tracing::subscriber::{Layer as _, registry};
use lambda_session::{DynamoDbStore, MemoryStore};
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::subscriber::DefaultGuard;

use crate::support::forge;
use crate::support::own_table::Table;
use crate::support::sdk;
use crate::support::site::Site;

/// Collects the library's spans on this thread.
struct Collector {
    spans: InMemorySpanExporter,
    provider: SdkTracerProvider,
    _default: DefaultGuard,
}

impl Collector {
    /// Collects from now on. A callsite that another thread meets for the first time while a subscriber begins may not
    /// learn of the subscriber, until the cache is rebuilt:
    /// <https://docs.rs/tracing-core/latest/tracing_core/callsite/fn.rebuild_interest_cache.html>.
    async fn start() -> Self {
        let collector = Self::new();
        let site = Site::new(MemoryStore::default());
        loop {
            tracing::callsite::rebuild_interest_cache();
            let cookie = site.login("admin", None).await;
            site.visit("/", Some(&cookie)).await.assert_done();
            let seen = collector.take();
            let all = ["session.save", "store.swap", "session.load", "store.load"];
            if all.iter().all(|name| seen.iter().any(|span| span.name == *name)) {
                return collector;
            }
        }
    }

    fn new() -> Self {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let library = Targets::new().with_target("lambda_session", LevelFilter::TRACE);
        let subscriber = registry().with(layer.with_filter(library));
        Self {
            spans,
            provider,
            _default: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Returns the spans that were collected since the last call, in the order of their start.
    fn take(&self) -> Vec<SpanData> {
        self.provider.force_flush().expect("spans in memory");
        let mut spans = self.spans.get_finished_spans().expect("spans in memory");
        self.spans.reset();
        spans.sort_by_key(|span| span.start_time);
        spans
    }

    /// Returns them as a tree with a line for each span: its name and its result.
    fn tree(&self) -> Vec<String> {
        let spans = self.take();
        let roots = spans.iter().filter(|span| {
            spans
                .iter()
                .all(|other| other.span_context.span_id() != span.parent_span_id)
        });
        roots.flat_map(|root| tree(root, &spans, 0)).collect()
    }
}

fn tree(span: &SpanData, all: &[SpanData], depth: usize) -> Vec<String> {
    let mut line = format!("{:>width$}{}", "", span.name, width = 2 * depth);
    for name in ["outcome", "error.type"] {
        if let Some(value) = attribute(span, name) {
            let _ = write!(line, ": {value}");
        }
    }
    if matches!(span.status, Status::Error { .. }) {
        line += ", an error";
    }
    let children = all
        .iter()
        .filter(|child| child.parent_span_id == span.span_context.span_id());
    let below = children.flat_map(|child| tree(child, all, depth + 1));
    std::iter::once(line).chain(below).collect()
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let mut all = span.attributes.iter();
    all.find(|attribute| attribute.key.as_str() == name)
        .map(|attribute| attribute.value.to_string())
}

/// A table, and a site over it whose calls can be spoiled.
async fn world() -> (Table, Proxy, Site) {
    let table = Table::embedded().await;
    let proxy = Proxy::start(table.endpoint());
    let store = DynamoDbStore::new(&sdk(), table::NAME, Some(&proxy.endpoint())).expect("a store");
    (table, proxy, Site::new(store))
}

#[tokio::test]
async fn a_view_is_a_load_with_its_store_call_and_without_a_cookie_nothing() {
    let (_table, _proxy, site) = world().await;
    let cookie = site.login("admin", None).await;
    let collector = Collector::start().await;
    assert_eq!(site.view(&cookie).await, "username=admin");
    assert_eq!(collector.tree(), ["session.load", "  store.load: record"]);
    site.visit("/", None).await.assert_done();
    assert_eq!(collector.tree(), [""; 0]);
}

#[tokio::test]
async fn a_login_over_a_session_is_a_save_with_its_store_calls_in_order() {
    let (_table, _proxy, site) = world().await;
    let cookie = site.login("admin", None).await;
    let collector = Collector::start().await;
    site.visit("/log-in?user-4711", Some(&cookie)).await.issued();
    let expected = [
        "session.load",
        "  store.load: record",
        "session.save",
        "  owners.enlist: read",
        "  store.swap: done",
        "  store.swap: done",
    ];
    assert_eq!(collector.tree(), expected);
}

#[tokio::test]
async fn a_write_that_another_one_overtook_says_so_and_is_no_error() {
    let (_table, proxy, site) = world().await;
    let cookie = site.login("admin", None).await;
    let gate = proxy.hold("UpdateItem");
    let collector = Collector::start().await;
    let held = site.start("/set?theme=dark", Some(&cookie));
    gate.arrived().await;
    let load = ["session.load", "  store.load: record"];
    assert_eq!(collector.tree(), load);
    site.visit("/set?colour=blue", Some(&cookie)).await.assert_done();
    let other = ["session.save", "  store.swap: done"];
    assert_eq!(collector.tree(), [load, other].concat());
    gate.release();
    held.await.expect("an answer").assert_done();
    let expected = [
        "session.save",
        "  store.swap: found something else",
        "  store.swap: done",
    ];
    assert_eq!(collector.tree(), expected);
}

#[tokio::test]
async fn a_call_that_fails_is_marked_and_so_is_what_failed_for_it() {
    let (_table, proxy, site) = world().await;
    let cookie = site.login("admin", None).await;
    let collector = Collector::start().await;
    proxy.once("GetItem", Fault::Error(400, "AccessDeniedException"));
    site.visit("/", Some(&cookie)).await.assert_refused(500);
    let load = ["session.load: rejected, an error", "  store.load: rejected, an error"];
    assert_eq!(collector.tree(), load);

    proxy.once("UpdateItem", Fault::Error(400, "AccessDeniedException"));
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_refused(500);
    let save = ["session.save: rejected, an error", "  store.swap: rejected, an error"];
    assert_eq!(collector.tree()[2..], save);
}

#[tokio::test]
async fn only_a_store_that_is_elsewhere_is_called_as_a_client() {
    let (_table, _proxy, site) = world().await;
    for (site, kind, system) in [
        (site, SpanKind::Client, Some("aws.dynamodb")),
        (Site::new(MemoryStore::default()), SpanKind::Internal, None),
    ] {
        let collector = Collector::start().await;
        site.login("admin", None).await;
        let spans = collector.take();
        let create = spans.iter().find(|span| span.name == "store.swap").expect("a call");
        assert_eq!(create.span_kind, kind);
        assert_eq!(attribute(create, "db.system.name").as_deref(), system);
    }
}

/// Many calls at once have one span, which says how many they are.
#[tokio::test]
async fn the_sessions_of_a_list_are_read_in_one_span() {
    let (_table, _proxy, site) = world().await;
    for _ in 0..3 {
        site.visit("/log-in?user-4711", None).await.issued();
    }
    let collector = Collector::start().await;
    site.visit("/sessions?user-4711", None).await.assert_done();
    let spans = collector.take();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["owners.list", "store.load"]);
    assert_eq!(attribute(&spans[1], "db.operation.batch.size").as_deref(), Some("3"));
}

#[tokio::test]
async fn no_span_has_a_cookie_an_id_a_key_a_variable_or_an_owner_in_it() {
    const MARK: &str = "zqxmark";
    let (_table, proxy, site) = world().await;
    let collector = Collector::start().await;
    let mut secrets = vec![MARK.to_owned()];
    let mut cookie = None;
    for path in [
        "/set?zqxmark=zqxmark",
        "/log-in?zqxmark=zqxmark",
        "/flash?zqxmark",
        "/flashes",
        "/set?zqxmark=2",
        "/sessions?zqxmark",
        "/end-others?zqxmark",
        "/renew",
        "/logout",
        "/",
    ] {
        let answer = site.visit(path, cookie.as_deref()).await;
        assert_eq!(answer.status, 200, "{path}");
        if let Some(issued) = answer.cookie.filter(|cookie| !cookie.ends_with('=')) {
            let (_, value) = issued.split_once('=').expect("a cookie");
            let (id, mac) = value.split_once('.').expect("an ID and a MAC");
            secrets.extend([id, mac, &forge::record_key(id)].map(str::to_owned));
            cookie = Some(issued);
        }
    }
    let cookie = site.visit("/log-in?zqxmark=zqxmark", None).await.issued();
    proxy.rule(|_| Fault::Error(400, "AccessDeniedException"));
    for path in ["/", "/logout"] {
        site.visit(path, Some(&cookie)).await.assert_refused(500);
    }
    assert!(secrets.len() > 7, "{secrets:?}");

    let spans = collector.take();
    assert!(spans.len() > 20, "{spans:#?}");
    let shown = format!("{spans:?}").to_lowercase();
    for secret in secrets {
        assert!(!shown.contains(&secret.to_lowercase()), "{secret} in {spans:#?}");
    }
}
