//! Which file an interpreter is started from.
//!
//! `python3` may be a shim of pyenv: a shell script that looks for the version to use and then becomes it.
//! The looking takes longer than Python's own start, so a shim is asked once, and what it found is started
//! from then on. Any other script is left alone: it may set up what the interpreter needs.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

/// How long a shim may take to find its interpreter.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// Shims are this short.
const LONGEST_SHIM: u64 = 4096;

/// The configured interpreter, and the file behind it once that is known.
#[derive(Debug)]
pub(super) struct Interpreter {
    configured: PathBuf,
    found: Mutex<Option<PathBuf>>,
}

impl Interpreter {
    pub(super) fn new(configured: PathBuf) -> Self {
        Self { configured, found: Mutex::new(None) }
    }

    /// The file to start; what was configured when nothing better is known.
    pub(super) async fn executable(&self) -> PathBuf {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.is_file()) {
            return known;
        }
        let Some(shim) = in_path(&self.configured).filter(|file| is_shim(file)) else {
            return self.configured.clone();
        };
        match ask(&shim).await {
            Some(found) => {
                tracing::debug!(shim = %shim.display(), found = %found.display(), "the interpreter is a shim");
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
                found
            }
            None => self.configured.clone(),
        }
    }

    /// Looks again the next time: what was found does not work any longer.
    pub(super) fn forget(&self) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn in_path(interpreter: &Path) -> Option<PathBuf> {
    if interpreter.components().count() > 1 {
        return Some(interpreter.to_owned());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(interpreter)).find(|file| file.is_file())
}

fn is_shim(file: &Path) -> bool {
    let mut text = Vec::new();
    let read = fs::File::open(file).and_then(|file| file.take(LONGEST_SHIM).read_to_end(&mut text));
    read.is_ok() && text.starts_with(b"#!") && {
        let text = String::from_utf8_lossy(&text);
        text.contains("PYENV_ROOT") && text.contains("pyenv\" exec")
    }
}

async fn ask(shim: &Path) -> Option<PathBuf> {
    let asked = Command::new(shim)
        .args(["-c", "import sys; print(sys.executable)"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(FOUND_WITHIN, asked).await.ok()?.ok()?;
    let found = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (found.is_absolute() && found.is_file()).then_some(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    #[tokio::test]
    async fn a_shim_is_asked_once_and_any_other_script_is_started_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let real = script(folder.path(), "real", "#!/bin/sh\n");
        let shim = script(
            folder.path(),
            "python3",
            &format!(
                "#!/bin/sh\nexport PYENV_ROOT=/none\necho asked >> {0}/asked\necho {0}/real; exit\nexec \"/none/pyenv\" exec python3",
                folder.path().display()
            ),
        );
        let interpreter = Interpreter::new(shim.clone());
        assert_eq!(interpreter.executable().await, real);
        assert_eq!(interpreter.executable().await, real);
        assert_eq!(fs::read_to_string(folder.path().join("asked")).unwrap(), "asked\n");
        fs::remove_file(&real).unwrap();
        assert_eq!(interpreter.executable().await, shim, "what is gone is not started");

        let wrapper = script(folder.path(), "wrapper", "#!/bin/sh\nexport A=1\nexec python3 \"$@\"\n");
        assert_eq!(Interpreter::new(wrapper.clone()).executable().await, wrapper);
    }
}
