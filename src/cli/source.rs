//! Scripts from files, standard input and an editor.

use std::{
    fs, io,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    process::Command,
};

use super::exit::{Exit, Failure};

/// The most bytes that are read of a script. The server's own limit is lower and is told by the server.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A script and the name that its job gets when no other is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// Reads a script from a file, or from standard input when the path is `-`.
pub(super) fn read(path: &Path) -> Result<Source, Failure> {
    let from_stdin = path == Path::new("-");
    let shown = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = if from_stdin {
        read_bounded(io::stdin().lock())
    } else {
        fs::File::open(path).and_then(read_bounded)
    };
    let bytes = bytes.map_err(|error| unreadable(&shown, &error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::new(Exit::Failed, format!("{shown} is longer than 64 MiB")));
    }
    let name = match path.file_name() {
        Some(name) if !from_stdin => name.to_string_lossy().into_owned(),
        _ => "stdin".to_owned(),
    };
    Ok(Source { name, text: decoded(bytes, &shown)? })
}

fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(shown: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("cannot read {shown}: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => failure.hint("give the path of a Python script, or - for standard input"),
        io::ErrorKind::IsADirectory => failure.hint("name the scripts in it one by one"),
        _ => failure,
    }
}

fn decoded(bytes: Vec<u8>, shown: &str) -> Result<String, Failure> {
    // Editors on Windows put a byte order mark in front, which Python takes for a character of the script.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        let good = error.as_bytes().get(..position).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = error.as_bytes().get(position).copied().unwrap_or_default();
        Failure::new(
            Exit::Failed,
            format!("{shown} is not UTF-8: byte 0x{byte:02X} at position {position}, in line {line}"),
        )
        .hint(format!("save it as UTF-8, or convert it: iconv -f latin1 -t utf-8 {shown}"))
    })
}

/// Lets the person change a text in `$VISUAL` or `$EDITOR`. `None` when it was left as it was.
pub(super) fn edit(text: &str, name: &str) -> Result<Option<String>, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "nothing to change was given, and there is no terminal for an editor",
        )
        .hint("give the new script with --script FILE, or a field such as --name"));
    }
    let editor =
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let draft = Draft::new(text, name)?;
    // Editors are often given with options (`code --wait`), so a shell takes the words apart.
    let edited =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&draft.path).status();
    let good = matches!(&edited, Ok(status) if status.success());
    if !good {
        let why = edited.map_or_else(|error| error.to_string(), |status| status.to_string());
        return Err(Failure::new(Exit::Failed, format!("the editor `{editor}` failed: {why}"))
            .hint("set EDITOR to the editor of your choice"));
    }
    let changed = read(&draft.path)?.text;
    Ok((changed != text).then_some(changed))
}

/// A file that only this user can read, removed at the end.
struct Draft {
    folder: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn new(text: &str, name: &str) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("beamq-edit-{}", std::process::id()));
        let cannot = |error: io::Error| {
            Failure::new(Exit::Internal, format!("cannot write into {}: {error}", folder.display()))
        };
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(cannot)?;
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let mut file: String = name.chars().map(plain).take(60).collect();
        if !file.ends_with(".py") {
            file.push_str(".py");
        }
        let draft = Self { path: folder.join(file), folder: folder.clone() };
        fs::write(&draft.path, text).map_err(cannot)?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed is a small file in the temporary directory, not worth an error.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
        let failure = decoded(b"print('a')\nprint('\xb5A')\n".to_vec(), "scan.py").unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert_eq!(failure.message, "scan.py is not UTF-8: byte 0xB5 at position 18, in line 2");
        assert!(failure.hint.unwrap().contains("iconv"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_script() {
        assert_eq!(decoded(b"\xef\xbb\xbfx = 1\n".to_vec(), "x").unwrap(), "x = 1\n");
    }

    #[test]
    fn a_missing_file_is_wrong_usage_and_its_name_is_told() {
        let failure = read(Path::new("/nonexistent/scan.py")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("/nonexistent/scan.py"), "{}", failure.message);
    }

    #[test]
    fn the_job_is_named_after_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cool down.py");
        fs::write(&path, "pass\n").unwrap();
        assert_eq!(read(&path).unwrap(), Source { name: "cool down.py".into(), text: "pass\n".into() });
    }
}
