//! Finding the server of a data directory: where it listens, and the token to log in with.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{AddressError, ServerAddress};

/// The most bytes that are read of a small file in the data directory; both are far below it.
const SMALL_FILE: u64 = 64 * 1024;

/// Where a running server listens, as it writes it into `endpoint.json` of its data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The server's process.
    pub pid: u32,
    /// The STOMP endpoint as `host:port`; absent when it is switched off.
    #[serde(default)]
    pub stomp: Option<String>,
    /// The HTTP endpoint as `host:port`; absent when it is switched off.
    #[serde(default)]
    pub http: Option<String>,
    /// The name of the instrument.
    #[serde(default)]
    pub instrument: String,
    /// The version of the server.
    #[serde(default)]
    pub version: String,
}

/// Why a data directory does not lead to a server.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Neither `XDG_STATE_HOME` nor `HOME` says where the data directory is.
    #[error("neither XDG_STATE_HOME nor HOME is set, so there is no default data directory")]
    NoHome,
    /// A file is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `endpoint.json` is not what a server writes.
    #[error("{path} is no endpoint file: {source}")]
    BadEndpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// `endpoint.json` names an address that is none.
    #[error("{path} names no usable address: {source}")]
    BadAddress {
        /// The file.
        path: PathBuf,
        /// What is wrong with the address.
        source: AddressError,
    },
    /// No server has written where it listens: none was started here, or it was stopped.
    #[error("no server runs on the data directory {path}")]
    NotRunning {
        /// The data directory.
        path: PathBuf,
    },
    /// The server of this directory has no STOMP endpoint.
    #[error("the server of {path} runs without its STOMP endpoint")]
    NoStomp {
        /// The endpoint file.
        path: PathBuf,
    },
}

/// The data directory of a server, from a client's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// The given directory.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// `$XDG_STATE_HOME/beamq`, or `~/.local/state/beamq`.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::NoHome`] when neither variable holds an absolute path.
    pub fn by_default() -> Result<Self, DiscoveryError> {
        Self::from_environment(|name| env::var_os(name).map(PathBuf::from))
    }

    fn from_environment(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, DiscoveryError> {
        // The XDG specification says that a relative path is to be ignored.
        let absolute = |name| variable(name).filter(|path: &PathBuf| path.is_absolute());
        let state =
            absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map(|state| Self::at(state.join("beamq"))).ok_or(DiscoveryError::NoHome)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that holds the token.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.path.join("token")
    }

    /// The file in which a running server says where it listens.
    #[must_use]
    pub fn endpoint_file(&self) -> PathBuf {
        self.path.join("endpoint.json")
    }

    /// The token, or `None` when no server has written one.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::Unreadable`] when the file is there but not for this user.
    pub fn token(&self) -> Result<Option<String>, DiscoveryError> {
        let token = read_small(&self.token_file())?.map(|text| text.trim().to_owned());
        Ok(token.filter(|token| !token.is_empty()))
    }

    /// What the server of this directory wrote about itself, or `None` when none runs.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] when the file is there and cannot be read or understood.
    pub fn endpoint(&self) -> Result<Option<Endpoint>, DiscoveryError> {
        let path = self.endpoint_file();
        let Some(text) = read_small(&path)? else { return Ok(None) };
        let endpoint = serde_json::from_str(&text);
        endpoint.map(Some).map_err(|source| DiscoveryError::BadEndpoint { path, source })
    }

    /// The STOMP address of the server of this directory.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] as for [`DataDir::endpoint`], or when no server runs, or it has no STOMP endpoint.
    pub fn stomp_address(&self) -> Result<ServerAddress, DiscoveryError> {
        let Some(endpoint) = self.endpoint()? else {
            return Err(DiscoveryError::NotRunning { path: self.path.clone() });
        };
        let path = self.endpoint_file();
        let Some(stomp) = endpoint.stomp else { return Err(DiscoveryError::NoStomp { path }) };
        stomp.parse().map_err(|source| DiscoveryError::BadAddress { path, source })
    }
}

fn read_small(path: &Path) -> Result<Option<String>, DiscoveryError> {
    let unreadable = |source| DiscoveryError::Unreadable { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, SMALL_FILE), &mut text).map_err(unreadable)?;
    Ok(Some(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_the_xdg_specification() {
        let with = |state: Option<&str>, home: Option<&str>| {
            let (state, home) = (state.map(PathBuf::from), home.map(PathBuf::from));
            DataDir::from_environment(|name| if name == "HOME" { home.clone() } else { state.clone() })
        };
        assert_eq!(with(Some("/s"), Some("/h")).unwrap().path(), Path::new("/s/beamq"));
        assert_eq!(with(None, Some("/h")).unwrap().path(), Path::new("/h/.local/state/beamq"));
        assert_eq!(with(Some("relative"), Some("/h")).unwrap().path(), Path::new("/h/.local/state/beamq"));
        assert!(matches!(with(None, None), Err(DiscoveryError::NoHome)));
    }

    #[test]
    fn a_directory_without_a_server_is_said_to_have_none() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path());
        assert!(matches!(data.stomp_address(), Err(DiscoveryError::NotRunning { .. })));
        assert_eq!(data.token().unwrap(), None);
    }

    #[test]
    fn the_files_of_a_running_server_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path());
        fs::write(data.token_file(), "abc\n").unwrap();
        fs::write(data.endpoint_file(), r#"{"pid": 7, "stomp": "127.0.0.1:4242", "http": null, "more": 1}"#)
            .unwrap();
        assert_eq!(data.token().unwrap().as_deref(), Some("abc"));
        assert_eq!(data.stomp_address().unwrap().port, 4242);
        assert_eq!(data.endpoint().unwrap().unwrap().pid, 7);
    }

    #[test]
    fn a_broken_endpoint_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path());
        fs::write(data.endpoint_file(), "{").unwrap();
        let error = data.stomp_address().unwrap_err().to_string();
        assert!(error.contains("endpoint.json"), "{error}");
        fs::write(data.endpoint_file(), r#"{"pid": 7, "stomp": null}"#).unwrap();
        assert!(matches!(data.stomp_address(), Err(DiscoveryError::NoStomp { .. })));
    }
}
