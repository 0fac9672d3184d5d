//! The data directory: one server at a time, its files, and how clients find the server.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// There is no home directory to put it in.
    #[error(
        "there is no place for the data directory: neither XDG_STATE_HOME nor HOME is set; name one with --data DIR"
    )]
    NoPlace,
    /// Something else has the name.
    #[error("the data directory {} is not a folder; name another one with --data DIR", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be created.
    #[error("the data directory {} cannot be created ({source}); name another one with --data DIR", path.display())]
    Create {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error(
        "the data directory {} cannot be written ({source}); give this user the right to, or name another one with --data DIR",
        path.display()
    )]
    NotWritable {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another server has it.
    #[error(
        "another beamq{} already serves the data directory {}; stop it, or name another directory with --data DIR",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
        /// The process that holds the lock, when it could be told.
        pid: Option<u32>,
    },
    /// A file in it cannot be read, written or removed.
    #[error("{} cannot be used ({source})", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl DataDirError {
    /// A stable word for this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPlace => "data_dir_no_place",
            Self::NotAFolder { .. } => "data_dir_not_a_folder",
            Self::Create { .. } | Self::NotWritable { .. } => "data_dir_not_writable",
            Self::InUse { .. } => "data_dir_in_use",
            Self::File { .. } => "data_dir_file",
        }
    }
}

/// Where and how a running server is reached: `endpoint.json`, for clients on the same machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The server's process.
    pub pid: u32,
    /// The address of the embedded STOMP endpoint: `127.0.0.1:61613`.
    pub stomp: Option<String>,
    /// The address of the HTTP endpoint.
    pub http: Option<String>,
    /// The instrument's name.
    pub instrument: String,
    /// The server's version.
    pub version: String,
}

impl Endpoint {
    /// Reads the endpoint of the server that uses this data directory; `None` when none has left one.
    /// After a crash the file can be stale: who uses it must be ready for nobody to answer.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be read or understood.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, DataDirError> {
        let path = data_dir.join("endpoint.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DataDirError::File { path, source }),
        };
        match serde_json::from_str(&text) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(error) => Err(DataDirError::File { path, source: std::io::Error::other(error) }),
        }
    }
}

/// A data directory that this process owns. Dropping it lets the next server in.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: Flock<File>,
    last_alive: Option<SystemTime>,
}

impl DataDir {
    /// The data directory when none is named: `$XDG_STATE_HOME/beamq`, else `~/.local/state/beamq`.
    ///
    /// # Errors
    ///
    /// [`DataDirError::NoPlace`] when neither variable is set.
    pub fn default_path() -> Result<PathBuf, DataDirError> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("beamq"))
            .ok_or(DataDirError::NoPlace)
    }

    /// Creates the directory if needed (mode 0700), checks that it can be written, and takes its lock.
    /// What a crashed server left for clients to find is removed.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created or written, or when another server has it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        create_private(path)?;
        // Paths are handed to workers that run in folders of their own.
        let path = path
            .canonicalize()
            .map_err(|source| DataDirError::NotWritable { path: path.to_owned(), source })?;
        let not_writable = |source| DataDirError::NotWritable { path: path.clone(), source };
        let (lock, last_alive) = take_lock(&path)?;
        let data_dir = Self { lock, path: path.clone(), last_alive };
        create_private(&data_dir.work())?;
        data_dir.remove_endpoint().map_err(|error| match error {
            DataDirError::File { source, .. } => not_writable(source),
            other => other,
        })?;
        Ok(data_dir)
    }

    /// Leaves a sign of life for the server after this one, should this one end without a word. It is the
    /// time of the file `lock`: nothing is written that could fail for want of room.
    pub fn sign_of_life(&self) {
        if let Err(error) = self.lock.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "no sign of life can be left");
        }
    }

    /// The last sign of life of the server before this one; `None` when there was none.
    #[must_use]
    pub fn last_alive(&self) -> Option<SystemTime> {
        self.last_alive
    }

    /// The directory, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("beamq.db")
    }

    /// The file with the token.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.path.join("token")
    }

    /// The folder in which jobs get their working directories; it exists.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The file that tells clients where the server is.
    #[must_use]
    pub fn endpoint(&self) -> PathBuf {
        self.path.join("endpoint.json")
    }

    /// Tells clients on this machine where the server is.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_endpoint(&self, endpoint: &Endpoint) -> Result<(), DataDirError> {
        let path = self.endpoint();
        serde_json::to_vec(endpoint)
            .map_err(std::io::Error::other)
            .and_then(|json| crate::security::write_private_file(&path, &json))
            .map_err(|source| DataDirError::File { path, source })
    }

    /// Takes that back; a file that is not there is fine.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be removed.
    pub fn remove_endpoint(&self) -> Result<(), DataDirError> {
        let path = self.endpoint();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(DataDirError::File { path, source }),
            _ => Ok(()),
        }
    }
}

fn create_private(path: &Path) -> Result<(), DataDirError> {
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(DataDirError::NotAFolder { path: path.to_owned() });
    }
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| DataDirError::Create { path: path.to_owned(), source })
}

/// The lock belongs to the open file: it goes with the process, however that ends, and is not inherited
/// by workers because the file is closed on `exec`.
///
/// With it comes the last sign of life of whoever had it before.
fn take_lock(data_dir: &Path) -> Result<(Flock<File>, Option<SystemTime>), DataDirError> {
    let path = data_dir.join("lock");
    let not_writable = |source| DataDirError::NotWritable { path: data_dir.to_owned(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(not_writable)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            // An empty file is one that was just made.
            let before = lock.metadata().ok().filter(|metadata| metadata.len() > 0);
            let last_alive = before.and_then(|metadata| metadata.modified().ok());
            let write_pid = |lock: &mut File| {
                lock.set_len(0)?;
                lock.rewind()?;
                writeln!(lock, "{}", std::process::id())
            };
            write_pid(&mut lock).map_err(not_writable)?;
            Ok((lock, last_alive))
        }
        Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.take(32).read_to_string(&mut text).ok();
            Err(DataDirError::InUse { path: data_dir.to_owned(), pid: text.trim().parse().ok() })
        }
        Err((_, errno)) => Err(DataDirError::File { path, source: errno.into() }),
    }
}
