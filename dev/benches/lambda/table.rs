//! The rows: which figures are compared, what their ratio may be, and what came out.

use serde::Serialize;

use crate::rounds::Figures;

/// Two figures that are compared, by their names.
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) unit: &'static str,
    pub(crate) of: String,
    pub(crate) against: String,
    /// What the second figure is of, in a word.
    pub(crate) floor: &'static str,
    /// The most that the first may be of the second.
    pub(crate) target: Option<f64>,
}

/// Returns the rows of the app and of its parts.
pub(crate) fn rows() -> Vec<Row> {
    #[rustfmt::skip]
    let rows = [
        ("view, CPU", "us", "product: view, CPU", "getitem: view, CPU", "getitem", Some(1.00)),
        ("view, CPU", "us", "product: view, CPU", "parts: view, CPU", "parts", Some(1.10)),
        ("view, CPU, cold caches", "us", "product: view, cold", "getitem: view, cold", "getitem", Some(1.00)),
        ("view, CPU, cold caches", "us", "product: view, cold", "parts: view, cold", "parts", Some(1.10)),
        ("view, median time", "ms", "product: view, median", "getitem: view, median", "getitem", Some(1.00)),
        ("first login, CPU", "us", "product: login, CPU", "getitem: login, CPU", "getitem", Some(0.97)),
        ("anonymous page, CPU", "us", "product, pages: page, CPU", "hello: page, CPU", "hello", Some(1.12)),
        ("start, no store to warm up for", "ms", "product alone: start", "hello: start", "hello", Some(1.50)),
        ("first view", "ms", "product: first view", "product: view, median", "warm", Some(1.25)),
        ("first view, TLS", "ms", "product, TLS: first view", "product, TLS: view, median", "warm", Some(1.25)),
        ("peak memory", "MiB", "product: peak memory", "getitem: peak memory", "getitem", Some(0.95)),
        ("memory", "MiB", "product: memory", "getitem: memory", "getitem", Some(0.95)),
        ("zipped program", "MB", "product: zipped", "getitem: zipped", "getitem", Some(0.95)),
        ("hello: first page", "ms", "hello: first page", "hello: page, median", "warm", None),
        ("first view", "ms", "product: first view", "getitem: first view", "getitem", None),
        ("first view, TLS", "ms", "product, TLS: first view", "getitem, TLS: first view", "getitem", None),
        ("first login", "ms", "product: first login", "getitem: first login", "getitem", None),
        ("start", "ms", "product: start", "hello: start", "hello", None),
        ("start, TLS", "ms", "product, TLS: start", "getitem, TLS: start", "getitem", None),
        ("parts: view, CPU", "us", "parts: view, CPU", "getitem: view, CPU", "getitem", None),
        ("parts: view, CPU, cold caches", "us", "parts: view, cold", "getitem: view, cold", "getitem", None),
        ("parts: view, median time", "ms", "parts: view, median", "getitem: view, median", "getitem", None),
        ("parts: login, CPU", "us", "parts: login, CPU", "getitem: login, CPU", "getitem", None),
        ("parts: page, CPU", "us", "parts, pages: page, CPU", "hello: page, CPU", "hello", None),
        ("parts: start", "ms", "parts: start", "hello: start", "hello", None),
        ("start, CPU, no store", "ms", "product alone: start, CPU", "hello: start, CPU", "hello", None),
        ("parts: start, CPU", "ms", "parts: start, CPU", "hello: start, CPU", "hello", None),
        ("by hand: view, CPU", "us", "hand: view, CPU", "getitem: view, CPU", "getitem", None),
        ("by hand: view, CPU", "us", "hand: view, CPU", "parts: view, CPU", "parts", None),
        ("by hand: view, CPU, cold caches", "us", "hand: view, cold", "getitem: view, cold", "getitem", None),
        ("by hand: view, CPU, cold caches", "us", "hand: view, cold", "parts: view, cold", "parts", None),
        ("by hand: view, median time", "ms", "hand: view, median", "getitem: view, median", "getitem", None),
        ("by hand: login, CPU", "us", "hand: login, CPU", "getitem: login, CPU", "getitem", None),
        ("by hand: page, CPU", "us", "hand, pages: page, CPU", "hello: page, CPU", "hello", None),
        ("view, CPU", "us", "product: view, CPU", "hand: view, CPU", "by hand", None),
        ("first login, CPU", "us", "product: login, CPU", "hand: login, CPU", "by hand", None),
        ("by hand: first view", "ms", "hand: first view", "hand: view, median", "warm", None),
        ("by hand: peak memory", "MiB", "hand: peak memory", "getitem: peak memory", "getitem", None),
        ("getitem: first view", "ms", "getitem: first view", "getitem: view, median", "warm", None),
        ("parts: first view", "ms", "parts: first view", "parts: view, median", "warm", None),
        ("first page", "ms", "product, pages: first page", "product, pages: page, median", "warm", None),
        ("parts: peak memory", "MiB", "parts: peak memory", "getitem: peak memory", "getitem", None),
    ];
    let rows = rows.map(|(measure, unit, of, against, floor, target)| Row {
        measure: measure.to_owned(),
        unit,
        of: of.to_owned(),
        against: against.to_owned(),
        floor,
        target,
    });
    rows.into()
}

/// A row with its figures: the medians over the rounds, and the median of the rounds' ratios.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) measure: String,
    unit: &'static str,
    value: f64,
    pub(crate) floor: &'static str,
    floor_value: f64,
    pub(crate) ratio: f64,
    pub(crate) target: Option<f64>,
}

impl Line {
    pub(crate) fn is_missed(&self) -> bool {
        self.target.is_some_and(|target| self.ratio > target)
    }
}

/// Returns the rows whose figures were measured.
pub(crate) fn lines(rows: &[Row], figures: &Figures) -> Vec<Line> {
    let lines = rows.iter().filter_map(|row| {
        Some(Line {
            measure: row.measure.clone(),
            unit: row.unit,
            value: figures.median(&row.of)?,
            floor: row.floor,
            floor_value: figures.median(&row.against)?,
            ratio: figures.ratio(&row.of, &row.against)?,
            target: row.target,
        })
    });
    lines.collect()
}

pub(crate) fn print<'a>(lines: impl Iterator<Item = &'a Line>) {
    println!(
        "{:<36} {:>10}     {:>10} {:<11} {:>6} {:>7}",
        "", "measured", "against", "", "ratio", "target"
    );
    for line in lines {
        let Line {
            measure,
            unit,
            value,
            floor,
            floor_value,
            ratio,
            ..
        } = line;
        let target = line.target.map(|target| format!("{target:.2}")).unwrap_or_default();
        let missed = if line.is_missed() { " MISSED" } else { "" };
        println!(
            "{measure:<36} {value:>10.3} {unit:<3} {floor_value:>10.3} {floor:<11} {ratio:>6.3} {target:>7}{missed}"
        );
    }
}
