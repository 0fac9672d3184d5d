//! The `heart-beat` header: how often each side can send something, and how often it wants to hear something.

use std::time::Duration;

/// After so many missed beats the other side counts as gone. Brokers may be late by a fifth, or busy.
const BEATS_MISSED: u32 = 3;

/// A day is as good as any longer time, and no clock overflows by it.
const LONGEST: u64 = 24 * 60 * 60 * 1000;

/// What the side that connects has to do, and may expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beats {
    /// How often this side has to send something.
    pub send: Option<Duration>,
    /// How long the other side may be silent before it counts as gone.
    pub silence: Option<Duration>,
}

impl Beats {
    /// What follows from the header of a CONNECTED, when this side has offered to send, and asked to hear,
    /// something every `ours`. A header that makes no sense is an offer of nothing.
    #[must_use]
    pub fn agreed(ours: Duration, header: Option<&str>) -> Self {
        let Some((they_send, they_want)) = header.and_then(read_heart_beat) else { return Self::default() };
        let slower = |theirs: Duration| (!theirs.is_zero()).then(|| ours.max(theirs));
        Self {
            send: slower(they_want),
            silence: slower(they_send).map(|interval| interval.saturating_mul(BEATS_MISSED)),
        }
    }
}

/// Takes a `heart-beat` header apart: how often its sender can send, and how often it wants to hear
/// something. Zero is never, and nothing is more than a day.
#[must_use]
pub fn read_heart_beat(header: &str) -> Option<(Duration, Duration)> {
    let interval = |text: &str| {
        let millis = text.trim().parse::<u64>().ok()?;
        Some(Duration::from_millis(millis.min(LONGEST)))
    };
    let (sends, wants) = header.split_once(',')?;
    Some((interval(sends)?, interval(wants)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_beats_follow_the_slower_side_and_zero_means_never() {
        let beats = |header| Beats::agreed(Duration::from_secs(10), header);
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(beats(Some("0,0")), Beats::default());
        assert_eq!(beats(Some("20000,1000")), Beats { send: seconds(10), silence: seconds(60) });
        assert_eq!(beats(Some("0,30000")), Beats { send: seconds(30), silence: None });
        assert_eq!(beats(Some("4000, 4000")), Beats { send: seconds(10), silence: seconds(30) });
        for nothing in [None, Some("rubbish"), Some("1"), Some("-1,5"), Some("1,2,3"), Some("")] {
            assert_eq!(beats(nothing), Beats::default(), "{nothing:?}");
        }
    }

    #[test]
    fn no_clock_overflows_by_what_the_other_side_offers() {
        let day = Duration::from_secs(86_400);
        let most = format!("{0},{0}", u64::MAX);
        assert_eq!(
            Beats::agreed(Duration::from_secs(10), Some(&most)),
            Beats { send: Some(day), silence: Some(3 * day) }
        );
    }
}
