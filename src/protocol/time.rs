//! Times and durations as clients write and read them.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr, time::Duration};

use beamq_machines::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

/// What a time should have looked like.
const TIME_FORM: &str = "a time with offset such as 2026-03-01T08:30:00+01:00";
/// What a duration should have looked like.
const DURATION_FORM: &str = r#"a duration such as "90s", "10m", "2h", "1h 30m" or "1d""#;

/// Reads a text of a form that an error can name.
struct Parsed<T>(&'static str, PhantomData<T>);

impl<T: FromStr> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A time with its offset from UTC, as RFC 3339 has it. Written in the server's time zone, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rfc3339(pub Timestamp);

impl From<Timestamp> for Rfc3339 {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is beyond the years that can be written shows as the last one that can.
        let time = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or(if self.0.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        let offset = jiff::tz::TimeZone::system().to_offset(time);
        time.display_with_offset(offset).fmt(f)
    }
}

impl FromStr for Rfc3339 {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|time| Self(Timestamp(time.as_millisecond())))
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rfc3339 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(TIME_FORM, PhantomData))
    }
}

impl JsonSchema for Rfc3339 {
    fn schema_name() -> Cow<'static, str> {
        "Rfc3339".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "description": "A time with its offset, RFC 3339."})
    }
}

/// A duration written as text with units: `"90s"`, `"1h 30m"`. Units: `ms`, `s`, `m` or `min`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(pub Duration);

impl DurationText {
    /// The duration in milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {DURATION_FORM}")]
pub struct NotADuration;

impl FromStr for DurationText {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return Err(NotADuration);
        }
        while !rest.is_empty() {
            let (number, tail) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
            let (unit, tail) = split_where(tail.trim_start(), |c| !c.is_ascii_alphabetic());
            let seconds_each = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(NotADuration),
            };
            let number: f64 = number.parse().map_err(|_| NotADuration)?;
            let part = Duration::try_from_secs_f64(number * seconds_each).map_err(|_| NotADuration)?;
            total = total.checked_add(part).ok_or(NotADuration)?;
            rest = tail.trim_start();
        }
        Ok(Self(total))
    }
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut milliseconds = self.0.as_millis();
        if milliseconds == 0 {
            return f.write_str("0s");
        }
        let mut gap = "";
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let count = milliseconds / length;
            milliseconds %= length;
            if count > 0 {
                write!(f, "{gap}{count}{unit}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(DURATION_FORM, PhantomData))
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*([0-9.]+\s*(ms|s|m|min|h|d)\s*)+$",
            "description": "A duration with units: \"90s\", \"10m\", \"1h 30m\", \"1d\".",
            "examples": ["2h"]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, seconds) in
            [("90s", 90.0), ("10m", 600.0), ("1.5 h", 5400.0), ("1h 30m", 5400.0), ("250ms", 0.25)]
        {
            assert_eq!(text.parse(), Ok(DurationText(Duration::from_secs_f64(seconds))), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_duration_are_refused() {
        for text in
            ["", " ", "2", "h", "2 fortnights", "-1s", "1..2s", "9e9h", "99999999999999999999d", "2h,"]
        {
            assert_eq!(text.parse::<DurationText>(), Err(NotADuration), "{text}");
        }
    }

    #[test]
    fn a_time_without_offset_is_refused() {
        assert!("2026-03-01T08:30:00".parse::<Rfc3339>().is_err());
        assert_eq!("1970-01-01T01:00:00.25+01:00".parse::<Rfc3339>().unwrap(), Rfc3339(Timestamp(250)));
    }

    proptest! {
        #[test]
        fn a_duration_reads_back(milliseconds in 0..10_000_000_000_u64) {
            let duration = DurationText(Duration::from_millis(milliseconds));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn any_text_is_a_duration_or_not(text in any::<String>()) {
            let _ = text.parse::<DurationText>();
        }

        #[test]
        fn any_time_can_be_written(milliseconds in any::<i64>()) {
            prop_assert!(!Rfc3339(Timestamp(milliseconds)).to_string().is_empty());
        }

        #[test]
        fn a_time_reads_back(milliseconds in -60_000_000_000_000..250_000_000_000_000_i64) {
            let time = Rfc3339(Timestamp(milliseconds));
            prop_assert_eq!(time.to_string().parse::<Rfc3339>().unwrap(), time);
        }
    }
}
