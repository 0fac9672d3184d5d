//! The process behind a simulation, whether it was started or forked: watched, and ended in any case.

use std::{io, path::Path, process::ExitStatus, time::Duration};

use tokio::{process::Child, task};

use super::{many::Many, scratch::Scratch};

/// A process that waited for a processor for so long has no chance beside what else is going on.
const STARVED_AFTER: Duration = Duration::from_secs(1);

/// A process that simulates one script.
#[derive(Debug)]
pub(super) enum Process {
    /// One that was started for this alone, and where it may write.
    Own { child: Box<Child>, scratch: Scratch },
    /// The child of another.
    Forked { parent: Many, pid: u32 },
}

impl Process {
    /// Its number.
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Own { child, .. } => child.id(),
            Self::Forked { pid, .. } => Some(*pid),
        }
    }

    /// Where it may write.
    pub(super) fn folder(&self) -> io::Result<&Path> {
        match self {
            Self::Own { scratch, .. } => Ok(scratch.path()),
            Self::Forked { parent, .. } => parent.folder(),
        }
    }

    /// Ends it. Returns how it ended, where that is wanted or known, and its parent.
    pub(super) async fn end(self, wanted: bool) -> (Option<ExitStatus>, Option<Many>) {
        match self {
            Self::Own { mut child, scratch } => {
                let _gone = child.start_kill();
                let status = child.wait().await.ok();
                // Removing what a script has left can take a while, and nobody waits for it.
                task::spawn_blocking(move || drop(scratch));
                (status, None)
            }
            Self::Forked { mut parent, .. } => {
                let ending = async {
                    parent.end_child().await?;
                    if wanted { parent.child_has_ended().await.map(Some) } else { Ok(None) }
                };
                match ending.await {
                    Ok(status) => (status, Some(parent)),
                    Err(error) => {
                        tracing::debug!(%error, "the parent of a simulation has gone");
                        (None, None)
                    }
                }
            }
        }
    }
}

/// Comes back when a process has hardly run, although it wanted to all the time. Never without a process,
/// or where the system does not say.
pub(super) async fn starved(pid: Option<u32>) {
    let Some((ran_before, waited_before)) = pid.and_then(ran_and_waited) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(STARVED_AFTER / 4).await;
        let Some((ran, waited)) = pid.and_then(ran_and_waited) else { return std::future::pending().await };
        let (ran, waited) = (ran.saturating_sub(ran_before), waited.saturating_sub(waited_before));
        if u128::from(waited) > STARVED_AFTER.as_nanos() && ran < waited / 4 {
            return;
        }
    }
}

/// For how many nanoseconds a process ran, and for how many it waited for a processor.
fn ran_and_waited(pid: u32) -> Option<(u64, u64)> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let mut told = told.split_ascii_whitespace().map(str::parse::<u64>);
    Some((told.next()?.ok()?, told.next()?.ok()?))
}
