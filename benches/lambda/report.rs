//! Figures into rows, rows into a table and into JSON.

use serde_json::{Value, json};

use crate::Failure;
use crate::artifact::{Artifacts, zipped};
use crate::rounds::Figures;
use crate::routes::Route;
use crate::world::Traffic;

/// One figure of the product, and what it is held against.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) measure: String,
    pub(crate) unit: &'static str,
    pub(crate) product: f64,
    pub(crate) floor: Option<(String, f64)>,
    pub(crate) ratio: Option<f64>,
    pub(crate) target: Option<f64>,
}

impl Row {
    /// Medians over the rounds, and the median of the rounds' ratios.
    fn of(
        group: &'static str,
        measure: &str,
        unit: &'static str,
        figures: &Figures,
        names: (&str, &str),
    ) -> Option<Self> {
        let (name, floor) = names;
        Some(Self {
            group,
            measure: measure.to_owned(),
            unit,
            product: figures.median(name)?,
            floor: figures.median(floor).map(|value| (floor.to_owned(), value)),
            ratio: figures.ratio(name, floor),
            target: None,
        })
    }

    fn target(mut self, target: Option<f64>) -> Self {
        self.target = target;
        self
    }

    fn to_json(&self) -> Value {
        json!({
            "group": self.group,
            "measure": self.measure,
            "unit": self.unit,
            "product": self.product,
            "floor": self.floor.as_ref().map(|(name, value)| json!({ "is": name, "value": value })),
            "ratio": self.ratio,
            "target": self.target,
        })
    }
}

/// Start-up, warm requests, memory.
pub(crate) fn rows(figures: &Figures) -> Vec<Row> {
    let mut rows = Vec::new();
    let start = |measure, names, target| Row::of("start", measure, "ms", figures, names).map(|row| row.target(target));
    rows.extend(start(
        "to the first poll",
        ("product first poll", "hello first poll"),
        None,
    ));
    rows.extend(start(
        "to the first poll, no warm-up",
        ("cold first poll", "hello first poll"),
        Some(1.5),
    ));
    let page = ("product first anonymous page", "hello first anonymous page");
    rows.extend(start("first anonymous page", page, None));
    rows.extend(start(
        "first login",
        ("product first login", "getitem first login"),
        None,
    ));
    rows.extend(start("first view", ("product first view", "getitem first view"), None));
    rows.extend(start(
        "first view, against a warm one",
        ("product first view", "view p50"),
        Some(1.5),
    ));
    rows.extend(start("first view, no warm-up", ("cold first view", "view p50"), None));
    for (group, unit) in [("cpu", "us"), ("p50", "ms"), ("p99", "ms")] {
        for route in Route::ALL {
            let name = format!("{} {group}", route.name());
            let floor = route.floor().map(|floor| format!("{} {group}", floor.name()));
            let target = match (group, route) {
                ("cpu", _) | ("p50", Route::View) => route.target(),
                _ => None,
            };
            let names = (name.as_str(), floor.as_deref().unwrap_or_default());
            rows.extend(Row::of(group, route.name(), unit, figures, names).map(|row| row.target(target)));
        }
    }
    let memory = ("product memory", "getitem memory");
    rows.extend(Row::of("size", "peak memory", "MiB", figures, memory).map(|row| row.target(Some(1.05))));
    rows
}

/// The first view over TLS.
pub(crate) fn tls_rows(figures: &Figures) -> Vec<Row> {
    let row = |measure, names, target| Row::of("tls", measure, "ms", figures, names).map(|row| row.target(target));
    [
        row("to the first poll", ("product first poll", "getitem first poll"), None),
        row("first view", ("product first view", "getitem first view"), None),
        row(
            "first view, against a warm one",
            ("product first view", "product view"),
            Some(1.5),
        ),
        row("first view, no warm-up", ("cold first view", "cold view"), None),
        row("view p50", ("product view", "getitem view"), None),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is uploaded.
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
        target: Some(1.05),
    })
}

/// Store calls against the budget.
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

/// All of it, for machines.
pub(crate) fn to_json(rows: &[Row], traffic: &[(Route, Traffic)], growth: &[Value]) -> Value {
    let wire = traffic.iter().map(|(route, traffic)| {
        json!({
            "route": route.name(),
            "store_calls": traffic.calls,
            "bytes_sent": traffic.sent,
            "bytes_received": traffic.received,
        })
    });
    json!({
        "rounds": crate::rounds::ROUNDS,
        "figures": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        "wire": wire.collect::<Vec<_>>(),
        "growth": growth,
    })
}

/// All of it, for people.
pub(crate) fn print(rows: &[Row], traffic: &[(Route, Traffic)], growth: &[Value]) {
    println!(
        "{:<6} {:<32} {:>9} {:>9} {:<4} {:>6} {:>7}",
        "", "", "product", "floor", "", "ratio", "target"
    );
    for row in rows {
        let floor = row
            .floor
            .as_ref()
            .map(|(_, value)| format!("{value:.3}"))
            .unwrap_or_default();
        let ratio = row.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let target = row.target.map(|target| format!("{target:.2}")).unwrap_or_default();
        let missed = if row.ratio.zip(row.target).is_some_and(|(ratio, target)| ratio > target) {
            " MISSED"
        } else {
            ""
        };
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
    println!(
        "\n{:>9} {:>5} {:>12} {:>13} {:>15} {:>14}",
        "variables", "KB", "view CPU us", "view received", "update CPU us", "update sent"
    );
    for line in growth {
        println!(
            "{:>9} {:>5} {:>12.0} {:>13} {:>15.0} {:>14}",
            line["variables"].as_u64().unwrap_or_default(),
            line["kilobytes"].as_u64().unwrap_or_default(),
            line["view_cpu_us"].as_f64().unwrap_or_default(),
            line["view_bytes_received"].as_u64().unwrap_or_default(),
            line["update_cpu_us"].as_f64().unwrap_or_default(),
            line["update_bytes_sent"].as_u64().unwrap_or_default(),
        );
    }
}
