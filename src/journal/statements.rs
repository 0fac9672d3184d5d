//! The SQL of a transaction: how each kind of row is written and deleted.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use super::{
    format::{raise_meta, to_sql},
    rows::{AuditRow, Batch, CallDurationRow, EventRow, FactRow, JobDurationRow, JobRow, OutputRow, Pruned},
};
use crate::engine::{OutputLine, OutputStream};

/// A chunk of output holds up to this many bytes of text: what has to be read for a single line.
const CHUNK_BYTES: usize = 256 << 10;
/// Jobs that are deleted in one transaction, so that a clean-up never holds up a commit for long.
const JOBS_PRUNED_AT_ONCE: i64 = 50;
/// Events and entries of the audit that are deleted in one transaction.
const ROWS_PRUNED_AT_ONCE: i64 = 2_000;
/// So many calls of each command are kept with their durations: more would change no estimate.
const CALLS_KEPT_PER_COMMAND: i64 = 500;

/// Number and size of the events that a transaction stored.
#[derive(Default)]
pub(super) struct StoredEvents {
    pub(super) sizes: Vec<(u64, usize)>,
}

/// Writes batches in their order; the caller commits.
pub(super) fn write_batches<'a>(
    transaction: &Transaction<'_>,
    batches: impl Iterator<Item = &'a Batch>,
    stored: &mut StoredEvents,
) -> rusqlite::Result<()> {
    let mut chunks = OutputChunks::default();
    for batch in batches {
        batch.facts.iter().try_for_each(|fact| write_fact(transaction, fact))?;
        batch.jobs.iter().try_for_each(|job| write_job(transaction, job))?;
        batch.output.iter().try_for_each(|output| chunks.add(transaction, output))?;
        batch.audit.iter().try_for_each(|entry| write_audit(transaction, entry))?;
        batch.job_durations.iter().try_for_each(|job| write_job_duration(transaction, job))?;
        write_call_durations(transaction, &batch.call_durations)?;
        for event in &batch.events {
            write_event(transaction, event)?;
            stored.sizes.push((event.seq, event.json.len()));
        }
    }
    chunks.finish(transaction)?;
    let newest = stored.sizes.iter().map(|(seq, _)| *seq).max();
    // Events that waited for a full disk can come after newer ones.
    newest.map_or(Ok(()), |seq| raise_meta(transaction, "last_event_seq", to_sql(seq)))
}

fn write_fact(transaction: &Transaction<'_>, fact: &FactRow) -> rusqlite::Result<()> {
    transaction.prepare_cached("INSERT INTO fact VALUES (?1, ?2, ?3)")?.execute(params![
        to_sql(fact.seq),
        fact.time_ms,
        fact.json
    ])?;
    Ok(())
}

fn write_job(transaction: &Transaction<'_>, job: &JobRow) -> rusqlite::Result<()> {
    let tags = serde_json::to_string(&job.tags).unwrap_or_default();
    transaction
        .prepare_cached(
            "INSERT INTO job (id, state, owner, name, tags, series, submitted_ms, started_ms, finished_ms,
                              message, json, script)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET state = ?2, owner = ?3, name = ?4, tags = ?5, series = ?6,
                 submitted_ms = ?7, started_ms = ?8, finished_ms = ?9, message = ?10, json = ?11,
                 script = coalesce(?12, script)",
        )?
        .execute(params![
            to_sql(job.id),
            job.state,
            job.owner,
            job.name,
            tags,
            job.group,
            job.submitted_ms,
            job.started_ms,
            job.finished_ms,
            job.message,
            job.json,
            job.script.as_deref(),
        ])?;
    Ok(())
}

fn write_event(transaction: &Transaction<'_>, event: &EventRow) -> rusqlite::Result<()> {
    transaction.prepare_cached("INSERT OR REPLACE INTO event VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        to_sql(event.seq),
        event.kind,
        event.time_ms,
        &*event.json
    ])?;
    Ok(())
}

fn write_audit(transaction: &Transaction<'_>, entry: &AuditRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO audit (time_ms, user, role, client, transport, method, outcome, before_json, after_json)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            entry.time_ms,
            entry.user,
            entry.role,
            entry.client,
            entry.transport,
            entry.method,
            entry.outcome,
            entry.before.as_ref().map(ToString::to_string),
            entry.after.as_ref().map(ToString::to_string),
        ])?;
    Ok(())
}

fn write_job_duration(transaction: &Transaction<'_>, job: &JobDurationRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO job_duration VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            to_sql(job.job),
            job.body,
            job.started_ms,
            job.active_s,
            job.predicted_s,
            job.complete,
        ])?;
    Ok(())
}

fn write_call_durations(transaction: &Transaction<'_>, calls: &[CallDurationRow]) -> rusqlite::Result<()> {
    for call in calls {
        transaction
            .prepare_cached(
                "INSERT INTO call_duration (job, command, arguments, line, started_ms, active_s, predicted_s)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                to_sql(call.job),
                call.command,
                call.arguments,
                call.line,
                call.started_ms,
                call.active_s,
                call.predicted_s,
            ])?;
    }
    let commands: BTreeSet<&str> = calls.iter().map(|call| call.command.as_str()).collect();
    for command in commands {
        transaction
            .prepare_cached(
                "DELETE FROM call_duration WHERE command = ?1 AND id <= (
                     SELECT id FROM call_duration WHERE command = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![command, CALLS_KEPT_PER_COMMAND])?;
    }
    Ok(())
}

/// Lines of one job that came in small portions become one row: fifty thousand lines a second are then a
/// few dozen rows.
#[derive(Default)]
struct OutputChunks<'a> {
    job: u64,
    lines: Vec<&'a OutputLine>,
    bytes: usize,
    dropped: u64,
    started: bool,
}

impl<'a> OutputChunks<'a> {
    fn add(&mut self, transaction: &Transaction<'_>, row: &'a OutputRow) -> rusqlite::Result<()> {
        if self.started && self.job != row.job {
            self.finish(transaction)?;
        }
        (self.job, self.started) = (row.job, true);
        self.dropped = self.dropped.max(row.dropped);
        for line in row.lines.iter() {
            self.lines.push(line);
            self.bytes += line.text.len();
            if self.bytes >= CHUNK_BYTES || self.lines.len() >= 4096 {
                self.write(transaction)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.started {
            self.write(transaction)?;
            *self = Self::default();
        }
        Ok(())
    }

    fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let job = to_sql(self.job);
        let count = i64::try_from(self.lines.len()).unwrap_or(i64::MAX);
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        if let (Some(first), Some(last)) = (self.lines.first(), self.lines.last()) {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO output VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![job, to_sql(first.n), to_sql(last.n), encode_lines(&self.lines)])?;
        }
        transaction
            .prepare_cached(
                "INSERT INTO output_total VALUES (?1, ?2, ?3, ?4) ON CONFLICT (job) DO UPDATE SET
                     line_count = line_count + ?2, byte_count = byte_count + ?3, dropped = max(dropped, ?4)",
            )?
            .execute(params![job, count, bytes, to_sql(self.dropped)])?;
        self.lines.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// A chunk as text: `[[n, time_ms, stream, text], …]`. Names would double the size of short lines.
fn encode_lines(lines: &[&OutputLine]) -> String {
    let tuples: Vec<_> =
        lines.iter().map(|line| (line.n, line.time_ms, line.stream, line.text.as_str())).collect();
    serde_json::to_string(&tuples).unwrap_or_default()
}

/// Reads a chunk back.
pub(super) fn decode_lines(text: &str) -> serde_json::Result<Vec<OutputLine>> {
    let tuples: Vec<(u64, i64, OutputStream, String)> = serde_json::from_str(text)?;
    Ok(tuples.into_iter().map(|(n, time_ms, stream, text)| OutputLine { n, time_ms, stream, text }).collect())
}

/// Deletes a slice of what is older than the time: milliseconds since 1970 UTC.
pub(super) fn prune_slice(
    transaction: &Transaction<'_>,
    jobs_before_ms: i64,
    before_ms: i64,
) -> rusqlite::Result<Pruned> {
    let old_jobs = transaction
        .prepare_cached("SELECT id FROM job WHERE finished_ms < ?1 LIMIT ?2")?
        .query_map(params![jobs_before_ms, JOBS_PRUNED_AT_ONCE], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for job in &old_jobs {
        transaction.prepare_cached("DELETE FROM output WHERE job = ?1")?.execute([job])?;
        transaction.prepare_cached("DELETE FROM output_total WHERE job = ?1")?.execute([job])?;
        transaction.prepare_cached("DELETE FROM job_duration WHERE job = ?1")?.execute([job])?;
        transaction.prepare_cached("DELETE FROM call_duration WHERE job = ?1")?.execute([job])?;
        transaction.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([job])?;
    }
    // Events are in the order of their numbers, and only the oldest may go: the kept ones have no gap.
    let events = transaction
        .prepare_cached(
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event ORDER BY seq LIMIT ?2) AND seq <
                 coalesce((SELECT min(seq) FROM event WHERE time_ms >= ?1), 9223372036854775807)",
        )?
        .execute(params![before_ms, ROWS_PRUNED_AT_ONCE])?;
    let audit = transaction
        .prepare_cached("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time_ms < ?1 LIMIT ?2)")?
        .execute(params![before_ms, ROWS_PRUNED_AT_ONCE])?;
    Ok(Pruned { jobs: old_jobs.len() as u64, events: events as u64, audit: audit as u64 })
}
