//! The timeline as a drawing: one row for each command, one bar for each call.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::{
    files::{Rehearsed, moved},
    timeline,
};
use crate::protocol::view::EstimateSource;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 170.0;
const ROW: f64 = 22.0;
const TOP: f64 = 40.0;
/// More rows than this are one.
const MOST_ROWS: usize = 40;
const LAST_ROW: &str = "other commands";
/// Steps between the times on the axis, in seconds; the first that gives few enough is taken.
const STEPS: [f64; 14] = [
    1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0, 86_400.0, 432_000.0,
];
const MOST_TICKS: f64 = 10.0;

/// Draws all scripts on one axis of time.
pub(super) fn draw(all: &[Rehearsed]) -> String {
    let total: f64 = all.iter().map(Rehearsed::seconds).sum::<f64>().max(1.0);
    let mut rows: Vec<&str> = Vec::new();
    for entry in all.iter().flat_map(|one| &one.simulated.report.timeline) {
        if !rows.contains(&entry.command.as_str()) {
            rows.push(&entry.command);
        }
    }
    if rows.len() > MOST_ROWS {
        rows.truncate(MOST_ROWS);
        rows.push(LAST_ROW);
    }
    let height = TOP + ROW * rows.len() as f64 + 10.0;
    let across = |seconds: f64| LEFT + seconds / total * (WIDTH - LEFT - 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Timeline of the dry run</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    axis(&mut svg, all, total, height, &across);
    for (n, name) in rows.iter().enumerate() {
        let y = TOP + ROW * n as f64;
        let _ = writeln!(svg, "<text x=\"8\" y=\"{:.1}\">{}</text>", y + 15.0, escaped(name, 24));
    }
    let mut before = 0.0;
    for one in all {
        for entry in &one.simulated.report.timeline {
            let known = rows.iter().position(|row| *row == entry.command);
            let y = TOP + ROW * known.unwrap_or(MOST_ROWS) as f64 + 3.0;
            let x = across(before + entry.t0_s);
            let width = (across(before + entry.t0_s + entry.dt_s) - x).max(1.0);
            let line = entry.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let told = format!("{line}{} – {:.1} s", timeline::call(entry), entry.dt_s);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{}\"><title>{}</title></rect>",
                color(entry.source),
                escaped(&told, 300),
            );
        }
        before += one.seconds();
    }
    svg.push_str("</svg>\n");
    svg
}

fn axis(svg: &mut String, all: &[Rehearsed], total: f64, height: f64, across: &dyn Fn(f64) -> f64) {
    let Some(first) = all.first() else { return };
    let step = STEPS.iter().copied().find(|step| total / step <= MOST_TICKS).unwrap_or(total / MOST_TICKS);
    let mut at = 0.0;
    while at <= total {
        let x = across(at);
        let time = moved(first.begins_at, at).to_zoned(TimeZone::system());
        let time = time.strftime(if step < 60.0 { "%H:%M:%S" } else { "%H:%M" });
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"26\" x2=\"{x:.1}\" y2=\"{height:.1}\" stroke=\"#dddddd\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\" fill=\"#555555\">{time}</text>"
        );
        at += step;
    }
}

/// Colours that people with any kind of sight can tell apart.
fn color(source: EstimateSource) -> &'static str {
    match source {
        EstimateSource::Simulated => "#0072b2",
        EstimateSource::Formula => "#56b4e9",
        EstimateSource::History => "#009e73",
        EstimateSource::Author => "#e69f00",
        EstimateSource::Default => "#cc79a7",
        EstimateSource::Unknown => "#999999",
    }
}

/// Text that XML can carry, at most so many characters.
fn escaped(text: &str, longest: usize) -> String {
    let mut safe = String::new();
    for c in text.chars().filter(|c| !c.is_control()).take(longest) {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}
