//! What can go wrong with the journal, in one line that says what to do.

use std::{fmt, path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

/// Why the journal could not do what it was asked. Cheap to clone: one failed transaction answers many.
#[derive(Clone, Debug)]
pub struct JournalError {
    path: Arc<PathBuf>,
    kind: JournalErrorKind,
}

#[derive(Clone, Debug)]
pub(super) enum JournalErrorKind {
    NewerFormat { found: i64, known: i64 },
    NotAJournal,
    Damaged { detail: String },
    DiskFull,
    ReadOnly { detail: String },
    Io { detail: String },
    Locked,
    FactsOutOfOrder { expected: u64, found: u64 },
    SnapshotBeyondFacts { last: u64, snapshot: u64 },
    Closed,
    Other { detail: String },
}

impl JournalError {
    pub(super) fn new(path: &Arc<PathBuf>, kind: JournalErrorKind) -> Self {
        Self { path: Arc::clone(path), kind }
    }

    pub(super) fn from_sqlite(path: &Arc<PathBuf>, error: &rusqlite::Error) -> Self {
        Self::new(path, classify(error))
    }

    pub(super) fn from_io(path: &Arc<PathBuf>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalErrorKind::DiskFull,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                JournalErrorKind::ReadOnly { detail: error.to_string() }
            }
            _ => JournalErrorKind::Io { detail: error.to_string() },
        };
        Self::new(path, kind)
    }

    /// A stable word for this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            JournalErrorKind::NewerFormat { .. } => "journal_newer_format",
            JournalErrorKind::NotAJournal => "journal_not_a_journal",
            JournalErrorKind::Damaged { .. } => "journal_damaged",
            JournalErrorKind::DiskFull => "journal_disk_full",
            JournalErrorKind::ReadOnly { .. } => "journal_read_only",
            JournalErrorKind::Io { .. } => "journal_io",
            JournalErrorKind::Locked => "journal_locked",
            JournalErrorKind::FactsOutOfOrder { .. } => "journal_facts_out_of_order",
            JournalErrorKind::SnapshotBeyondFacts { .. } => "journal_snapshot_beyond_facts",
            JournalErrorKind::Closed => "journal_closed",
            JournalErrorKind::Other { .. } => "journal_error",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match &self.kind {
            JournalErrorKind::NewerFormat { .. } => {
                "start the version of beamq that wrote it, or choose another folder with --data".into()
            }
            JournalErrorKind::NotAJournal => {
                "choose another folder with --data, or move this file away".into()
            }
            JournalErrorKind::Damaged { .. } => format!(
                "restore it from a backup, or move {0} (and {0}-wal, {0}-shm) aside to begin with an empty queue",
                self.path.display()
            ),
            JournalErrorKind::DiskFull => {
                "free some space on its file system; nothing that was acknowledged is lost".into()
            }
            JournalErrorKind::ReadOnly { .. } => {
                "give the user who runs beamq the right to write to it and to its folder".into()
            }
            JournalErrorKind::Io { .. } => {
                "check the disk and its file system (dmesg names a failing one)".into()
            }
            JournalErrorKind::Locked => {
                "end the other program that has it open (a database browser, a backup)".into()
            }
            JournalErrorKind::FactsOutOfOrder { .. } | JournalErrorKind::SnapshotBeyondFacts { .. } => {
                "restart the server, which reads back what was committed, and report this as a bug".into()
            }
            JournalErrorKind::Closed => "the server is shutting down; try again when it is up".into(),
            JournalErrorKind::Other { .. } => "restart the server, and report this if it comes back".into(),
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            JournalErrorKind::NewerFormat { found, known } => write!(
                f,
                "{path} has the journal format {found}, and this version of beamq knows formats up to {known}"
            ),
            JournalErrorKind::NotAJournal => write!(f, "{path} is a database of another program"),
            JournalErrorKind::Damaged { detail } => write!(f, "the journal {path} is damaged ({detail})"),
            JournalErrorKind::DiskFull => write!(f, "the disk of the journal {path} is full"),
            JournalErrorKind::ReadOnly { detail } => {
                write!(f, "the journal {path} cannot be written ({detail})")
            }
            JournalErrorKind::Io { detail } => {
                write!(f, "the disk of the journal {path} does not work ({detail})")
            }
            JournalErrorKind::Locked => write!(f, "the journal {path} is locked by another program"),
            JournalErrorKind::FactsOutOfOrder { expected, found } => {
                write!(f, "fact {found} was to be committed where fact {expected} belongs in {path}")
            }
            JournalErrorKind::SnapshotBeyondFacts { last, snapshot } => {
                write!(f, "a snapshot of fact {snapshot} was to be written, and {path} ends with fact {last}")
            }
            JournalErrorKind::Closed => write!(f, "the journal {path} is closed"),
            JournalErrorKind::Other { detail } => write!(f, "the journal {path} failed ({detail})"),
        }?;
        write!(f, "; {}", self.hint())
    }
}

impl std::error::Error for JournalError {}

fn classify(error: &rusqlite::Error) -> JournalErrorKind {
    let detail = one_line(&error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalErrorKind::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            JournalErrorKind::ReadOnly { detail }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => JournalErrorKind::Damaged { detail },
        Some(ErrorCode::SystemIoFailure) => JournalErrorKind::Io { detail },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            JournalErrorKind::Locked
        }
        _ => JournalErrorKind::Other { detail },
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
