//! The file itself: opening it, its format and how older formats become the present one.

use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::{
    error::{JournalError, JournalErrorKind},
    rows::Replay,
};

/// `beam`, the mark in the file's header that tells a journal from other SQLite files.
const APPLICATION_ID: i64 = 0x6265_616D;

/// Each step turns the format of its index into the next one. A step that was released never changes:
/// journals of every format exist somewhere.
const MIGRATIONS: &[&str] = &[FORMAT_1, FORMAT_2];

/// Jobs, output, events and audit are for people and clients; `fact` and `snapshot` alone are what the
/// live state is made of.
const FORMAT_1: &str = "
    CREATE TABLE fact (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, json TEXT NOT NULL);
    CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, json TEXT NOT NULL);
    CREATE TABLE job (
        id INTEGER PRIMARY KEY, state TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
        tags TEXT NOT NULL, series TEXT, submitted_ms INTEGER NOT NULL, started_ms INTEGER,
        finished_ms INTEGER, message TEXT, json TEXT NOT NULL, script TEXT
    );
    CREATE INDEX job_finished ON job (finished_ms) WHERE finished_ms IS NOT NULL;
    CREATE TABLE output (
        job INTEGER NOT NULL, first_n INTEGER NOT NULL, last_n INTEGER NOT NULL,
        lines TEXT NOT NULL
    );
    CREATE UNIQUE INDEX output_of_job ON output (job, last_n);
    CREATE TABLE output_total (
        job INTEGER PRIMARY KEY, line_count INTEGER NOT NULL, byte_count INTEGER NOT NULL,
        dropped INTEGER NOT NULL
    );
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, time_ms INTEGER NOT NULL, json TEXT NOT NULL
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL,
        client TEXT NOT NULL, transport TEXT NOT NULL, method TEXT NOT NULL, outcome TEXT NOT NULL,
        before_json TEXT, after_json TEXT
    );
    CREATE INDEX audit_time ON audit (time_ms);
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('clean_shutdown', 1), ('last_event_seq', 0);
";

/// How long things took, for estimates. Kept beside the jobs, because a call belongs to its command's
/// history as much as to its job's.
const FORMAT_2: &str = "
    CREATE TABLE job_duration (
        job INTEGER PRIMARY KEY, body TEXT NOT NULL, started_ms INTEGER NOT NULL, active_s REAL NOT NULL,
        predicted_s REAL, complete INTEGER NOT NULL
    );
    CREATE TABLE call_duration (
        id INTEGER PRIMARY KEY, job INTEGER NOT NULL, command TEXT NOT NULL, arguments TEXT NOT NULL,
        line INTEGER, started_ms INTEGER NOT NULL, active_s REAL NOT NULL, predicted_s REAL
    );
    CREATE INDEX call_duration_of_command ON call_duration (command, id);
    CREATE INDEX call_duration_of_job ON call_duration (job);
";

/// How far the event counter jumps after a crash. Events are committed up to 100 ms after they were sent,
/// so a crash can take some that clients have seen; their numbers must not come again.
const EVENT_SEQ_JUMP: u64 = 1_000_000;

/// How long another program (a backup, a browser of databases) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Files up to this size are checked as a whole after a crash; that takes well under a second.
const CHECKED_AFTER_CRASH: u64 = 64 << 20;

/// With this many pages (32 MiB) in the log the writing connection makes a checkpoint by itself.
const PAGES_BEFORE_OWN_CHECKPOINT: i64 = 8_000;

/// Opens or creates the journal for writing and reads what is needed to go on.
///
/// # Errors
///
/// Everything that [`JournalError`] knows about a file that cannot be used.
pub(super) fn open(path: &Path) -> Result<(Connection, Replay), JournalError> {
    let shared = Arc::new(path.to_owned());
    prepare_file(path).map_err(|error| JournalError::from_io(&shared, &error))?;
    let sqlite = |error: rusqlite::Error| JournalError::from_sqlite(&shared, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    // A file of another program or a newer version is left as it was found, so this comes first.
    let format = identify(&connection, &shared, MIGRATIONS)?;
    configure(&connection).map_err(sqlite)?;
    migrate(&mut connection, format, MIGRATIONS).map_err(sqlite)?;

    let clean_shutdown = meta(&connection, "clean_shutdown").map_err(sqlite)? == 1;
    // From here on a crash is a crash: the mark goes before anything is read or written.
    set_meta(&connection, "clean_shutdown", 0).map_err(sqlite)?;
    if !clean_shutdown {
        check_after_crash(&connection, &shared)?;
    }
    let replay = read_replay(&connection, clean_shutdown).map_err(sqlite)?;
    check_facts(&replay, &shared)?;
    Ok((connection, replay))
}

/// Opens a connection that can only read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let value = connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0));
    Ok(value.optional()?.unwrap_or(0))
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
        .execute(rusqlite::params![key, value])?;
    Ok(())
}

/// Notes a number unless a greater one is noted already.
pub(super) fn raise_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = max(value, ?2)",
        )?
        .execute(rusqlite::params![key, value])?;
    Ok(())
}

/// SQLite keeps integers as `i64`; numbers of this program never come near its end.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Scripts can hold passwords, so the file is for its owner alone from its first moment on. SQLite gives
/// its side files (`-wal`, `-shm`) the same mode.
fn prepare_file(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// The format of the file; 0 for a new one.
fn identify(connection: &Connection, path: &Arc<PathBuf>, migrations: &[&str]) -> Result<i64, JournalError> {
    let sqlite = |error: rusqlite::Error| JournalError::from_sqlite(path, &error);
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    let application = pragma("application_id").map_err(sqlite)?;
    let format = pragma("user_version").map_err(sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let empty = application == 0 && format == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(JournalError::new(path, JournalErrorKind::NotAJournal));
    }
    if format > known {
        return Err(JournalError::new(path, JournalErrorKind::NewerFormat { found: format, known }));
    }
    Ok(format)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // Before the first table is made, so that deleted history gives its space back to the disk.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Checkpoints are made elsewhere; this is for when they fail or cannot keep up.
    connection.pragma_update(None, "wal_autocheckpoint", PAGES_BEFORE_OWN_CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", -4096)
}

fn migrate(connection: &mut Connection, format: i64, migrations: &[&str]) -> rusqlite::Result<()> {
    for (step, target) in migrations.iter().zip(1_i64..).filter(|(_, target)| *target > format) {
        // The step and the new number are one transaction: a crash leaves the old format whole.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", target)?;
        transaction.commit()?;
    }
    Ok(())
}

fn check_after_crash(connection: &Connection, path: &Arc<PathBuf>) -> Result<(), JournalError> {
    let size = std::fs::metadata(path.as_path()).map_or(0, |metadata| metadata.len());
    if size > CHECKED_AFTER_CRASH {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| JournalError::from_sqlite(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    let detail = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(JournalError::new(path, JournalErrorKind::Damaged { detail }))
}

fn read_replay(connection: &Connection, clean_shutdown: bool) -> rusqlite::Result<Replay> {
    let snapshot = connection
        .query_row("SELECT seq, json FROM snapshot", [], |row| Ok((from_sql(row.get(0)?), row.get(1)?)))
        .optional()?;
    let covered = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let facts = connection
        .prepare("SELECT seq, time_ms, json FROM fact WHERE seq > ?1 ORDER BY seq")?
        .query_map([to_sql(covered)], |row| Ok((from_sql(row.get(0)?), row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let last_fact_seq = facts.last().map_or(covered, |(seq, _, _)| *seq);
    let kept: Option<i64> = connection.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
    let noted = meta(connection, "last_event_seq")?;
    let last_known = from_sql(kept.unwrap_or(0).max(noted));
    let last_event_seq = if clean_shutdown { last_known } else { last_known + EVENT_SEQ_JUMP };
    // Also the jump is noted, so that a second crash before the first event jumps on from there.
    set_meta(connection, "last_event_seq", to_sql(last_event_seq))?;
    Ok(Replay { snapshot, facts, last_fact_seq, last_event_seq, clean_shutdown })
}

/// Facts without a gap from the snapshot on, or the file was
/// tampered with: a queue rebuilt from it would be a wrong one.
fn check_facts(replay: &Replay, path: &Arc<PathBuf>) -> Result<(), JournalError> {
    let first = replay.snapshot.as_ref().map_or(0, |(seq, _)| *seq) + 1;
    for (expected, (found, _, _)) in (first..).zip(&replay.facts) {
        if expected != *found {
            let detail = format!("fact {expected} is missing");
            return Err(JournalError::new(path, JournalErrorKind::Damaged { detail }));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_from_the_format_of_the_file_to_the_newest_one_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("beamq.db");
        let shared = Arc::new(path.clone());
        let mut connection = Connection::open(&path).unwrap();
        let first = ["CREATE TABLE note (text TEXT)"];
        let second = ["this is not run again", "ALTER TABLE note ADD COLUMN time_ms INTEGER"];
        let broken = ["-", "-", "CREATE TABLE half (x); this is not SQL"];

        assert_eq!(identify(&connection, &shared, &first).unwrap(), 0);
        migrate(&mut connection, 0, &first).unwrap();
        assert_eq!(identify(&connection, &shared, &second).unwrap(), 1);
        migrate(&mut connection, 1, &second).unwrap();
        connection.execute("INSERT INTO note (text, time_ms) VALUES ('kept', 1)", []).unwrap();
        assert!(migrate(&mut connection, 2, &broken).is_err());
        assert_eq!(identify(&connection, &shared, &broken).unwrap(), 2, "the old format is still whole");
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
        assert_eq!(tables, 1);
        assert!(identify(&connection, &shared, &first).is_err(), "an older version refuses it");
    }
}
