//! Times as people write and read them.

use jiff::{Span, Timestamp, Zoned, civil, tz::TimeZone};

/// Reads a time: RFC 3339, a local date and time, a local time of day (the next one), or a span from now
/// (`2h`, `+30 min`, `-1 day`). Gives RFC 3339 with an offset.
///
/// # Errors
///
/// A sentence with the forms that are understood.
pub fn parse(text: &str) -> Result<String, String> {
    parse_at(text.trim(), &Zoned::now())
}

/// Accepts what [`parse`] does, as it is written: it can only be read when it is known from when it counts.
///
/// # Errors
///
/// A sentence with the forms that are understood.
pub fn checked(text: &str) -> Result<String, String> {
    parse(text).map(|_| text.trim().to_owned())
}

/// Reads a time as [`parse`] does, where times of day and spans count from an RFC 3339 time instead of now.
///
/// # Errors
///
/// A sentence with the forms that are understood.
pub fn parse_after(text: &str, start: &str) -> Result<String, String> {
    let now = Zoned::now();
    let start = start.parse::<Timestamp>().map_or(now, |start| start.to_zoned(TimeZone::system()));
    parse_at(text.trim(), &start)
}

fn parse_at(text: &str, now: &Zoned) -> Result<String, String> {
    let moment = absolute(text, now).or_else(|| {
        let span: Span = text.strip_prefix('+').unwrap_or(text).trim().parse().ok()?;
        now.checked_add(span).ok()
    });
    moment.map(|moment| rfc3339(&moment)).ok_or_else(|| {
        "write 2026-01-31T08:00:00Z, \"2026-01-31 08:00\", 08:00 (the next one) or a span such as 2h"
            .to_owned()
    })
}

fn absolute(text: &str, now: &Zoned) -> Option<Zoned> {
    let zone = now.time_zone();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.to_zoned(zone.clone()));
    }
    if let Ok(time) = text.parse::<civil::Time>().or_else(|_| civil::Time::strptime("%H:%M", text)) {
        let today = now.date().to_datetime(time).to_zoned(zone.clone()).ok()?;
        if today > *now {
            return Some(today);
        }
        return now.date().tomorrow().ok()?.to_datetime(time).to_zoned(zone.clone()).ok();
    }
    text.parse::<civil::DateTime>().ok()?.to_zoned(zone.clone()).ok()
}

fn rfc3339(moment: &Zoned) -> String {
    moment.timestamp().display_with_offset(moment.offset()).to_string()
}

/// An RFC 3339 time in local time: only the time of day when it is today, else with the date.
#[must_use]
pub fn short(time: &str) -> String {
    short_in(time, &Zoned::now())
}

fn short_in(time: &str, now: &Zoned) -> String {
    let Ok(moment) = time.parse::<Timestamp>() else { return time.to_owned() };
    let moment = moment.to_zoned(now.time_zone().clone());
    let form = if moment.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    moment.strftime(form).to_string()
}

/// The present local time of day.
#[must_use]
pub fn now() -> String {
    Timestamp::now().to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// The time from one RFC 3339 time to another in seconds.
#[must_use]
pub fn between(start: &str, end: &str) -> Option<f64> {
    let (start, end) = (start.parse::<Timestamp>().ok()?, end.parse::<Timestamp>().ok()?);
    Some(end.duration_since(start).as_secs_f64().max(0.0))
}

/// A duration in seconds as people say it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    // Beyond 10 s the fraction is noise. The conversion saturates, and durations are far below its limit.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds.round() as u64;
    match whole {
        0..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..=86_399 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-03-01T12:00:00+01:00[Europe/Zurich]".parse().unwrap_or_else(|_| {
            // Without a time zone database the offset alone serves as well.
            let zone = TimeZone::fixed(jiff::tz::offset(1));
            "2026-03-01T11:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone)
        })
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, moment) in [
            ("2026-03-02T08:00:00Z", "2026-03-02T09:00:00+01:00"),
            ("2026-03-02T08:00:00+05:00", "2026-03-02T04:00:00+01:00"),
            ("2026-03-02 08:00", "2026-03-02T08:00:00+01:00"),
            ("2026-03-02T08:00:30", "2026-03-02T08:00:30+01:00"),
            ("18:30", "2026-03-01T18:30:00+01:00"),
            ("08:00", "2026-03-02T08:00:00+01:00"),
            ("2h", "2026-03-01T14:00:00+01:00"),
            ("+30 min", "2026-03-01T12:30:00+01:00"),
            ("-1 day", "2026-02-28T12:00:00+01:00"),
        ] {
            assert_eq!(parse_at(text, &now()).as_deref(), Ok(moment), "{text}");
        }
        for text in ["", "soon", "25:00", "2026-13-01", "5"] {
            assert!(parse_at(text, &now()).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_today_are_shown_without_the_date() {
        assert_eq!(short_in("2026-03-01T09:15:20Z", &now()), "10:15:20");
        assert_eq!(short_in("2026-02-27T09:15:20Z", &now()), "2026-02-27 10:15");
        assert_eq!(short_in("no time", &now()), "no time");
    }

    #[test]
    fn durations_keep_two_units() {
        for (seconds, text) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.6, "1 min 00 s"),
            (185.0, "3 min 05 s"),
            (7620.0, "2 h 07 min"),
            (270_000.0, "3 d 03 h"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
