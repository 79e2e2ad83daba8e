//! The ratios as a picture: one bar for each figure, and a line at the floor.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 250.0;
const ROW: f64 = 24.0;
const TOP: f64 = 74.0;
/// The pixels of a ratio of 1.
const ONE: f64 = 110.0;
const LONGEST: f64 = 3.3;

/// The figures that are shown: as the JSON names them, and in words.
const SHOWN: [(&str, &str, &str); 13] = [
    ("cpu", "anonymous page", "anonymous page, CPU"),
    ("cpu", "view", "view, CPU"),
    ("cold", "view", "view, CPU, cold caches"),
    ("p50", "view", "view, median time"),
    ("cpu", "login", "first login, CPU"),
    ("start", "first view, against a warm one", "first view after start"),
    ("tls", "first view, against a warm one", "first view after start, TLS"),
    ("start", "first view", "first view after start"),
    ("tls", "first view", "first view after start, TLS"),
    ("size", "peak memory", "peak memory"),
    ("size", "zipped artifact", "zipped artifact"),
    ("limit", "view", "view, CPU"),
    ("limit", "cold view", "view, CPU, cold caches"),
];

/// Draws the JSON that the bench writes as an SVG, which is readable on light and dark pages.
pub(crate) fn draw(json: &Value) -> String {
    let empty = Vec::new();
    let figures = json["figures"].as_array().unwrap_or(&empty);
    let mut bars = String::new();
    let mut rows = 0.0;
    for (group, measure, label) in SHOWN {
        let Some(figure) = figures
            .iter()
            .find(|one| one["group"] == group && one["measure"] == measure)
        else {
            continue;
        };
        let Some(ratio) = figure["ratio"].as_f64() else {
            continue;
        };
        bar(&mut bars, TOP + rows * ROW, label, ratio, figure);
        rows += 1.0;
    }
    let height = TOP + rows * ROW + 16.0;
    let (line, bottom) = (LEFT + ONE, height - 10.0);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"
 role="img" aria-label="What the function takes, as ratios to the least that could do the same">
<style>text{{font:13px system-ui,sans-serif;fill:#57606a}}.v{{font-weight:600}}.u{{fill:#2da44e}}
.o{{fill:#d4a72c}}.m{{fill:#cf222e}}line{{stroke:#57606a;stroke-dasharray:4 3}}
@media(prefers-color-scheme:dark){{text{{fill:#9ea7b3}}line{{stroke:#9ea7b3}}}}</style>
<text x="12" y="24" class="v">What the function takes, as ratios to the least that could do the same</text>
<text x="12" y="44">green: less than that; yellow: more, within the target; red: over the target</text>
<text x="{line}" y="64" text-anchor="middle">1.00</text>
<line x1="{line}" y1="70" x2="{line}" y2="{bottom}"/>
{bars}</svg>
"#
    )
}

fn bar(svg: &mut String, y: f64, label: &str, ratio: f64, figure: &Value) {
    let over_target = figure["target"].as_f64().is_some_and(|target| ratio > target);
    let class = match ratio {
        _ if over_target => "m",
        ..=1.0 => "u",
        _ => "o",
    };
    let (middle, width) = (y + 15.0, ratio.min(LONGEST) * ONE);
    let (end, top) = (LEFT + width + 6.0, y + 4.0);
    let floor = figure["floor"]["is"].as_str().unwrap_or_default();
    let floor = match floor.split(' ').next().unwrap_or_default() {
        "product" => "warm",
        floor => floor,
    };
    let _ = writeln!(
        svg,
        r#"<text x="{x}" y="{middle}" text-anchor="end">{label}</text>
<rect class="{class}" x="{LEFT}" y="{top}" width="{width:.1}" height="16" rx="2"/>
<text x="{end:.1}" y="{middle}"><tspan class="v">{ratio:.2}</tspan> × {floor}</text>"#,
        x = LEFT - 10.0,
    );
}
