//! Durations and sizes as people write them: with their unit, always.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest duration that a configuration or a request may name: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

const DURATION_UNITS: &[(&[&str], u64)] = &[
    (&["ms"], 1),
    (&["s", "sec", "second", "seconds"], 1_000),
    (&["m", "min", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Why a text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A number without unit.
    #[error("`{number}` has no unit; write for example \"{example}\"")]
    NoUnit {
        /// The number.
        number: String,
        /// The same number with a likely unit.
        example: String,
    },
    /// A unit that does not exist.
    #[error("`{unit}` is not a unit of {what}; use {allowed}")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// `time` or `size`.
        what: &'static str,
        /// The units that exist.
        allowed: &'static str,
    },
    /// Not a number with a unit at all.
    #[error("`{text}` is not a {what}; write for example {example}")]
    Malformed {
        /// The text.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
        /// How one looks.
        example: &'static str,
    },
    /// More than anyone can mean.
    #[error("`{text}` is too much; the most is {most}")]
    TooMuch {
        /// The text.
        text: String,
        /// The limit.
        most: &'static str,
    },
}

/// Reads a duration: numbers with units, added up, such as `10s`, `1.5h`, `1h 30m`, `500 ms`, `2 days`.
///
/// # Errors
///
/// [`UnitError`], which says what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let malformed = || UnitError::Malformed {
        text: shortened(text),
        what: "duration",
        example: "\"10s\", \"5m\" or \"1h 30m\"",
    };
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(malformed());
    }
    while !rest.is_empty() {
        let (number, unit, remaining) = number_and_unit(rest).ok_or_else(malformed)?;
        if unit.is_empty() {
            return Err(UnitError::NoUnit { number: number.into(), example: format!("{number}s") });
        }
        let known = DURATION_UNITS.iter().find(|(names, _)| names.contains(&unit));
        let (_, milliseconds) = known.ok_or_else(|| UnitError::UnknownUnit {
            unit: shortened(unit),
            what: "time",
            allowed: "ms, s, m, h or d",
        })?;
        total += number.parse::<f64>().map_err(|_| malformed())? * exact(*milliseconds);
        rest = remaining;
    }
    let duration = Duration::try_from_secs_f64((total / 1000.0).min(1e15)).map_err(|_| malformed())?;
    if duration > LONGEST {
        return Err(UnitError::TooMuch { text: shortened(text), most: "100 years (36600d)" });
    }
    // What people write has milliseconds at most; below that is only the error of a binary fraction.
    Ok(Duration::from_millis(u64::try_from((duration.as_nanos() + 500_000) / 1_000_000).unwrap_or(u64::MAX)))
}

/// Writes a duration in the form that [`parse_duration`] reads: `1d 2h`, `90s` as `1m 30s`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, milliseconds) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    {
        if rest >= milliseconds {
            parts.push(format!("{}{unit}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

/// Reads a size: a number with a unit, such as `64 MiB` (binary) or `16 MB` (decimal).
///
/// # Errors
///
/// [`UnitError`], which says what to write instead.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let malformed =
        || UnitError::Malformed { text: shortened(text), what: "size", example: "\"64 MiB\" or \"16 MB\"" };
    let (number, unit, rest) = number_and_unit(text.trim()).ok_or_else(malformed)?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    if unit.is_empty() {
        return Err(UnitError::NoUnit { number: number.into(), example: format!("{number} MiB") });
    }
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let (_, bytes) = known.ok_or_else(|| UnitError::UnknownUnit {
        unit: shortened(unit),
        what: "size",
        allowed: "B, kB, MB, GB, KiB, MiB or GiB",
    })?;
    let size = number.parse::<f64>().map_err(|_| malformed())? * exact(*bytes);
    if size > exact(1 << 50) {
        return Err(UnitError::TooMuch { text: shortened(text), most: "1048576 GiB" });
    }
    // Bounded above and never negative, so this keeps the value.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(size.round() as u64)
}

/// Writes a size in the form that [`parse_size`] reads, exactly.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("MB", 1_000_000), ("kB", 1_000)];
    match units.iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// Splits `1.5 h 30m` into `1.5`, `h` and the rest `30m`.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let plausible = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    let rest = rest.trim_start();
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    plausible.then(|| (number, unit, rest.trim_start()))
}

/// Factors of units are below 2^53, where `f64` is exact.
#[allow(clippy::cast_precision_loss)]
fn exact(factor: u64) -> f64 {
    factor as f64
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(40).chain("…".chars()).collect()
}

/// A duration: `"10s"`, `"1h 30m"`, `"1d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

/// A duration, or `none` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalDuration(pub Option<Duration>);

/// A size in bytes: `"64 MiB"`, `"16 MB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeText(pub u64);

/// A size in bytes, or `none` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalSize(pub Option<u64>);

impl FromStr for DurationText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_duration(text).map(Self)
    }
}

impl FromStr for OptionalDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "none" { Ok(Self(None)) } else { parse_duration(text).map(|value| Self(Some(value))) }
    }
}

impl FromStr for SizeText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_size(text).map(Self)
    }
}

impl FromStr for OptionalSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "none" { Ok(Self(None)) } else { parse_size(text).map(|value| Self(Some(value))) }
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl fmt::Display for OptionalDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map_or("none".into(), format_duration))
    }
}

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_size(self.0))
    }
}

impl fmt::Display for OptionalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map_or("none".into(), format_size))
    }
}

macro_rules! as_text {
    ($($name:ident: $pattern:expr;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // As text also where a bare number stands, so that the error can show it.
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    )*};
}

as_text! {
    DurationText: r"^([0-9]+(\.[0-9]+)? ?[a-z]+ ?)+$";
    OptionalDuration: r"^(none|([0-9]+(\.[0-9]+)? ?[a-z]+ ?)+)$";
    SizeText: r"^[0-9]+(\.[0-9]+)? ?([kKMG]?B|[KMG]iB)$";
    OptionalSize: r"^(none|[0-9]+(\.[0-9]+)? ?([kKMG]?B|[KMG]iB))$";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1d", 86_400_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("1.5 h", 5_400_000),
            ("500 ms", 500),
            ("0s", 0),
            ("10 min", 600_000),
            ("2 hours 1 minute", 7_260_000),
            ("0.1s", 100),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal_as_their_unit_says() {
        for (text, bytes) in
            [("64 MiB", 64 << 20), ("16 MB", 16_000_000), ("1.5KiB", 1_536), ("0 B", 0), ("2 kB", 2_000)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_meant_badly_is_refused_with_what_to_write_instead() {
        let duration = |text| parse_duration(text).unwrap_err().to_string();
        assert_eq!(duration("10"), "`10` has no unit; write for example \"10s\"");
        assert_eq!(duration("1h 30"), "`30` has no unit; write for example \"30s\"");
        assert_eq!(duration("10 parsecs"), "`parsecs` is not a unit of time; use ms, s, m, h or d");
        assert_eq!(
            duration("soon"),
            "`soon` is not a duration; write for example \"10s\", \"5m\" or \"1h 30m\""
        );
        assert_eq!(
            duration("-5s"),
            "`-5s` is not a duration; write for example \"10s\", \"5m\" or \"1h 30m\""
        );
        assert_eq!(duration("9999999d"), "`9999999d` is too much; the most is 100 years (36600d)");
        let size = |text| parse_size(text).unwrap_err().to_string();
        assert_eq!(size("16"), "`16` has no unit; write for example \"16 MiB\"");
        assert_eq!(size("16 mb"), "`mb` is not a unit of size; use B, kB, MB, GB, KiB, MiB or GiB");
        assert_eq!(size("big"), "`big` is not a size; write for example \"64 MiB\" or \"16 MB\"");
        assert_eq!(size("1 MiB 2 B"), "`1 MiB 2 B` is not a size; write for example \"64 MiB\" or \"16 MB\"");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(milliseconds in 0..3_000_000_000_000_u64, bytes in 0..(1_u64 << 50)) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in "\\PC{0,60}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
