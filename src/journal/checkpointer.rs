//! Moves what is in SQLite's log into the database file, on a thread and a connection of its own.
//!
//! Left to itself SQLite does this at the end of a commit, which then takes tens of milliseconds longer
//! than its neighbours, and everybody waits for it. Commits go on beside a checkpoint of another connection.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, OpenFlags};

/// After about this many bytes in the log there is a checkpoint.
const CHECKPOINT_AFTER: usize = 4 << 20;
/// What a commit adds to the log beside its rows: every page that it touches is written whole.
const PAGES_OF_A_COMMIT: usize = 32 << 10;

/// The thread, as the writer sees it. Dropping it waits for a checkpoint that is under way.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wanted: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    in_log: usize,
}

impl Checkpointer {
    /// Starts the thread for the database file.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        // One wish is as good as two: a checkpoint takes all that is there.
        let (wanted, wishes) = sync_channel(1);
        let thread = thread::Builder::new().name("checkpoints".into()).spawn(move || work(&path, &wishes))?;
        Ok(Self { wanted: Some(wanted), thread: Some(thread), in_log: 0 })
    }

    /// Notes a commit of about so many bytes.
    pub(super) fn committed(&mut self, bytes: usize) {
        self.in_log = self.in_log.saturating_add(bytes).saturating_add(PAGES_OF_A_COMMIT);
        if self.in_log >= CHECKPOINT_AFTER
            && let Some(wanted) = &self.wanted
        {
            self.in_log = 0;
            // A full channel means that the wish is there already.
            wanted.try_send(()).ok();
        }
    }

    /// Ends the thread, after the checkpoint that is under way.
    pub(super) fn stop(&mut self) {
        self.wanted = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(path: &Path, wishes: &Receiver<()>) {
    let mut connection = None;
    for () in wishes {
        if let Err(error) = checkpoint(path, &mut connection) {
            // The writer's own checkpoint, which comes later, still keeps the log from growing for ever.
            tracing::warn!(%error, "the journal's log could not be moved into its file");
            connection = None;
        }
    }
}

fn checkpoint(path: &Path, connection: &mut Option<Connection>) -> rusqlite::Result<()> {
    let opened = match connection.take() {
        Some(connection) => connection,
        None => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection
        }
    };
    // Passive: neither readers nor the writer are held up; what they still use is left for the next time.
    opened.pragma_update_and_check(None, "wal_checkpoint", "PASSIVE", |_| Ok(()))?;
    *connection = Some(opened);
    Ok(())
}
