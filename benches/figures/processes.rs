//! What the system knows about other processes.

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock};

/// The interpreter itself: `python3` may be a shell script that looks for it, which takes ten times as long.
pub(crate) fn interpreter() -> &'static PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let asked =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(asked.stdout).unwrap().trim().into()
    })
}

/// A `PATH` on which `python3` is that interpreter.
pub(crate) fn path() -> std::ffi::OsString {
    let folder = interpreter().parent().unwrap().to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(folder).chain(env::split_paths(&others))).unwrap()
}

/// The resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// The workers that this server has started and that have become another program.
pub(crate) fn python_children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let pids: Vec<u32> = children
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    // The server has another interpreter, which judges the syntax of scripts.
    let is_worker = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("/lib/worker.py"))
    };
    pids.into_iter().filter(is_worker).collect()
}

/// The processor time that a process has used, in clock ticks, if it sleeps now.
pub(crate) fn cpu_time_of_sleeper(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, spaces too.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |field: &&str| field.parse::<u64>().ok();
    (fields[0] == "S").then_some(())?;
    Some(fields.get(11).and_then(ticks)? + fields.get(12).and_then(ticks)?)
}
