//! The ratios that have targets as a picture: one bar for each, and a line at 1.

use std::fmt::Write as _;

use crate::table::Line;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 250.0;
const ROW: f64 = 24.0;
const TOP: f64 = 74.0;
/// The pixels of a ratio of 1, and the longest bar.
const ONE: f64 = 180.0;
const LONGEST: f64 = 2.0;

/// Draws an SVG that is readable on light and dark pages.
pub(crate) fn draw(lines: &[Line]) -> String {
    let mut bars = String::new();
    let mut bottom = TOP;
    for line in lines.iter().filter(|line| line.target.is_some()) {
        bar(&mut bars, bottom, line);
        bottom += ROW;
    }
    let (height, at_one, foot) = (bottom + 16.0, LEFT + ONE, bottom + 6.0);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"
 role="img" aria-label="What the function takes, as ratios to programs that do less">
<style>text{{font:13px system-ui,sans-serif;fill:#57606a}}.v{{font-weight:600}}.u{{fill:#2da44e}}
.o{{fill:#d4a72c}}.m{{fill:#cf222e}}line{{stroke:#57606a;stroke-dasharray:4 3}}
@media(prefers-color-scheme:dark){{text{{fill:#9ea7b3}}line{{stroke:#9ea7b3}}}}</style>
<text x="12" y="24" class="v">What the function takes, as ratios to programs that do less</text>
<text x="12" y="44">green: at most as much; yellow: more, within the target; red: over the target</text>
<text x="{at_one}" y="64" text-anchor="middle">1.00</text>
<line x1="{at_one}" y1="70" x2="{at_one}" y2="{foot}"/>
{bars}</svg>
"#
    )
}

fn bar(svg: &mut String, y: f64, line: &Line) {
    let Line {
        measure, floor, ratio, ..
    } = line;
    let class = match ratio {
        _ if line.is_missed() => "m",
        ..=1.0 => "u",
        _ => "o",
    };
    let (middle, width) = (y + 15.0, ratio.min(LONGEST) * ONE);
    let (end, top) = (LEFT + width + 6.0, y + 4.0);
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        r#"<text x="{x}" y="{middle}" text-anchor="end">{measure}</text>
<rect class="{class}" x="{LEFT}" y="{top}" width="{width:.1}" height="16" rx="2"/>
<text x="{end:.1}" y="{middle}"><tspan class="v">{ratio:.2}</tspan> × {floor}</text>"#,
        x = LEFT - 10.0,
    );
}
