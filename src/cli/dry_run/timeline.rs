//! A rehearsed script for people: its timeline with times of day, devices, what is used, what is not reached.

use serde_json::{Map, Value};

use super::{
    super::{
        moment,
        render::Table,
        terminal::{Terminal, Tone},
    },
    files::{Rehearsed, moved},
};
use crate::{
    catalogue::python,
    protocol::view::{DeviceRange, EstimateSource, TimelineEntry},
};

/// A night has fewer; what is more is in the JSON.
const MOST_LINES: usize = 200;
const LONGEST_ARGUMENTS: usize = 60;

/// All of it, without the findings.
pub(super) fn lines(one: &Rehearsed, terminal: &Terminal) -> Vec<String> {
    let report = &one.simulated.report;
    let mut lines = vec![terminal.tone(Tone::Strong, &terminal.foreign(&one.name))];
    if !report.timeline.is_empty() {
        lines.extend(table(one).lines(terminal));
        let more = report.timeline.len().saturating_sub(MOST_LINES);
        if more > 0 {
            lines.push(format!("… and {more} more; --json has all of them"));
        }
    }
    if !report.devices.is_empty() {
        lines.push(String::new());
        lines.extend(devices(&report.devices).lines(terminal));
    }
    lines.push(String::new());
    lines.extend(counters(&report.totals.counters, terminal));
    lines.push(total(one));
    if !report.unreached_lines.is_empty() {
        lines.push(format!("not reached: {}", ranges(&report.unreached_lines)));
    }
    lines
}

fn table(one: &Rehearsed) -> Table {
    let mut table = Table::new(&["at", "line", "takes", "", "what"]);
    for entry in one.simulated.report.timeline.iter().take(MOST_LINES) {
        let at = moved(one.begins_at, entry.t0_s).to_string();
        let line = entry.line.map(|line| line.to_string()).unwrap_or_default();
        let takes = match entry.source {
            EstimateSource::Unknown => ("unknown".to_owned(), Some(Tone::Attention)),
            _ => (moment::duration(entry.dt_s), None),
        };
        let source = (source(entry.source).to_owned(), Some(Tone::Faint));
        table.row(vec![(moment::short(&at), None), (line, None), takes, source, (call(entry), None)]);
    }
    table
}

/// Where a duration comes from, where that is worth saying.
fn source(source: EstimateSource) -> &'static str {
    match source {
        EstimateSource::Simulated | EstimateSource::Unknown => "",
        EstimateSource::Formula => "formula",
        EstimateSource::History => "history",
        EstimateSource::Author => "author",
        EstimateSource::Default => "default",
    }
}

/// A call as a script writes it, without what nobody set.
pub(super) fn call(entry: &TimelineEntry) -> String {
    let said: Map<String, Value> = entry
        .arguments
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let arguments: String = python::arguments(&said).chars().take(LONGEST_ARGUMENTS + 1).collect();
    let cut = if arguments.chars().count() > LONGEST_ARGUMENTS { "…" } else { "" };
    let arguments: String = arguments.chars().take(LONGEST_ARGUMENTS).collect();
    format!("{}({arguments}{cut})", super::super::render::cell(&entry.command, 100))
}

fn devices(devices: &[DeviceRange]) -> Table {
    let mut table = Table::new(&["device", "start", "lowest", "highest", "end", ""]);
    for device in devices {
        let unit = device.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let value = |value: Option<f64>| {
            (value.map_or_else(|| "–".to_owned(), |value| format!("{}{unit}", number(value))), None)
        };
        let hit = device.limit_hit.then(|| ("beyond its limit".to_owned(), Some(Tone::Bad)));
        table.row(vec![
            (super::super::render::cell(&device.name, 40), None),
            value(device.start),
            value(device.min),
            value(device.max),
            value(device.end),
            hit.unwrap_or_default(),
        ]);
    }
    table
}

fn counters(counters: &std::collections::BTreeMap<String, Value>, terminal: &Terminal) -> Vec<String> {
    let of_kind = |kind: &str| -> Vec<String> {
        let found = counters.iter().filter(|(_, amount)| amount["kind"] == kind);
        found
            .filter_map(|(name, amount)| {
                let unit = amount["unit"].as_str().unwrap_or_default();
                Some(terminal.foreign(&format!("{} {unit} ({name})", number(amount["value"].as_f64()?))))
            })
            .collect()
    };
    let (counted, used) = (of_kind("counter"), of_kind("consumable"));
    let mut lines = Vec::new();
    if !counted.is_empty() {
        lines.push(format!("counts {}", counted.join(", ")));
    }
    if !used.is_empty() {
        lines.push(format!("uses up {}", used.join(", ")));
    }
    lines
}

fn total(one: &Rehearsed) -> String {
    let seconds = one.simulated.report.totals.seconds;
    let (Some(low), Some(expected), Some(high)) = (seconds.low, seconds.expected, seconds.high) else {
        return "how long it takes is not known".to_owned();
    };
    let least = if seconds.at_least { "at least " } else { "" };
    let interval = if high - low > 0.01 * expected.max(1.0) {
        format!(" ({} to {})", moment::duration(low), moment::duration(high))
    } else {
        String::new()
    };
    let done = moved(one.begins_at, expected).to_string();
    let when = if seconds.at_least { "not done before" } else { "done about" };
    format!("takes {least}{}{interval}, {when} {}", moment::duration(expected), moment::short(&done))
}

/// Four digits are enough for anything here; whole numbers stay whole.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 9.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and 9.
    let text = format!("{value:.*}", digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Lines as people write them: `3, 5–9`.
fn ranges(lines: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*line) => *last = *line,
            _ => parts.push((*line, *line)),
        }
    }
    let many = lines.len() > 1;
    let shown: Vec<_> = parts
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}–{last}") })
        .collect();
    format!("{} {}", if many { "lines" } else { "line" }, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_a_row_are_one_range() {
        assert_eq!(ranges(&[4]), "line 4");
        assert_eq!(ranges(&[3, 5, 6, 7, 9]), "lines 3, 5–7, 9");
    }

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        let shown = [0.0, 30.0, 2.5, 1.0 / 3.0, 0.001_234_56, 123_456.789, -5.25].map(number);
        assert_eq!(shown, ["0", "30", "2.5", "0.3333", "0.001235", "123457", "-5.25"]);
    }
}
