//! What comes out: one line for each figure.

use std::fmt;

/// A measured value with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quantity {
    Milliseconds(f64),
    PerSecond(f64),
    MiB(f64),
    MiBPerSecond(f64),
    Times(f64),
    Count(f64),
}

impl Quantity {
    fn value(self) -> f64 {
        match self {
            Self::Milliseconds(value)
            | Self::PerSecond(value)
            | Self::MiB(value)
            | Self::MiBPerSecond(value)
            | Self::Times(value)
            | Self::Count(value) => value,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self {
            Self::Milliseconds(_) => " ms",
            Self::PerSecond(_) => " /s",
            Self::MiB(_) => " MiB",
            Self::MiBPerSecond(_) => " MiB/s",
            Self::Times(_) => " ×",
            Self::Count(value) => return write!(f, "{value:.0}"),
        };
        write!(f, "{}{unit}", short(self.value()))
    }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// What a figure has to be, in its own unit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    LessThan(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::LessThan(limit) => value < limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::LessThan(limit) => write!(f, "< {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

#[derive(Debug)]
struct Row {
    figure: String,
    measured: Quantity,
    target: Option<Target>,
    against: Option<(String, Quantity)>,
}

/// All lines so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure that has a target.
    pub(crate) fn figure(
        &mut self,
        figure: impl Into<String>,
        measured: Quantity,
        target: Target,
        against: (&str, Quantity),
    ) {
        let against = Some((against.0.to_owned(), against.1));
        self.rows.push(Row { figure: figure.into(), measured, target: Some(target), against });
    }

    /// Adds a target that is itself a comparison.
    pub(crate) fn comparison(&mut self, figure: impl Into<String>, times: f64, target: Target) {
        let measured = Quantity::Times(times);
        self.rows.push(Row { figure: figure.into(), measured, target: Some(target), against: None });
    }

    /// Adds something that is worth knowing and has no target.
    pub(crate) fn remark(
        &mut self,
        figure: impl Into<String>,
        measured: Quantity,
        against: Option<(&str, Quantity)>,
    ) {
        let against = against.map(|(name, quantity)| (name.to_owned(), quantity));
        self.rows.push(Row { figure: figure.into(), measured, target: None, against });
    }

    /// Prints everything as a Markdown table, after a line about the machine.
    pub(crate) fn print(&self, quick: bool) {
        println!("\n{}", machine());
        if quick {
            println!("quick mode: too few repetitions to trust these numbers");
        }
        println!();
        let cells = self.rows.iter().map(|row| {
            let measured = row.measured.value();
            [
                row.figure.clone(),
                row.measured.to_string(),
                row.target.map(|target| target.to_string()).unwrap_or_default(),
                match row.target.map(|target| target.is_met_by(measured)) {
                    Some(true) => "met".to_owned(),
                    Some(false) => "NOT MET".to_owned(),
                    None => String::new(),
                },
                row.against.as_ref().map(|(name, value)| format!("{name}: {value}")).unwrap_or_default(),
                row.against.as_ref().map(|(_, value)| short(measured / value.value())).unwrap_or_default(),
            ]
        });
        let head = ["figure", "measured", "target", "", "against, in the same run", "ratio"];
        let lines: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(cells).collect();
        let widths: Vec<_> = (0..head.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        for (number, line) in lines.iter().enumerate() {
            let cells: Vec<_> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("| {} |", cells.join(" | "));
            if number == 0 {
                let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
    }
}

/// The machine and how busy it is with other things.
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{cpus} × {model}, Linux {}, load average of the last minute {load}", kernel.trim())
}
