//! The folders of a catalogue: which files there are, what has changed, and what was good last.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Catalogue, CheckedFile, Diagnostic, FILE_LIMIT};

/// Folders deeper than this are not looked into.
const DEEPEST: usize = 8;
/// More files than this are no catalogue.
const MOST_FILES: usize = 1_000;

/// The catalogue files below some folders, and the last good version of each.
#[derive(Debug, Default)]
pub struct Shelf {
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Kept>,
}

#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    present: CheckedFile,
    last_good: Option<CheckedFile>,
}

/// What changes when a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
    content: u64,
}

impl Shelf {
    /// The files below these folders; nothing is read yet.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, files: BTreeMap::new() }
    }

    /// The folders.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Looks at every file and reads those that have changed. Says whether anything is different.
    pub fn refresh(&mut self) -> bool {
        let mut changed = false;
        let mut present = Vec::new();
        for folder in &self.folders {
            list(folder, 0, &mut present);
        }
        present.sort();
        present.dedup();
        present.truncate(MOST_FILES);
        let gone: Vec<_> = self.files.keys().filter(|path| !present.contains(path)).cloned().collect();
        for path in gone {
            self.files.remove(&path);
            changed = true;
        }
        for path in present {
            changed |= self.refresh_file(path);
        }
        changed
    }

    fn refresh_file(&mut self, path: PathBuf) -> bool {
        let content = read(&path);
        let stamp = stamp(&path, &content);
        let before = self.files.remove(&path);
        match before {
            Some(kept) if kept.stamp.content == stamp.content => {
                self.files.insert(path, Kept { stamp, ..kept });
                false
            }
            before => {
                let name = path.display().to_string();
                let present = match content {
                    Ok(text) => CheckedFile::read(&name, &text),
                    Err(Unreadable { code, message }) => CheckedFile::unreadable(&name, code, message),
                };
                let last_good =
                    before.and_then(
                        |kept| {
                            if kept.present.is_good() { Some(kept.present) } else { kept.last_good }
                        },
                    );
                self.files.insert(path, Kept { stamp, present, last_good });
                true
            }
        }
    }

    /// Whether the sizes and times of the files say that [`Shelf::refresh`] would find something.
    #[must_use]
    pub fn looks_changed(&self) -> bool {
        let mut present = Vec::new();
        for folder in &self.folders {
            list(folder, 0, &mut present);
        }
        present.sort();
        present.dedup();
        present.truncate(MOST_FILES);
        present.len() != self.files.len()
            || present.iter().any(|path| {
                let kept =
                    self.files.get(path).map(|kept| (kept.stamp.size, kept.stamp.modified, kept.stamp.inode));
                kept != Some(metadata(path))
            })
    }

    /// The catalogue in force.
    #[must_use]
    pub fn catalogue(&self) -> (Catalogue, Vec<Diagnostic>) {
        let files: Vec<_> =
            self.files.values().map(|kept| (&kept.present, kept.last_good.as_ref())).collect();
        let (mut catalogue, diagnostics) = Catalogue::assemble(&files);
        for folder in self.folders.iter().filter(|folder| !folder.is_dir()) {
            let name = folder.display().to_string();
            let missing =
                CheckedFile::unreadable(&name, "catalogue_unreadable", format!("there is no folder {name}"));
            catalogue.problems.extend(missing.diagnostics().iter().map(Diagnostic::finding));
        }
        (catalogue, diagnostics)
    }
}

/// Why the text of a file cannot be had.
#[derive(Debug)]
pub struct Unreadable {
    /// The code of the finding.
    pub code: &'static str,
    /// Why.
    pub message: String,
}

/// Reads a catalogue file, up to what a catalogue file can hold.
///
/// # Errors
///
/// When it cannot be read, is too large or is not UTF-8 text.
pub fn read(path: &Path) -> Result<String, Unreadable> {
    let refuse = |code, message| Err(Unreadable { code, message });
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        file.take(FILE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(size)
    });
    match opened {
        Err(error) => refuse("catalogue_unreadable", format!("the file cannot be read: {error}")),
        Ok(size) if bytes.len() > FILE_LIMIT => refuse(
            "yaml_too_large",
            format!(
                "the file has {:.1} MB, and no catalogue file has more than {} MB",
                size as f64 / 1e6,
                FILE_LIMIT >> 20
            ),
        ),
        Ok(_) => String::from_utf8(bytes).or_else(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            refuse(
                "yaml_syntax",
                format!("the file is not UTF-8 text: line {line} holds other bytes; save it as UTF-8"),
            )
        }),
    }
}

/// The catalogue files below a folder, or the file itself.
#[must_use]
pub fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found = Vec::new();
    list(path, 0, &mut found);
    found.sort();
    found
}

fn list(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    // A folder that cannot be read has no files; a missing one is a problem of its own.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // Editors leave hidden files and copies behind while they save.
        if name.starts_with(['.', '#'])
            || name.ends_with('~')
            || name == "__pycache__"
            || found.len() > MOST_FILES
        {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST && !entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                list(&path, depth + 1, found);
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            found.push(path);
        }
    }
}

fn metadata(path: &Path) -> (u64, Option<SystemTime>, u64) {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or((0, None, 0), |data| (data.len(), data.modified().ok(), data.ino()))
}

fn stamp(path: &Path, content: &Result<String, Unreadable>) -> Stamp {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let (size, modified, inode) = metadata(path);
    let mut hasher = DefaultHasher::new();
    match content {
        Ok(text) => text.hash(&mut hasher),
        Err(unreadable) => (unreadable.code, &unreadable.message).hash(&mut hasher),
    }
    Stamp { size, modified, inode, content: hasher.finish() }
}
