//! The shipped catalogue: a simulated instrument, part of the binary.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The files of `commands/`, with their paths below it.
pub const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/shipped_commands.rs"));

/// The catalogue files among them.
#[must_use]
pub fn texts() -> Vec<(PathBuf, String)> {
    let yaml = FILES.iter().filter(|(name, _)| name.ends_with(".yaml") || name.ends_with(".yml"));
    yaml.map(|(name, content)| (PathBuf::from(name), String::from_utf8_lossy(content).into_owned())).collect()
}

/// Writes the shipped catalogue below a folder of the data directory and returns its own folder. What
/// somebody changed there is put right again: an instrument's own catalogue belongs elsewhere.
///
/// # Errors
///
/// When a file cannot be written.
pub fn unpack(work_dir: &Path) -> io::Result<PathBuf> {
    let folder = work_dir.join("commands");
    fs::create_dir_all(&folder)?;
    for (name, content) in FILES {
        let file = folder.join(name);
        if fs::read(&file).is_ok_and(|present| present == *content) {
            continue;
        }
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        write_whole(&file, content)?;
    }
    remove_others(&folder, &folder)?;
    Ok(folder)
}

/// Files of an earlier version would still be loaded.
fn remove_others(folder: &Path, root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, root)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        if !FILES.iter().any(|(known, _)| Path::new(known) == name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Writes a file so that whoever reads it meanwhile sees the old or the new content, never a part.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    fs::write(&aside, content)?;
    fs::rename(&aside, path)
}
