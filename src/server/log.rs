//! Where the server's own log goes: standard error for whoever watches, a file of the data directory for
//! whoever asks the next morning.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, sync::Mutex};

use tracing_subscriber::{EnvFilter, Layer, fmt::layer, layer::SubscriberExt, util::SubscriberInitExt};

use super::ServeError;
use crate::config::{LogConfig, LogFormat};

/// A log file of this size gives way to a new one at the next start.
const FULL: u64 = 10 << 20;

/// Starts logging. `RUST_LOG` wins over the configured level.
pub(super) fn start(config: &LogConfig, quiet: bool, data_dir: &Path) -> Result<(), ServeError> {
    let path = data_dir.join("beamq.log");
    let failed = |source| ServeError::Log { path: path.clone(), source };
    if std::fs::metadata(&path).is_ok_and(|file| file.len() > FULL) {
        std::fs::rename(&path, data_dir.join("beamq.log.1")).map_err(failed)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    let level = config.level.name();
    let filter = || {
        let ours = format!("warn,beamq={level}");
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours))
    };
    let stderr_filter = if quiet { EnvFilter::new("error") } else { filter() };
    let file = Mutex::new(file);
    let subscriber = tracing_subscriber::registry();
    // A process has one log; a second server in the same process goes on with the first one's.
    let started = match config.format {
        LogFormat::Json => {
            let to_file = layer().json().with_writer(file).with_filter(filter());
            let to_stderr = layer().json().with_writer(std::io::stderr).with_filter(stderr_filter);
            subscriber.with(to_file).with(to_stderr).try_init()
        }
        LogFormat::Text => {
            let to_file = layer().with_ansi(false).with_writer(file).with_filter(filter());
            let to_stderr = layer().with_ansi(false).with_writer(std::io::stderr).with_filter(stderr_filter);
            subscriber.with(to_file).with(to_stderr).try_init()
        }
    };
    started.ok();
    Ok(())
}
