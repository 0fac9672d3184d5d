//! The one thread that writes. It takes what is queued, makes one transaction of it, answers, and waits.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{
    checkpointer::Checkpointer,
    error::{JournalError, JournalErrorKind},
    format::{from_sql, set_meta, to_sql},
    rows::{Batch, Pruned},
    statements::{StoredEvents, prune_slice, write_batches},
};

/// The newest events are kept up to this many …
const EVENTS_KEPT: usize = 50_000;
/// … and up to this many bytes.
const EVENT_BYTES_KEPT: usize = 64 << 20;
/// Old events are deleted this many at a time, so that not every commit pays for it.
const EVENTS_TRIMMED_AT_ONCE: usize = 500;
/// What was appended lazily is committed after this time at the latest.
const LAZY_DELAY: Duration = Duration::from_millis(100);
/// One transaction takes up to this many bytes; the rest waits for the next one.
const TRANSACTION_BYTES: usize = 32 << 20;
/// While the disk refuses, this many bytes of output and events wait in memory; older ones are given up.
const LAZY_BACKLOG_BYTES: usize = 64 << 20;

pub(super) type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

type Waiting = (Batch, Option<Answer<()>>);

pub(super) enum Order {
    Commit(Batch, Option<Answer<()>>),
    Lazy(Batch),
    /// Commits what was appended lazily, for a reader who wants to see it.
    Flush(Answer<()>),
    Snapshot {
        seq: u64,
        json: String,
        answer: Answer<()>,
    },
    /// Deletes a slice of what is older; zero deleted means that nothing is left to delete.
    Prune {
        jobs_before_ms: i64,
        before_ms: i64,
        answer: Answer<Pruned>,
    },
    /// Writes what is there already.
    Probe(Answer<()>),
    Close(Answer<()>),
    #[cfg(test)]
    Pragma(&'static str, i64, Answer<()>),
}

pub(super) struct Writer {
    connection: Connection,
    checkpointer: Checkpointer,
    path: Arc<PathBuf>,
    last_fact_seq: u64,
    /// Number and size of the events that are kept, oldest first.
    events: VecDeque<(u64, usize)>,
    event_bytes: usize,
    lazy: VecDeque<Batch>,
    lazy_bytes: usize,
    lazy_due: Option<Instant>,
    /// A failing disk is reported once, not ten times a second.
    lazy_trouble: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        checkpointer: Checkpointer,
        path: Arc<PathBuf>,
        last_fact_seq: u64,
    ) -> rusqlite::Result<Self> {
        let events = connection
            .prepare("SELECT seq, length(json) FROM event ORDER BY seq")?
            .query_map([], |row| {
                let size = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                Ok((from_sql(row.get(0)?), size))
            })?
            .collect::<rusqlite::Result<VecDeque<_>>>()?;
        let event_bytes = events.iter().map(|(_, size)| size).sum();
        Ok(Self {
            connection,
            checkpointer,
            path,
            last_fact_seq,
            events,
            event_bytes,
            lazy: VecDeque::new(),
            lazy_bytes: 0,
            lazy_due: None,
            lazy_trouble: false,
        })
    }

    /// Works until the journal is closed or every handle is gone.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        let mut put_back = None;
        loop {
            let order = match put_back.take() {
                Some(order) => Some(order),
                None => match self.next_order(orders) {
                    Ok(order) => order,
                    Err(mpsc::RecvError) => break,
                },
            };
            match order {
                None => drop(self.write_group(&[])),
                Some(Order::Commit(batch, answer)) => {
                    put_back = self.commit_with_what_waits(batch, answer, orders);
                }
                Some(Order::Close(answer)) => {
                    let closed = self.close();
                    answer.send(closed).ok();
                    return;
                }
                Some(order) => self.obey(order),
            }
        }
        // All handles are gone without a close: nothing that was appended is thrown away, but the mark of
        // a clean shutdown stays unset.
        self.write_group(&[]).ok();
    }

    /// The next order, or `None` when it is time to commit what was appended lazily.
    fn next_order(&self, orders: &mpsc::Receiver<Order>) -> Result<Option<Order>, mpsc::RecvError> {
        let Some(due) = self.lazy_due else { return orders.recv().map(Some) };
        match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(order) => Ok(Some(order)),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(mpsc::RecvError),
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Lazy(batch) => self.append(batch),
            Order::Flush(answer) => drop(answer.send(self.write_group(&[]))),
            Order::Snapshot { seq, json, answer } => drop(answer.send(self.write_snapshot(seq, &json))),
            Order::Probe(answer) => drop(answer.send(self.probe())),
            Order::Prune { jobs_before_ms, before_ms, answer } => {
                drop(answer.send(self.prune(jobs_before_ms, before_ms)));
            }
            #[cfg(test)]
            Order::Pragma(name, value, answer) => {
                let done = self.connection.pragma_update_and_check(None, name, value, |_| Ok(()));
                answer.send(done.map_err(|error| self.failure(&error))).ok();
            }
            Order::Commit(..) | Order::Close(_) => {}
        }
    }

    /// Group commit: everything that is queued already goes into the same transaction. Returns an order of
    /// another kind that ended the group.
    fn commit_with_what_waits(
        &mut self,
        batch: Batch,
        answer: Option<Answer<()>>,
        orders: &mpsc::Receiver<Order>,
    ) -> Option<Order> {
        let mut weight = batch.weight();
        let mut waiting = vec![(batch, answer)];
        let mut put_back = None;
        while weight < TRANSACTION_BYTES {
            match orders.try_recv() {
                Ok(Order::Commit(batch, answer)) => {
                    weight += batch.weight();
                    waiting.push((batch, answer));
                }
                Ok(Order::Lazy(batch)) => {
                    weight += batch.weight();
                    // It keeps its chance of another try when this transaction fails.
                    self.append(batch);
                }
                Ok(other) => {
                    put_back = Some(other);
                    break;
                }
                Err(mpsc::TryRecvError::Empty | mpsc::TryRecvError::Disconnected) => break,
            }
        }
        let (batches, answers) = self.refuse_gaps(waiting);
        let outcome = self.write_group(&batches);
        for answer in answers {
            tell(answer, outcome.clone());
        }
        put_back
    }

    /// Answers those whose facts do not follow on, and returns the others. What comes after a batch that
    /// failed is refused here until somebody uses its numbers, so that a failure never leaves a hole.
    fn refuse_gaps(&self, waiting: Vec<Waiting>) -> (Vec<Batch>, Vec<Option<Answer<()>>>) {
        let mut last = self.last_fact_seq;
        let follows_on = |(batch, answer): Waiting| match facts_after(last, &batch) {
            Ok(new_last) => {
                last = new_last;
                Some((batch, answer))
            }
            Err(kind) => {
                tell(answer, Err(self.refusal(kind)));
                None
            }
        };
        waiting.into_iter().filter_map(follows_on).unzip()
    }

    fn append(&mut self, batch: Batch) {
        self.lazy_bytes += batch.weight();
        self.lazy.push_back(batch);
        self.lazy_due.get_or_insert_with(|| Instant::now() + LAZY_DELAY);
        if self.lazy_bytes >= TRANSACTION_BYTES && !self.lazy_trouble {
            self.write_group(&[]).ok();
        }
        while self.lazy_bytes > LAZY_BACKLOG_BYTES {
            let Some(oldest) = self.lazy.pop_front() else { break };
            self.lazy_bytes = self.lazy_bytes.saturating_sub(oldest.weight());
        }
    }

    /// Writes what was appended lazily and then the batches, in one transaction.
    fn write_group(&mut self, batches: &[Batch]) -> Result<(), JournalError> {
        if self.lazy.is_empty() {
            self.lazy_due = None;
            if batches.is_empty() {
                return Ok(());
            }
            return self.transact(&[], batches);
        }
        let lazy: Vec<Batch> = self.lazy.drain(..).collect();
        match self.transact(&lazy, batches) {
            Ok(()) => {
                self.lazy_bytes = 0;
                self.lazy_due = None;
                if std::mem::take(&mut self.lazy_trouble) {
                    tracing::info!("output and events are written to the journal again");
                }
                Ok(())
            }
            Err(error) => {
                self.lazy = lazy.into();
                self.lazy_due = Some(Instant::now() + LAZY_DELAY * 10);
                if !std::mem::replace(&mut self.lazy_trouble, true) {
                    tracing::error!(%error, "output and events wait in memory");
                }
                // Facts need less room than output, and matter more.
                if batches.is_empty() { Err(error) } else { self.transact(&[], batches) }
            }
        }
    }

    fn probe(&mut self) -> Result<(), JournalError> {
        let probed = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let format: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
                transaction.pragma_update(None, "user_version", format)?;
                transaction.commit()
            },
        );
        probed.map_err(|error| self.failure(&error))
    }

    fn transact(&mut self, lazy: &[Batch], batches: &[Batch]) -> Result<(), JournalError> {
        let mut stored = StoredEvents::default();
        let outcome = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                write_batches(&transaction, lazy.iter().chain(batches), &mut stored)?;
                transaction.commit()
            },
        );
        outcome.map_err(|error| self.failure(&error))?;
        self.checkpointer.committed(lazy.iter().chain(batches).map(Batch::weight).sum());
        let newest_fact = batches.iter().flat_map(|batch| &batch.facts).next_back();
        self.last_fact_seq = newest_fact.map_or(self.last_fact_seq, |fact| fact.seq);
        self.keep_events(stored);
        Ok(())
    }

    /// Deletes the oldest events once there are too many. A failure costs space and nothing else.
    fn keep_events(&mut self, mut stored: StoredEvents) {
        stored.sizes.sort_unstable();
        self.event_bytes += stored.sizes.iter().map(|(_, size)| size).sum::<usize>();
        self.events.extend(stored.sizes);
        let too_many = self.events.len() > EVENTS_KEPT + EVENTS_TRIMMED_AT_ONCE;
        if !too_many && self.event_bytes <= EVENT_BYTES_KEPT {
            return;
        }
        let mut last_trimmed = None;
        while self.events.len() > EVENTS_KEPT || self.event_bytes > EVENT_BYTES_KEPT / 10 * 9 {
            let Some((seq, size)) = self.events.pop_front() else { break };
            self.event_bytes -= size;
            last_trimmed = Some(seq);
        }
        let Some(seq) = last_trimmed else { return };
        if let Err(error) = self.connection.execute("DELETE FROM event WHERE seq <= ?1", [to_sql(seq)]) {
            tracing::warn!(%error, "old events could not be deleted");
        }
    }

    fn write_snapshot(&mut self, seq: u64, json: &str) -> Result<(), JournalError> {
        if seq > self.last_fact_seq {
            let kind = JournalErrorKind::SnapshotBeyondFacts { last: self.last_fact_seq, snapshot: seq };
            return Err(self.refusal(kind));
        }
        let outcome = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let covered = to_sql(seq);
                transaction
                    .execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2)", params![covered, json])?;
                transaction.execute("DELETE FROM fact WHERE seq <= ?1", [covered])?;
                transaction.commit()
            },
        );
        outcome.map_err(|error| self.failure(&error))
    }

    fn prune(&mut self, jobs_before_ms: i64, before_ms: i64) -> Result<Pruned, JournalError> {
        let outcome = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let pruned = prune_slice(&transaction, jobs_before_ms, before_ms)?;
                transaction.commit()?;
                Ok(pruned)
            },
        );
        let pruned = outcome.map_err(|error| self.failure(&error))?;
        let gone = usize::try_from(pruned.events).unwrap_or(usize::MAX).min(self.events.len());
        for (_, size) in self.events.drain(..gone) {
            self.event_bytes -= size;
        }
        if pruned == Pruned::default() {
            give_back_space(&self.connection).map_err(|error| self.failure(&error))?;
        }
        Ok(pruned)
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.write_group(&[])?;
        self.checkpointer.stop();
        set_meta(&self.connection, "clean_shutdown", 1).map_err(|error| self.failure(&error))?;
        // A reader that is still at work keeps the log from being emptied, which is not an error.
        self.connection
            .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
            .map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::from_sqlite(&self.path, error)
    }

    fn refusal(&self, kind: JournalErrorKind) -> JournalError {
        JournalError::new(&self.path, kind)
    }
}

/// Shrinks the file by up to 16 MiB of pages that are free. Each step of the statement frees one page.
fn give_back_space(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA incremental_vacuum(4096)")?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// The number of the last fact after the batch, or the first one that does not follow on.
fn facts_after(last: u64, batch: &Batch) -> Result<u64, JournalErrorKind> {
    let mut last = last;
    for fact in &batch.facts {
        let expected = last + 1;
        if fact.seq != expected {
            return Err(JournalErrorKind::FactsOutOfOrder { expected, found: fact.seq });
        }
        last = expected;
    }
    Ok(last)
}

/// Answers who waits; what nobody waits for is at least in the log.
fn tell(answer: Option<Answer<()>>, outcome: Result<(), JournalError>) {
    match (answer, outcome) {
        (Some(answer), outcome) => drop(answer.send(outcome)),
        (None, Err(error)) => tracing::error!(%error, "what nobody waits for could not be committed"),
        (None, Ok(())) => {}
    }
}
