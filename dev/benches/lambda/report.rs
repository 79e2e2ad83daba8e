//! Turns figures into rows, and rows into a table and into JSON.

use serde_json::{Value, json};

use crate::Failure;
use crate::artifact::{Artifacts, zipped};
use crate::rounds::Figures;
use crate::routes::{Caches, Route};
use crate::world::Traffic;

/// One figure of the product, and the figure that it is compared with.
pub(crate) struct Row {
    group: &'static str,
    measure: String,
    unit: &'static str,
    product: f64,
    floor: Option<(String, f64)>,
    ratio: Option<f64>,
    target: Option<f64>,
}

/// Rows of one group and unit.
struct Group<'a>(&'static str, &'static str, &'a Figures);

impl Group<'_> {
    /// Returns the median of a figure, the median of its floor, and the median of the rounds' ratios.
    fn row(&self, measure: &str, name: &str, floor: &str, target: Option<f64>) -> Option<Row> {
        let Self(group, unit, figures) = self;
        Some(Row {
            group,
            measure: measure.to_owned(),
            unit,
            product: figures.median(name)?,
            floor: figures.median(floor).map(|value| (floor.to_owned(), value)),
            ratio: figures.ratio(name, floor),
            target,
        })
    }
}

/// Returns the rows of start-up, warm and cold requests, and memory.
pub(crate) fn rows(figures: &Figures) -> Vec<Row> {
    let start = Group("start", "ms", figures);
    let mut rows = vec![
        start.row("to the first poll", "product first poll", "hello first poll", None),
        start.row(
            "no store to warm up for",
            "product alone first poll",
            "hello first poll",
            Some(1.5),
        ),
        start.row(
            "first anonymous page",
            "product page first anonymous page",
            "hello first anonymous page",
            None,
        ),
        start.row("first login", "product first login", "getitem first login", None),
        start.row("first view", "product first view", "getitem first view", None),
        start.row(FIRST_VIEW, "product first view", "product view p50", Some(1.5)),
    ];
    for (group, unit, caches, measure) in [
        ("cpu", "us", Caches::Warm, "cpu"),
        ("p50", "ms", Caches::Warm, "p50"),
        ("cold", "us", Caches::Cold, "cpu"),
    ] {
        for route in Route::TIMED {
            let product = if route.calls() == 0 { "product page" } else { "product" };
            let name = |of: &str| format!("{of} {}{} {measure}", caches.prefix(), route.name());
            let target = match measure {
                "cpu" => route.target(caches),
                _ => (route == Route::View).then_some(0.95),
            };
            rows.push(Group(group, unit, figures).row(route.name(), &name(product), &name(route.floor()), target));
        }
    }
    for (caches, route, measure, target) in [
        (Caches::Warm, Route::View, "view", Some(3.0)),
        (Caches::Warm, Route::Login, "login", None),
        (Caches::Cold, Route::View, "cold view", Some(3.0)),
    ] {
        let name = |of: &str| format!("{of} {}{} cpu", caches.prefix(), route.name());
        rows.push(Group("limit", "us", figures).row(measure, &name("product"), &name("limit"), target));
    }
    for (route, caches, measure) in [
        (Route::View, Caches::Warm, "cpu"),
        (Route::View, Caches::Warm, "p50"),
        (Route::View, Caches::Cold, "cpu"),
        (Route::Login, Caches::Warm, "cpu"),
        (Route::Anonymous, Caches::Warm, "cpu"),
    ] {
        let unit = if measure == "cpu" { "us" } else { "ms" };
        let what = format!("{}{} {measure}", caches.prefix(), route.name());
        let parts = if route.calls() == 0 { "parts page" } else { "parts" };
        let floor = format!("{} {what}", route.floor());
        rows.push(Group("parts", unit, figures).row(&what, &format!("{parts} {what}"), &floor, None));
    }
    rows.push(Group("parts", "ms", figures).row(
        "to the first poll",
        "parts page first poll",
        "hello first poll",
        None,
    ));
    let memory = Group("size", "MiB", figures);
    rows.push(memory.row("peak memory", "product memory", "getitem memory", Some(1.0)));
    rows.into_iter().flatten().collect()
}

const FIRST_VIEW: &str = "first view, against a warm one";

/// Returns the rows of starts and views over TLS.
pub(crate) fn tls_rows(figures: &Figures) -> Vec<Row> {
    let tls = Group("tls", "ms", figures);
    let rows = [
        tls.row("to the first poll", "product first poll", "getitem first poll", None),
        tls.row("first view", "product first view", "getitem first view", None),
        tls.row(FIRST_VIEW, "product first view", "product view p50", Some(1.5)),
        tls.row("view p50", "product view p50", "getitem view p50", None),
    ];
    rows.into_iter().flatten().collect()
}

/// Returns the row of what is uploaded.
pub(crate) fn artifact_row(artifacts: &Artifacts) -> Result<Row, Failure> {
    let megabytes = |program| zipped(program).map(|bytes| bytes as f64 / 1e6);
    let (product, floor) = (megabytes(&artifacts.product)?, megabytes(&artifacts.getitem)?);
    Ok(Row {
        group: "size",
        measure: "zipped artifact".to_owned(),
        unit: "MB",
        product,
        floor: Some(("getitem".to_owned(), floor)),
        ratio: Some(product / floor),
        target: Some(1.0),
    })
}

/// Returns the rows of store calls, compared with the budget.
pub(crate) fn traffic_rows(traffic: &[(Route, Traffic)]) -> Vec<Row> {
    let rows = traffic.iter().map(|(route, traffic)| Row {
        group: "calls",
        measure: route.name().to_owned(),
        unit: "",
        product: traffic.calls as f64,
        floor: Some(("budget".to_owned(), route.calls() as f64)),
        ratio: None,
        target: None,
    });
    rows.collect()
}

/// Returns everything as JSON.
pub(crate) fn to_json(rows: &[Row], traffic: &[(Route, Traffic)], sections: &[(&str, Vec<Value>)]) -> Value {
    let figures = rows.iter().map(|row| {
        json!({
            "group": row.group,
            "measure": row.measure,
            "unit": row.unit,
            "product": row.product,
            "floor": row.floor.as_ref().map(|(name, value)| json!({ "is": name, "value": value })),
            "ratio": row.ratio,
            "target": row.target,
        })
    });
    let wire = traffic.iter().map(|(route, traffic)| {
        json!({
            "route": route.name(),
            "store_calls": traffic.calls,
            "bytes_sent": traffic.sent,
            "bytes_received": traffic.received,
        })
    });
    let mut all = json!({
        "rounds": crate::rounds::ROUNDS,
        "figures": figures.collect::<Vec<_>>(),
        "wire": wire.collect::<Vec<_>>(),
    });
    for (name, lines) in sections {
        all[name] = json!(lines);
    }
    all
}

/// Prints everything.
pub(crate) fn print(rows: &[Row], traffic: &[(Route, Traffic)], sections: &[(&str, Vec<Value>)]) {
    let (product, floor, ratio, target) = ("product", "floor", "ratio", "target");
    println!("{:<39} {product:>9} {floor:>9} {:<4} {ratio:>6} {target:>7}", "", "");
    for row in rows {
        let number = |value: Option<f64>, digits| value.map(|value| format!("{value:.digits$}")).unwrap_or_default();
        let floor = number(row.floor.as_ref().map(|(_, value)| *value), 3);
        let (ratio, target) = (number(row.ratio, 3), number(row.target, 2));
        let is_missed = row.ratio.zip(row.target).is_some_and(|(ratio, target)| ratio > target);
        let missed = if is_missed { " MISSED" } else { "" };
        let (group, measure, product, unit) = (row.group, &row.measure, row.product, row.unit);
        println!("{group:<6} {measure:<32} {product:>9.3} {floor:>9} {unit:<4} {ratio:>6} {target:>7}{missed}");
    }
    println!(
        "\n{:<32} {:>6} {:>11} {:>11}",
        "on the wire to DynamoDB", "calls", "bytes sent", "received"
    );
    for (route, traffic) in traffic {
        let Traffic { calls, sent, received } = traffic;
        println!("{:<32} {calls:>6} {sent:>11} {received:>11}", route.name());
    }
    for (name, lines) in sections {
        println!("\n{name}");
        for line in lines {
            println!("{line}");
        }
    }
}
