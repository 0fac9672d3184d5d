//! Reading, over connections of their own: a long search never holds up a commit.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use tokio::sync::Semaphore;

use super::{
    error::{JournalError, JournalErrorKind},
    format::{from_sql, open_reader, to_sql},
    rows::{
        AuditQuery, AuditRow, CallDurationRow, Durations, HistoryPage, HistoryQuery, JobDurationRow,
        OutputPage, OutputSize, StoredEvent, StoredJob,
    },
    statements::decode_lines,
};

/// So many reads run side by side; others wait their turn.
const READERS: usize = 3;
/// An answer with output ends after this many bytes of text, whatever was asked for.
const OUTPUT_ANSWER_BYTES: usize = 8 << 20;
/// An answer with events ends after this many bytes.
const EVENT_ANSWER_BYTES: usize = 8 << 20;

pub(super) struct Readers {
    path: Arc<PathBuf>,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: Arc<PathBuf>) -> Self {
        Self { path, idle: Mutex::default(), permits: Semaphore::new(READERS) }
    }

    /// Lets go of the connections that nobody uses.
    pub(super) fn retire(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs a query on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let closed = || JournalError::new(&self.path, JournalErrorKind::Closed);
        let _permit = self.permits.acquire().await.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || readers.read_blocking(query));
        work.await.map_err(|_| closed())?
    }

    fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let sqlite = |error: rusqlite::Error| JournalError::from_sqlite(&self.path, &error);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path).map_err(sqlite)?,
        };
        // A connection that failed is not put back: the next read begins with a fresh one.
        let answer = query(&connection).map_err(sqlite)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }
}

pub(super) fn job(connection: &Connection, id: u64) -> rusqlite::Result<Option<StoredJob>> {
    connection
        .prepare_cached("SELECT json, script FROM job WHERE id = ?1")?
        .query_row([to_sql(id)], |row| Ok(StoredJob { json: row.get(0)?, script: row.get(1)? }))
        .optional()
}

pub(super) fn history(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<HistoryPage> {
    let mut statement = connection.prepare_cached(
        "SELECT state, json, name, tags, message, script FROM job
         WHERE id < ?1 AND (?2 IS NULL OR owner = ?2)
           AND coalesce(finished_ms, submitted_ms) BETWEEN ?3 AND ?4
           AND (?5 OR finished_ms IS NOT NULL)
         ORDER BY id DESC",
    )?;
    let mut rows = statement.query(params![
        query.before.map_or(i64::MAX, to_sql),
        query.owner,
        query.since_ms.unwrap_or(i64::MIN),
        query.until_ms.unwrap_or(i64::MAX),
        !query.state.is_empty(),
    ])?;
    let needle = query.text.as_deref().map(str::to_lowercase);
    let mut page = HistoryPage::default();
    while let Some(row) = rows.next()? {
        let state_matches = query.state.is_empty() || {
            let state = row.get_ref(0)?.as_str()?;
            query.state.iter().any(|wanted| wanted == state)
        };
        let matches = state_matches && needle.as_deref().map_or(Ok(true), |text| mentions(row, text))?;
        if !matches {
            continue;
        }
        if page.jobs.len() == query.limit {
            page.more = true;
            break;
        }
        page.jobs.push(row.get(1)?);
    }
    Ok(page)
}

/// Jobs that finished before this time are more than fits into so many bytes; `None` when all of them fit.
pub(super) fn too_much(connection: &Connection, most: u64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT finished_ms, length(json) + coalesce(length(script), 0) + coalesce(byte_count, 0)
         FROM job LEFT JOIN output_total ON output_total.job = job.id
         WHERE finished_ms IS NOT NULL ORDER BY finished_ms DESC, id DESC",
    )?;
    let mut rows = statement.query([])?;
    let mut bytes = 0;
    let mut kept = None;
    while let Some(row) = rows.next()? {
        bytes += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        if bytes > most && kept.is_some() {
            return Ok(kept);
        }
        kept = Some(row.get(0)?);
    }
    Ok(None)
}

/// Whether name, labels, message or script contain the text, which is in lower case. SQLite itself would
/// fold only the letters of ASCII.
fn mentions(row: &Row<'_>, text: &str) -> rusqlite::Result<bool> {
    for column in 2..=5 {
        if let ValueRef::Text(bytes) = row.get_ref(column)?
            && String::from_utf8_lossy(bytes).to_lowercase().contains(text)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn output(
    connection: &Connection,
    job: u64,
    from: u64,
    limit: usize,
) -> rusqlite::Result<OutputPage> {
    let dropped = output_size(connection, job)?.dropped;
    let mut page = OutputPage { lines: Vec::new(), next: from.max(1), dropped };
    let mut statement = connection
        .prepare_cached("SELECT lines FROM output WHERE job = ?1 AND last_n >= ?2 ORDER BY last_n")?;
    let mut rows = statement.query(params![to_sql(job), to_sql(from)])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let lines = decode_lines(row.get_ref(0)?.as_str()?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
        })?;
        for line in lines.into_iter().filter(|line| line.n >= from) {
            if page.lines.len() >= limit || bytes > OUTPUT_ANSWER_BYTES {
                return Ok(page);
            }
            bytes += line.text.len();
            page.next = line.n + 1;
            page.lines.push(line);
        }
    }
    Ok(page)
}

pub(super) fn output_size(connection: &Connection, job: u64) -> rusqlite::Result<OutputSize> {
    let size = connection
        .prepare_cached("SELECT line_count, byte_count, dropped FROM output_total WHERE job = ?1")?
        .query_row([to_sql(job)], |row| {
            Ok(OutputSize {
                lines: from_sql(row.get(0)?),
                bytes: from_sql(row.get(1)?),
                dropped: from_sql(row.get(2)?),
            })
        })
        .optional()?;
    Ok(size.unwrap_or_default())
}

pub(super) fn events_after(
    connection: &Connection,
    seq: u64,
    limit: usize,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let mut statement = connection
        .prepare_cached("SELECT seq, kind, time_ms, json FROM event WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = statement.query([to_sql(seq)])?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if events.len() >= limit || bytes > EVENT_ANSWER_BYTES {
            break;
        }
        let event = StoredEvent {
            seq: from_sql(row.get(0)?),
            kind: row.get(1)?,
            time_ms: row.get(2)?,
            json: row.get(3)?,
        };
        bytes += event.json.len();
        events.push(event);
    }
    Ok(events)
}

pub(super) fn audit(connection: &Connection, query: &AuditQuery) -> rusqlite::Result<Vec<AuditRow>> {
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    connection
        .prepare_cached(
            "SELECT time_ms, user, role, client, transport, method, outcome, before_json, after_json
             FROM audit WHERE time_ms BETWEEN ?1 AND ?2 AND (?3 IS NULL OR user = ?3)
             ORDER BY time_ms DESC, id DESC LIMIT ?4",
        )?
        .query_map(
            params![
                query.since_ms.unwrap_or(i64::MIN),
                query.until_ms.unwrap_or(i64::MAX),
                query.user,
                i64::try_from(query.limit).unwrap_or(i64::MAX),
            ],
            |row| {
                Ok(AuditRow {
                    time_ms: row.get(0)?,
                    user: row.get(1)?,
                    role: row.get(2)?,
                    client: row.get(3)?,
                    transport: row.get(4)?,
                    method: row.get(5)?,
                    outcome: row.get(6)?,
                    before: json(row.get(7)?),
                    after: json(row.get(8)?),
                })
            },
        )?
        .collect()
}

/// So many jobs are remembered with their durations at a start.
const JOBS_REMEMBERED: i64 = 5_000;
/// So many calls, of all commands together.
const CALLS_REMEMBERED: i64 = 50_000;

pub(super) fn durations(connection: &Connection) -> rusqlite::Result<Durations> {
    let mut jobs = connection
        .prepare_cached(
            "SELECT job, body, started_ms, active_s, predicted_s, complete FROM job_duration
             WHERE complete ORDER BY job DESC LIMIT ?1",
        )?
        .query_map([JOBS_REMEMBERED], |row| {
            Ok(JobDurationRow {
                job: from_sql(row.get(0)?),
                body: row.get(1)?,
                started_ms: row.get(2)?,
                active_s: row.get(3)?,
                predicted_s: row.get(4)?,
                complete: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    jobs.reverse();
    let mut calls = connection
        .prepare_cached(&format!("{CALL_COLUMNS} ORDER BY id DESC LIMIT ?1"))?
        .query_map([CALLS_REMEMBERED], call_duration)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    calls.reverse();
    Ok(Durations { jobs, calls })
}

/// The calls of a job that are kept, in order.
pub(super) fn calls_of(connection: &Connection, job: u64) -> rusqlite::Result<Vec<CallDurationRow>> {
    connection
        .prepare_cached(&format!("{CALL_COLUMNS} WHERE job = ?1 ORDER BY id"))?
        .query_map([to_sql(job)], call_duration)?
        .collect()
}

const CALL_COLUMNS: &str =
    "SELECT job, command, arguments, line, started_ms, active_s, predicted_s FROM call_duration";

fn call_duration(row: &Row<'_>) -> rusqlite::Result<CallDurationRow> {
    Ok(CallDurationRow {
        job: from_sql(row.get(0)?),
        command: row.get(1)?,
        arguments: row.get(2)?,
        line: row.get(3)?,
        started_ms: row.get(4)?,
        active_s: row.get(5)?,
        predicted_s: row.get(6)?,
    })
}
