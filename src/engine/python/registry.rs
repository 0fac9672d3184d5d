//! Which workers live, written where the next server finds it: one file per worker under
//! `work_dir/workers`. A server that was killed leaves these files behind; the next one ends what they
//! name before it starts anything, so that no orphan goes on driving the instrument.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::descendants::{self, ProcessStat, processes};

/// How long processes that an earlier server left behind may take to disappear.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What is written of a worker. Numbers of processes are given again, so the time of its start and the
/// boot of the machine say whether a process of that number is the one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    pid: i32,
    /// In clock ticks since the boot, as `/proc/PID/stat` has it.
    started: u64,
    boot: String,
    /// The mark in the environment of the worker and of what it started.
    #[serde(default)]
    mark: Option<String>,
}

/// The folder of the entries.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    folder: PathBuf,
}

/// One worker's entry; removed when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    file: Option<PathBuf>,
}

impl Registry {
    /// Opens the registry of a working directory.
    ///
    /// # Errors
    ///
    /// When its folder cannot be made.
    pub(super) fn open(work_dir: &Path) -> io::Result<Self> {
        let folder = work_dir.join("workers");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Ends every worker that an earlier server left behind, and forgets them. Returns the numbers of the
    /// groups that were ended.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub(super) fn end_orphans(&self) -> io::Result<Vec<i32>> {
        let mut ended = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?.path();
            let entry = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok());
            if let Some(entry) = entry
                && entry.boot == boot_id()
            {
                if end_orphan(&entry) {
                    tracing::warn!(pid = entry.pid, "ended a worker that an earlier server left behind");
                    ended.push(entry.pid);
                }
                if let Some(mark) = &entry.mark {
                    descendants::end(&[], mark, entry.started, Instant::now() + GONE_WITHIN);
                }
            }
            fs::remove_file(&file)?;
        }
        Ok(ended)
    }

    /// Writes down a worker. One that cannot be written down runs all the same: the kernel ends it with
    /// the server.
    pub(super) fn enter(&self, pid: Pid, mark: &str) -> Registration {
        let Some(stat) = ProcessStat::read(pid.as_raw()) else { return Registration { file: None } };
        let entry =
            Entry { pid: pid.as_raw(), started: stat.started, boot: boot_id(), mark: Some(mark.to_owned()) };
        let file = self.folder.join(format!("{pid}.json"));
        let written =
            serde_json::to_vec(&entry).map_err(io::Error::from).and_then(|json| fs::write(&file, json));
        match written {
            Ok(()) => Registration { file: Some(file) },
            Err(error) => {
                tracing::warn!(%pid, %error, "failed to write down a worker");
                Registration { file: None }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = fs::remove_file(file)
        {
            tracing::debug!(file = %file.display(), %error, "failed to remove a worker's entry");
        }
    }
}

/// Kills the group of an entry if it still is the one that was written down.
fn end_orphan(entry: &Entry) -> bool {
    if entry.pid <= 1 {
        return false;
    }
    let group = Pid::from_raw(entry.pid);
    let ours = match ProcessStat::read(entry.pid) {
        Some(leader) => leader.started == entry.started,
        // The leader died with its server. Its number is not given again while its group has members, so
        // a group of this number whose members began after the leader is its group.
        None => {
            let members = group_members(entry.pid);
            !members.is_empty() && members.iter().all(|member| member.started >= entry.started)
        }
    };
    ours && group_is_alive(group) && signal::killpg(group, Signal::SIGKILL).is_ok()
}

/// Whether a process of this group runs; one that is dead and not yet reaped by its parent does not.
pub(super) fn group_is_alive(group: Pid) -> bool {
    if signal::killpg(group, None) == Err(Errno::ESRCH) {
        return false;
    }
    group_members(group.as_raw()).iter().any(|member| !member.dead)
}

fn group_members(group: i32) -> Vec<ProcessStat> {
    processes().map(|(_, stat)| stat).filter(|stat| stat.group == group).collect()
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_whose_number_now_belongs_to_another_process_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let entry = Entry { pid: std::process::id().cast_signed(), started: 1, boot: boot_id(), mark: None };
        let file = registry.folder.join("stale.json");
        fs::write(&file, serde_json::to_vec(&entry).unwrap()).unwrap();
        fs::write(registry.folder.join("rubbish.json"), b"{").unwrap();

        assert_eq!(registry.end_orphans().unwrap(), Vec::<i32>::new());
        assert!(!file.exists(), "the stale entry is forgotten");
    }
}
