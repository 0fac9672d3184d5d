//! The journal, as the rest of the server holds it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    checkpointer::Checkpointer,
    error::{JournalError, JournalErrorKind},
    format,
    reader::{self, Readers},
    rows::{
        AuditQuery, AuditRow, Batch, CallDurationRow, Durations, HistoryPage, HistoryQuery, OutputPage,
        OutputSize, Pruned, Replay, StoredEvent, StoredJob,
    },
    writer::{Answer, Order, Writer},
};

/// A handle to the journal; clones share it. Commits take effect in the order in which they are called.
///
/// When the last handle is dropped without [`Journal::close`], everything appended is still written, but
/// the next server sees that this one did not end in good order.
#[derive(Clone)]
pub struct Journal {
    path: Arc<PathBuf>,
    orders: mpsc::Sender<Order>,
    readers: Arc<Readers>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens or creates the journal and reads back what it holds. Blocks while it reads.
    ///
    /// The caller must own the data directory ([`super::DataDir::open`]): two writers would spoil each
    /// other's numbers.
    ///
    /// # Errors
    ///
    /// When the file cannot be created, read or written, is damaged, belongs to another program, or was
    /// written by a newer version.
    pub fn open(path: &Path) -> Result<(Self, Replay), JournalError> {
        let (connection, replay) = format::open(path)?;
        let path = Arc::new(path.to_owned());
        let checkpointer =
            Checkpointer::start(&path).map_err(|error| JournalError::from_io(&path, &error))?;
        let writer = Writer::new(connection, checkpointer, Arc::clone(&path), replay.last_fact_seq)
            .map_err(|error| JournalError::from_sqlite(&path, &error))?;
        let (orders, incoming) = mpsc::channel();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&incoming))
            .map_err(|error| JournalError::from_io(&path, &error))?;
        let readers = Arc::new(Readers::new(Arc::clone(&path)));
        Ok((Self { path, orders, readers }, replay))
    }

    /// Commits a batch, all or nothing. The future resolves when it is safe on the disk; the order is
    /// given at the call, also when the future is polled later or never.
    ///
    /// Batches that wait at the same time share one transaction, and its failure. After a failure nothing
    /// of the batch is stored and the numbers of its facts are free again: what is queued behind it with
    /// higher numbers is refused, and the next commit goes on with the free ones. So commits can be
    /// pipelined (many futures under way at once, which is what makes them cheap) without ever leaving a
    /// hole.
    ///
    /// # Errors
    ///
    /// When the disk is full, read-only or broken, when the numbers of the facts do not follow on, or when
    /// the journal is closed.
    pub fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        self.ask(|answer| Order::Commit(batch, Some(answer))).answer()
    }

    /// Takes output, events and audit entries that may wait: they are committed with the next transaction
    /// or within 100 ms. A crash can take them. While the disk refuses, the newest 64 MiB wait in memory.
    ///
    /// A batch with facts or jobs is committed at once, with nobody to hear of a failure but the log.
    pub fn append_lazily(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let order =
            if batch.needs_acknowledgement() { Order::Commit(batch, None) } else { Order::Lazy(batch) };
        // A journal that is closed has no more use for it.
        self.orders.send(order).ok();
    }

    /// Tries whether the disk takes a transaction, by one that changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Journal::commit`].
    pub async fn probe(&self) -> Result<(), JournalError> {
        self.ask(Order::Probe).answer().await
    }

    /// Stores what the facts up to `seq` amount to, and forgets those facts.
    ///
    /// # Errors
    ///
    /// When `seq` is not committed yet, and as [`Journal::commit`].
    pub fn write_snapshot(
        &self,
        seq: u64,
        json: String,
    ) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        self.ask(|answer| Order::Snapshot { seq, json, answer }).answer()
    }

    /// Deletes jobs that finished more than `keep` ago with their output, and events and audit entries of
    /// that age; and the oldest jobs while all of them together take more than `keep_bytes`. The newest job
    /// is always kept. Done in small steps between which commits go on.
    ///
    /// # Errors
    ///
    /// As [`Journal::commit`]; what was deleted until then stays deleted.
    pub async fn prune(
        &self,
        keep: Option<Duration>,
        keep_bytes: Option<u64>,
        now_ms: i64,
    ) -> Result<Pruned, JournalError> {
        let before_ms = keep.map_or(i64::MIN, |keep| {
            now_ms.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
        });
        let jobs_before_ms = match keep_bytes {
            Some(most) => {
                let too_many = self.readers.read(move |connection| reader::too_much(connection, most));
                too_many.await?.unwrap_or(i64::MIN).max(before_ms)
            }
            None => before_ms,
        };
        let mut total = Pruned::default();
        loop {
            let order = |answer| Order::Prune { jobs_before_ms, before_ms, answer };
            let slice = self.ask(order).answer().await?;
            if slice == Pruned::default() {
                return Ok(total);
            }
            total.jobs += slice.jobs;
            total.events += slice.events;
            total.audit += slice.audit;
        }
    }

    /// The jobs that match, newest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, JournalError> {
        self.readers.read(move |connection| reader::history(connection, &query)).await
    }

    /// What clients are shown of a job, or `None` when the journal does not know it (any more).
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn job(&self, id: u64) -> Result<Option<StoredJob>, JournalError> {
        self.readers.read(move |connection| reader::job(connection, id)).await
    }

    /// Lines of a job's output, from the line `from` (they count from 1), at most `limit` and at most
    /// about 8 MiB of text. Includes everything that was appended before the call.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn output(&self, job: u64, from: u64, limit: usize) -> Result<OutputPage, JournalError> {
        self.flush().await;
        self.readers.read(move |connection| reader::output(connection, job, from, limit)).await
    }

    /// How much output of a job is kept. Includes everything that was appended before the call.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn output_size(&self, job: u64) -> Result<OutputSize, JournalError> {
        self.flush().await;
        self.readers.read(move |connection| reader::output_size(connection, job)).await
    }

    /// The kept events with a number greater than `seq`, oldest first, at most `limit` and at most about
    /// 8 MiB. Kept are the newest 50 000, up to 64 MiB.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, JournalError> {
        self.flush().await;
        self.readers.read(move |connection| reader::events_after(connection, seq, limit)).await
    }

    /// Entries of the audit, newest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRow>, JournalError> {
        self.flush().await;
        self.readers.read(move |connection| reader::audit(connection, &query)).await
    }

    /// How long the newest jobs and calls took, for estimates.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn durations(&self) -> Result<Durations, JournalError> {
        self.readers.read(reader::durations).await
    }

    /// How long the calls of a job took, in their order, as far as they are kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn calls_of(&self, job: u64) -> Result<Vec<CallDurationRow>, JournalError> {
        self.readers.read(move |connection| reader::calls_of(connection, job)).await
    }

    /// Writes what waits, marks the end as a clean one and closes the file. Later commits are refused.
    ///
    /// # Errors
    ///
    /// As [`Journal::commit`]; the file is closed all the same.
    pub fn close(&self) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        // So that the writer is the last to close the file, which leaves no side files behind.
        self.readers.retire();
        self.ask(Order::Close).answer()
    }

    /// Sets a pragma on the writing connection, so that a test can make the disk look full.
    #[cfg(test)]
    pub(super) async fn set_pragma(&self, name: &'static str, value: i64) {
        self.ask(|answer| Order::Pragma(name, value, answer)).answer().await.ok();
    }

    /// Lets a reader see what was appended before. When it fails, the reader sees what is on the disk.
    async fn flush(&self) {
        self.ask(Order::Flush).answer().await.ok();
    }

    /// Queues an order. It is in the queue when this returns; the answer can be waited for anywhere.
    fn ask<T>(&self, order: impl FnOnce(Answer<T>) -> Order) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        // When the thread is gone, so is the answer's sender, and the receiver hears of that.
        self.orders.send(order(answer)).ok();
        Pending { answered, path: Arc::clone(&self.path) }
    }
}

/// An order whose answer is to come.
struct Pending<T> {
    answered: oneshot::Receiver<Result<T, JournalError>>,
    path: Arc<PathBuf>,
}

impl<T> Pending<T> {
    async fn answer(self) -> Result<T, JournalError> {
        let closed = || Err(JournalError::new(&self.path, JournalErrorKind::Closed));
        self.answered.await.unwrap_or_else(|_| closed())
    }
}
