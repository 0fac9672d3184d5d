//! A duration that is not known exactly, and the sum of many.

use crate::protocol::view::{Estimate, EstimateSource};

/// A duration that is not known exactly, in seconds: nine of ten take at least `low`, nine of ten at most
/// `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The low end.
    pub low: f64,
    /// What is expected.
    pub expected: f64,
    /// The high end.
    pub high: f64,
}

/// How much shorter and longer something may take that was computed and never measured.
const COMPUTED: (f64, f64) = (0.8, 1.25);

impl Interval {
    /// The interval around what a formula or a simulation says.
    #[must_use]
    pub fn computed(seconds: f64) -> Self {
        Self { low: seconds * COMPUTED.0, expected: seconds, high: seconds * COMPUTED.1 }
    }

    /// The same interval around another centre.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { low: self.low * factor, expected: self.expected * factor, high: self.high * factor }
    }
}

/// An interval and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The interval.
    pub interval: Interval,
    /// What it rests on.
    pub source: EstimateSource,
}

impl Guess {
    /// The guess as clients see it.
    #[must_use]
    pub fn view(self, at_least: bool) -> Estimate {
        let Interval { low, expected, high } = self.interval;
        let round = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        Estimate {
            low_s: round(low),
            expected_s: round(expected),
            high_s: round(high),
            source: self.source,
            at_least,
        }
    }
}

/// The sum of guesses, some of which may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    expected: f64,
    /// How far the ends lie below and above when everything goes wrong together …
    sum: (f64, f64),
    /// … and the squares, for when everything goes its own way.
    squares: (f64, f64),
    /// The seconds that rest on history, and those that rest on what the parts were computed with.
    by_history: f64,
    by_source: Option<EstimateSource>,
    parts: u32,
    unknown: u32,
}

impl Total {
    /// Adds a part; `None` for one of which nothing is known.
    pub fn add(&mut self, part: Option<Guess>) {
        let Some(Guess { interval, source }) = part else {
            self.unknown += 1;
            return;
        };
        let below = (interval.expected - interval.low).max(0.0);
        let above = (interval.high - interval.expected).max(0.0);
        self.expected += interval.expected;
        self.sum = (self.sum.0 + below, self.sum.1 + above);
        self.squares = (self.squares.0 + below * below, self.squares.1 + above * above);
        match source {
            EstimateSource::History => self.by_history += interval.expected,
            other => {
                self.by_source.get_or_insert(other);
            }
        }
        self.parts += 1;
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unknown == 0
    }

    /// The sum of what is known. `None` when nothing is, or when what is known amounts to nothing beside
    /// something unknown: that is no estimate.
    #[must_use]
    pub fn guess(&self) -> Option<Guess> {
        if self.parts == 0 || (self.unknown > 0 && self.expected <= 0.0) {
            return None;
        }
        // Parts neither all fail together nor are they strangers to each other: half way.
        let half_way = |sum: f64, squares: f64| f64::midpoint(sum, squares.sqrt());
        let interval = Interval {
            low: (self.expected - half_way(self.sum.0, self.squares.0)).max(0.0),
            expected: self.expected,
            high: self.expected + half_way(self.sum.1, self.squares.1),
        };
        let source = match self.by_source {
            Some(source) if self.by_history <= self.expected / 2.0 => source,
            _ => EstimateSource::History,
        };
        Some(Guess { interval, source })
    }
}
