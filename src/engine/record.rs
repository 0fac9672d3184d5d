//! The output of a job as its engine tells it: numbered lines, within bounds, in batches.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use beamq_machines::JobId;
use tokio::{sync::mpsc, time::Instant};

use super::{EngineEvent, OutputLine, OutputStream};

/// The most lines of one event.
const MOST_LINES: usize = 1000;
/// Lines are gathered for this long, except after silence: then the first goes out at once.
const BATCH_EVERY: Duration = Duration::from_millis(20);
/// How often the count of dropped lines is told when nothing else is.
const DROPPED_EVERY: Duration = Duration::from_secs(1);
/// How many of the last lines a report shows, and how much of each.
const TAIL_LINES: usize = 50;
const TAIL_LINE_CHARS: usize = 2000;

/// Numbers lines, keeps within the limit and sends in batches.
#[derive(Debug)]
pub(super) struct Record {
    job: JobId,
    limit: u64,
    events: mpsc::Sender<EngineEvent>,
    kept_bytes: u64,
    next: u64,
    dropped: u64,
    told_dropped: u64,
    batch: Vec<OutputLine>,
    flushed: Option<Instant>,
    tail: VecDeque<String>,
}

impl Record {
    /// An empty record of a job's output, of which no more than `limit` bytes are kept.
    pub(super) fn new(job: JobId, limit: u64, events: mpsc::Sender<EngineEvent>) -> Self {
        Self {
            job,
            limit,
            events,
            kept_bytes: 0,
            next: 1,
            dropped: 0,
            told_dropped: 0,
            batch: Vec::new(),
            flushed: None,
            tail: VecDeque::new(),
        }
    }

    /// Takes a remark, which may have several lines.
    pub(super) fn take_note(&mut self, text: &str) {
        for line in text.split('\n') {
            self.take(OutputStream::Note, line.to_owned());
        }
    }

    /// Takes a line that was written just now.
    pub(super) fn take(&mut self, stream: OutputStream, text: String) {
        let time_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.take_at(i64::try_from(time_ms).unwrap_or(i64::MAX), stream, text);
    }

    /// Takes a line that was written at this time, in milliseconds since 1970 UTC.
    pub(super) fn take_at(&mut self, time_ms: i64, stream: OutputStream, text: String) {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(match text.char_indices().nth(TAIL_LINE_CHARS) {
            Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
            None => text.clone(),
        });
        // One byte for the line end, so that a flood of empty lines has an end as well.
        let size = text.len() as u64 + 1;
        if self.dropped > 0 || self.kept_bytes.saturating_add(size) > self.limit {
            if self.dropped == 0 {
                let text =
                    format!("more than {} bytes of output: further lines are counted, not kept", self.limit);
                self.number(time_ms, OutputStream::Note, text);
            }
            self.dropped += 1;
            return;
        }
        self.kept_bytes += size;
        self.number(time_ms, stream, text);
    }

    fn number(&mut self, time_ms: i64, stream: OutputStream, text: String) {
        self.batch.push(OutputLine { n: self.next, time_ms, stream, text });
        self.next += 1;
    }

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        !self.batch.is_empty() || self.dropped > self.told_dropped
    }

    /// When it is to be told.
    pub(super) fn flush_at(&self) -> Instant {
        let every = if self.batch.is_empty() { DROPPED_EVERY } else { BATCH_EVERY };
        self.flushed.map_or_else(Instant::now, |flushed| flushed + every)
    }

    /// Tells what there is, if it is time.
    pub(super) async fn flush_if_due(&mut self) {
        if self.has_news() && (self.batch.len() >= MOST_LINES || self.flush_at() <= Instant::now()) {
            self.flush().await;
        }
    }

    /// Tells what there is.
    pub(super) async fn flush(&mut self) {
        while self.has_news() {
            let rest = self.batch.split_off(self.batch.len().min(MOST_LINES));
            let lines = Arc::new(std::mem::replace(&mut self.batch, rest));
            self.told_dropped = self.dropped;
            let event = EngineEvent::Output { job: self.job, lines, dropped: self.dropped };
            // Without a listener the script must still be able to write.
            let _nobody_listens = self.events.send(event).await;
        }
        self.flushed = Some(Instant::now());
    }

    /// The last lines, for the report.
    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_beyond_the_limit_are_counted_and_the_last_ones_remembered() {
        let (events, mut told) = mpsc::channel(64);
        let mut record = Record::new(JobId(1), 10, events);
        for number in 0..100 {
            record.take(OutputStream::Stdout, format!("{number:04}"));
        }
        record.flush().await;
        let EngineEvent::Output { lines, dropped, .. } = told.recv().await.unwrap() else {
            panic!("no output")
        };
        assert_eq!(dropped, 98);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts[..2], ["0000", "0001"]);
        assert_eq!(lines.len(), 3, "two lines and the remark");
        assert_eq!(lines[2].stream, OutputStream::Note);
        assert_eq!(record.tail.back().unwrap(), "0099");
    }
}
