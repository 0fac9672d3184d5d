//! From the outcome of every pair to a Mermaid state diagram.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

/// What one event does in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The machine goes to this state, perhaps its own with other data.
    Moves(String),
    /// The machine stays, and something changed or is wanted.
    Acts,
    /// The machine stays, nothing changes, and the event counts as accepted.
    Nothing,
    /// The machine says why not.
    Refuses,
}

/// One pair that was driven.
pub struct Row {
    pub state: String,
    /// The superstates around it, outermost first.
    pub inside: Vec<String>,
    pub event: String,
    pub outcome: Outcome,
}

/// An event that is accepted and leaves no trace looks like one that was forgotten.
pub fn only_these_pass_without_a_trace(rows: &[Row], known: &[(&str, &str)]) {
    let silent: BTreeSet<_> = rows
        .iter()
        .filter(|row| row.outcome == Outcome::Nothing)
        .map(|row| (row.state.as_str(), row.event.as_str()))
        .collect();
    assert_eq!(
        silent,
        known.iter().copied().collect(),
        "accepted in silence (left), known and reasoned (right)"
    );
}

/// Compares the committed diagram with the one that the machine draws.
pub fn check(file: &str, initial: &str, rows: &[Row]) {
    let drawn = draw(initial, rows);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, drawn, "{file} is not what the machine does; BEAMQ_BLESS=1 writes it anew");
}

struct Chart<'a> {
    /// The superstates around each state.
    inside: BTreeMap<&'a str, &'a [String]>,
    /// Each state or superstate with what leads from it where.
    edges: BTreeSet<(&'a str, &'a str, &'a str)>,
}

fn draw(initial: &str, rows: &[Row]) -> String {
    let mut chart = Chart { inside: BTreeMap::new(), edges: BTreeSet::new() };
    let mut stays: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // A superstate around everything says nothing in a picture.
    let around_all = |name: &String| rows.iter().all(|row| row.inside.first() == Some(name));
    for row in rows {
        let outer = usize::from(row.inside.first().is_some_and(around_all));
        chart.inside.insert(&row.state, &row.inside[outer..]);
        match &row.outcome {
            Outcome::Moves(to) => {
                chart.edges.insert((&row.state, &row.event, to));
            }
            Outcome::Acts => {
                stays.entry(&row.state).or_default().insert(&row.event);
            }
            Outcome::Nothing | Outcome::Refuses => {}
        }
    }
    let mut text = format!("stateDiagram-v2\n    [*] --> {initial}\n");
    chart.write_states(&[], 1, &mut text);
    let levels = chart.inside.values().map(|inside| inside.len()).max().unwrap_or(0);
    for level in 0..levels {
        chart.hoist(level);
    }
    let mut labels: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, event, to) in &chart.edges {
        labels.entry((from, to)).or_default().push(event);
    }
    for ((from, to), events) in &labels {
        writeln!(text, "    {from} --> {to} : {}", events.join(", ")).unwrap();
    }
    let left: BTreeSet<_> = rows
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::Moves(_)))
        .map(|row| row.state.as_str())
        .collect();
    for state in chart.inside.keys().filter(|state| !left.contains(*state)) {
        writeln!(text, "    {state} --> [*]").unwrap();
    }
    text.push_str("    %% What happens within a state, without leaving it:\n");
    for (state, events) in stays {
        let events: Vec<_> = events.into_iter().collect();
        writeln!(text, "    %% {state}: {}", events.join(", ")).unwrap();
    }
    text
}

impl<'a> Chart<'a> {
    /// Writes the states that are directly within `around`, and the composite states with theirs.
    fn write_states(&self, around: &[String], depth: usize, text: &mut String) {
        let indent = "    ".repeat(depth);
        let mut composites = BTreeSet::new();
        for (state, inside) in &self.inside {
            if !inside.starts_with(around) {
                continue;
            }
            match inside.get(around.len()) {
                None => writeln!(text, "{indent}{state}").unwrap(),
                Some(composite) => {
                    composites.insert(composite);
                }
            }
        }
        for composite in composites {
            let mut path = around.to_vec();
            path.push(composite.clone());
            writeln!(text, "{indent}state {composite} {{").unwrap();
            self.write_states(&path, depth + 1, text);
            writeln!(text, "{indent}}}").unwrap();
        }
    }

    /// What leads from every state of a superstate to the same place is drawn once, from the superstate.
    fn hoist(&mut self, level: usize) {
        let composites: BTreeSet<&'a [String]> =
            self.inside.values().filter_map(|inside| inside.get(..=level)).collect();
        for path in composites {
            let members: Vec<&str> = self
                .inside
                .iter()
                .filter(|(_, inside)| inside.starts_with(path))
                .map(|(state, _)| *state)
                .collect();
            let (Some(name), Some(first)) = (path.last(), members.first()) else { continue };
            let from_first: Vec<_> = self.edges.iter().filter(|edge| edge.0 == *first).copied().collect();
            for (_, event, to) in from_first {
                // Mermaid cannot draw an edge from a superstate into itself.
                let leaves = members.len() > 1 && !members.contains(&to);
                if leaves && members.iter().all(|from| self.edges.contains(&(*from, event, to))) {
                    self.edges.retain(|edge| !(members.contains(&edge.0) && edge.1 == event && edge.2 == to));
                    self.edges.insert((name, event, to));
                }
            }
        }
    }
}
