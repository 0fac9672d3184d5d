//! The cells of a script (`# %% Title`), which are its steps: known from the line that runs.

use beamq_machines::Basis;

use crate::estimate::cell_markers;

/// No title is longer.
const LONGEST_TITLE: usize = 200;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    line: u32,
    pub(super) title: String,
    /// How far the job is when the cell begins.
    pub(super) percent: Option<f64>,
    /// Whether nothing begins at its marker.
    inside: bool,
}

/// The cells of a script, and which one has been reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    tagged: bool,
    reached: Option<usize>,
}

impl Cells {
    pub(super) fn of(source: &str) -> Self {
        let markers = cell_markers(source);
        let tagged = markers.iter().any(|marker| marker.progress.is_some());
        let known: Vec<f64> = markers.iter().filter_map(|marker| marker.estimate_s).collect();
        // A cell without an estimate takes as long as the others do.
        let usual = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
        let total: f64 = markers.iter().map(|marker| marker.estimate_s.unwrap_or(usual)).sum();
        let weighed = !tagged && markers.len() > 1 && total > 0.0;
        let mut done: f64 = 0.0;
        let cells = markers.into_iter().enumerate().map(|(n, marker)| {
            let share = weighed.then(|| (100.0 * done / total * 10.0).round() / 10.0);
            done += marker.estimate_s.unwrap_or(usual);
            let title = match marker.title.is_empty() {
                true => format!("Cell {}", n + 1),
                false => marker.title.chars().take(LONGEST_TITLE).collect(),
            };
            let percent = if tagged { marker.progress } else { share };
            Cell { line: marker.line, title, percent, inside: marker.inside }
        });
        Self { cells: cells.collect(), tagged, reached: None }
    }

    /// What the percentages of these cells rest on.
    pub(super) fn basis(&self) -> Basis {
        if self.tagged { Basis::Tags } else { Basis::Cells }
    }

    /// The cell that runs, when this line does. A line of a function that an earlier cell defines may run in a
    /// later one: cells are never gone back to.
    pub(super) fn enter(&mut self, line: u32) -> Option<&Cell> {
        let here = self.cells.iter().rposition(|cell| cell.line <= line && !cell.inside);
        self.reached = self.reached.max(here);
        self.cells.get(self.reached?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn entered(source: &str, lines: &[u32]) -> Vec<Option<(String, Option<f64>)>> {
        let mut cells = Cells::of(source);
        let mut enter = |line| cells.enter(line).map(|cell| (cell.title.clone(), cell.percent));
        lines.iter().map(|line| enter(*line)).collect()
    }

    #[test]
    fn the_step_follows_the_line_and_never_goes_back() {
        let source = "x = 1\n# %% Cool [K] [beamq] estimate=\"30 s\"\ndef f():\n    pass\n# %%\nf()\n\
                      for i in range(2):\n    pass\n# %% within\n    pass\nt = '''\n# %% text\n'''\n";
        let cool = Some(("Cool [K]".to_owned(), Some(0.0)));
        let second = Some(("Cell 2".to_owned(), Some(33.3)));
        assert_eq!(
            entered(source, &[1, 3, 6, 4, 10, 12]),
            [None, cool, second.clone(), second.clone(), second.clone(), second]
        );
    }

    #[test]
    fn the_authors_progress_counts_more_than_estimates() {
        let source = "# %% a [beamq] progress=10 estimate=60\nx\n# %% notes [md]\n# %% b\nx\n\
                      # %% c [beamq] progress=80%\nx\n";
        let cells = Cells::of(source);
        assert_eq!(cells.basis(), Basis::Tags);
        let percents: Vec<_> = cells.cells.iter().map(|cell| (cell.line, cell.percent)).collect();
        assert_eq!(percents, [(1, Some(10.0)), (4, None), (6, Some(80.0))]);
        assert_eq!(Cells::of("# %% only one\nx\n").cells[0].percent, None);
    }
}
