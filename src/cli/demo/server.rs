//! The demo's own server: a child process with a data directory in the temporary directory.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::cli::exit::{Exit, Failure};

/// The longest wait for the server to accept clients.
const START: Duration = Duration::from_secs(15);

/// The longest wait for the server to stop by itself.
const STOP: Duration = Duration::from_secs(15);

/// How many seconds of the instrument pass in one of the demo.
pub(super) const SPEED: u32 = 120;

/// A server that ends with this value, and its data directory with it, unless it is kept.
pub(super) struct DemoServer {
    child: Child,
    data: DataDirGuard,
}

/// What the server says when it accepts clients.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) stomp: String,
}

/// A server that goes on without the demo.
pub(super) struct Kept {
    pub(super) pid: u32,
    pub(super) data: PathBuf,
}

impl DemoServer {
    /// Starts this same program as a server on free ports.
    pub(super) fn spawn() -> Result<Self, Failure> {
        let data = DataDirGuard::new()?;
        let failed =
            |error: io::Error| Failure::new(Exit::Internal, format!("cannot start the server: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let log = fs::File::create(data.path.join("server.log")).map_err(failed)?;
        let child = Command::new(program)
            .args(["serve", "--stomp", "127.0.0.1:0", "--json", "--data"])
            .arg(&data.path)
            // The demo is to show the same thing whatever is set for this user's own server.
            // Minutes of beam in a blink: the demo is to be short.
            .env("BEAMQ_DEMO_SPEED", SPEED.to_string())
            .env_remove("BEAMQ_CONFIG")
            .env_remove("BEAMQ_SERVER")
            .env_remove("BEAMQ_DATA")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for the demo, which stops its server in an orderly way; a kept server outlives it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, data })
    }

    /// The server's data directory.
    pub(super) fn data(&self) -> &Path {
        &self.data.path
    }

    /// Waits until the server accepts clients.
    pub(super) async fn ready(&mut self) -> Result<Ready, Failure> {
        #[derive(Deserialize)]
        struct ReadyLine {
            ready: Ready,
        }
        let stdout = self.child.stdout.take();
        let failed = |what: &str| Failure::new(Exit::Unreachable, what.to_owned()).hint(self.log_hint());
        let Some(stdout) = stdout else { return Err(failed("the server has no output")) };
        let mut line = String::new();
        let read = timeout(START, BufReader::new(stdout).read_line(&mut line)).await;
        match read {
            Err(_) => Err(failed("the server was not ready in time")),
            Ok(Err(error)) => Err(failed(&format!("cannot read from the server: {error}"))),
            Ok(Ok(0)) => Err(failed("the server ended at once")),
            Ok(Ok(_)) => match serde_json::from_str::<ReadyLine>(&line) {
                Ok(line) => Ok(line.ready),
                Err(error) => Err(failed(&format!("the server's ready line cannot be understood: {error}"))),
            },
        }
    }

    /// The last lines of the server's log: the directory they are in is about to be removed.
    fn log_hint(&self) -> String {
        let mut log = String::new();
        let file = fs::File::open(self.data.path.join("server.log"));
        let _ = file.map(|file| file.take(64 * 1024).read_to_string(&mut log));
        let lines: Vec<_> = log.lines().collect();
        let last = lines.len().saturating_sub(5);
        match lines.get(last..) {
            Some(lines) if !lines.is_empty() => format!("the server said:\n  {}", lines.join("\n  ")),
            _ => "run `beamq serve` by itself to see why".to_owned(),
        }
    }

    /// Asks the server to stop, waits for it, and removes its data directory.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // A server that is gone already needs no signal; the wait below tells how it ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let ended = timeout(STOP, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::new(Exit::Internal, format!("the server stopped with {status}"))
                .hint(self.log_hint())),
            Ok(Err(error)) => {
                Err(Failure::new(Exit::Internal, format!("cannot wait for the server: {error}")))
            }
            Err(_) => {
                let failure =
                    Failure::new(Exit::Internal, format!("the server did not stop within {STOP:?}"));
                let failure = failure.hint(self.log_hint());
                let _ = self.child.kill().await;
                Err(failure)
            }
        }
    }

    /// Lets the server go on by itself.
    pub(super) fn keep(self) -> Kept {
        let Self { child, mut data } = self;
        let pid = child.id().unwrap_or_default();
        data.keep = true;
        // A child that is dropped is killed, and this one is not to be; it ends when it is told to.
        std::mem::forget(child);
        Kept { pid, data: data.path.clone() }
    }
}

/// A directory of its own that only this user can enter.
struct DataDirGuard {
    path: PathBuf,
    keep: bool,
}

impl DataDirGuard {
    fn new() -> Result<Self, Failure> {
        let failed =
            |error: String| Failure::new(Exit::Internal, format!("cannot make a data directory: {error}"));
        let mut random = [0_u8; 6];
        getrandom::fill(&mut random).map_err(|error| failed(error.to_string()))?;
        let suffix: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("beamq-demo-{suffix}"));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| failed(error.to_string()))?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for DataDirGuard {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed stays in the temporary directory, which is emptied by the system.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_private_and_goes_away() {
        use std::os::unix::fs::PermissionsExt;
        let guard = DataDirGuard::new().unwrap();
        let path = guard.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "x").unwrap();
        drop(guard);
        assert!(!path.exists());
    }
}
