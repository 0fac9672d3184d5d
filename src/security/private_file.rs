//! Files that nobody but their owner may read, written so that nobody ever sees half of one.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Replaces a file atomically by one of mode 0600 with this content. A reader sees the old or the new
/// content, whole; a power cut leaves one of the two.
///
/// # Errors
///
/// When the folder cannot be written or the disk is full; the old file is then untouched.
pub fn write_private_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = Path::new(&temporary);
    // One that a crash left behind may have another mode or owner; `create_new` never writes into it.
    fs::remove_file(temporary).ok();
    let written = write_new(temporary, content).and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        fs::remove_file(temporary).ok();
        return written;
    }
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
