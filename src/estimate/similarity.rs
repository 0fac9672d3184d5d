//! How much one call is like another one of the same command.

use serde_json::{Map, Value};

/// What a parameter that differs leaves, when the values are no numbers that could be close.
const OTHER: f64 = 0.3;
/// How fast numbers become unlike: at a factor of e the rest is a third.
const PER_FACTOR: f64 = 2.0;
/// Numbers smaller than this are taken for equal: they are zero but for rounding.
const ZERO: f64 = 1e-9;

/// 1 for the same arguments, less the more they differ, never 0.
pub(super) fn similarity(one: &Map<String, Value>, other: &Map<String, Value>) -> f64 {
    let only_there = other.keys().filter(|name| !one.contains_key(*name)).count();
    let here: f64 = one
        .iter()
        .map(|(name, value)| other.get(name).map_or(OTHER, |other| closeness(value, other)))
        .product();
    here * OTHER.powi(i32::try_from(only_there).unwrap_or(i32::MAX))
}

fn closeness(one: &Value, other: &Value) -> f64 {
    if one == other {
        return 1.0;
    }
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => {
            let (size, other_size) = (one.abs() + ZERO, other.abs() + ZERO);
            let close = 1.0 / (1.0 + PER_FACTOR * (size / other_size).ln().abs());
            let opposite = one * other < 0.0;
            if opposite { close * OTHER } else { close.max(OTHER * OTHER) }
        }
        _ => OTHER,
    }
}
