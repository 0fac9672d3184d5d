//! `beamq check script.py`: scripts against the catalogue, with the interpreter's final word.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::check_files;
use crate::{
    catalogue::{Catalogue, Diagnostic, Place, Source, folder},
    cli::exit::{Exit, Failure},
    dryrun::{CompileLimits, Compiler, SCRIPT_LIMIT, diagnose_script},
    protocol::view::Severity,
};

/// Folders within folders are followed so far.
const DEEPEST: usize = 16;
/// No check looks at more files.
const MOST_FILES: usize = 10_000;

/// The scripts below a folder that is no part of a catalogue, by name.
pub(super) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, DEEPEST, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, deeper: usize, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if found.len() >= MOST_FILES || hidden {
            continue;
        }
        if kind.is_dir() && deeper > 0 {
            collect(&path, deeper - 1, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
}

/// Checks scripts. Their commands are those of the catalogue that is checked with them, or else those of
/// the folder `commands`, or the shipped ones.
pub(super) async fn check(
    scripts: &[PathBuf],
    given: &Catalogue,
    interpreter: &Path,
) -> Result<Vec<Diagnostic>, Failure> {
    let other =
        if given.is_empty() && !scripts.is_empty() { default_catalogue() } else { Catalogue::default() };
    let catalogue = if given.is_empty() { &other } else { given };
    let compiler = Compiler::new(interpreter, CompileLimits::default());
    let mut all = Vec::new();
    for path in scripts {
        all.extend(check_one(path, catalogue, &compiler).await?);
    }
    Ok(all)
}

fn default_catalogue() -> Catalogue {
    let local = folder::files_below(Path::new("commands"));
    let (catalogue, _) = check_files(&local);
    if !catalogue.is_empty() {
        return catalogue;
    }
    let shipped = crate::catalogue::shipped::FILES.iter();
    let yaml = shipped.filter(|(name, _)| name.ends_with(".yaml"));
    let files: Vec<_> =
        yaml.map(|(name, text)| (name.into(), String::from_utf8_lossy(text).into_owned())).collect();
    Catalogue::check(&files).0
}

async fn check_one(
    path: &Path,
    catalogue: &Catalogue,
    compiler: &Compiler,
) -> Result<Vec<Diagnostic>, Failure> {
    let name = path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("cannot read {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    // One byte more than is allowed shows that a file is too large, however large it is.
    file.take(SCRIPT_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default()).into_owned();
            let source = Arc::new(Source::new(&name, before));
            return Ok(vec![one(&source, at, Severity::Error, "not_utf8", "the script is not UTF-8".into())]);
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut found = diagnose_script(&name, text, catalogue);
    if text.len() > SCRIPT_LIMIT {
        return Ok(found);
    }
    let source = Arc::new(Source::new(&name, text));
    match compiler.final_word(text).await {
        Ok(word) => word.settle(&source, &mut found),
        Err(error) => {
            let message = format!("the interpreter was not heard: failed to {error}");
            found.push(one(&source, 0, Severity::Note, "not_compiled", message));
        }
    }
    Ok(found)
}

fn one(
    source: &Arc<Source>,
    at: usize,
    severity: Severity,
    code: &'static str,
    message: String,
) -> Diagnostic {
    Diagnostic {
        severity,
        code,
        message,
        place: Place { source: Arc::clone(source), range: at..at, label: String::new() },
        related: None,
        command: None,
        parameter: None,
        help: Vec::new(),
    }
}
