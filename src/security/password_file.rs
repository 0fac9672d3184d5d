//! Files that hold one password and nothing else.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::Secret;

/// No password is longer.
const LONGEST: u64 = 4096;

/// Why a file does not give a password.
#[derive(Debug, thiserror::Error)]
#[error("the password file {} {reason}", path.display())]
pub struct PasswordFileError {
    /// The file.
    pub path: PathBuf,
    /// What is the matter; continues "the file".
    pub reason: String,
    /// Whether there is no such file.
    pub missing: bool,
}

/// What a password file holds.
#[derive(Debug)]
pub struct PasswordFile {
    /// The password: the file's text without the end of its line.
    pub password: Secret<String>,
    /// Whether others than the owner of the file can read it.
    pub open_to_others: bool,
}

/// Reads a password.
///
/// # Errors
///
/// When the file cannot be read, or does not hold one line of text.
pub fn read_password_file(path: &Path) -> Result<PasswordFile, PasswordFileError> {
    let refuse = |reason: &str, missing| {
        Err(PasswordFileError { path: path.to_owned(), reason: reason.to_owned(), missing })
    };
    let (bytes, mode) = match read(path) {
        Ok(read) => read,
        Err(error) => {
            return refuse(&format!("cannot be read ({error})"), error.kind() == io::ErrorKind::NotFound);
        }
    };
    if bytes.len() as u64 > LONGEST {
        return refuse("is longer than 4096 bytes; it is to hold the password alone", false);
    }
    let Ok(text) = String::from_utf8(bytes) else { return refuse("is not UTF-8 text", false) };
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return refuse("is empty; write the password into it", false);
    }
    if password.contains(char::is_control) {
        return refuse("holds more than one line, or a tab; it is to hold the password alone", false);
    }
    Ok(PasswordFile { password: Secret::new(password.to_owned()), open_to_others: mode & 0o044 != 0 })
}

fn read(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            let read = read_password_file(&path);
            read.map(|file| file.password.expose().clone()).map_err(|error| error.reason)
        };
        for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(read(content).unwrap(), "hunter2");
        }
        assert_eq!(read(" a \"b\" <&> ü $ \\ : \n").unwrap(), " a \"b\" <&> ü $ \\ : ");
        for (content, reason) in [
            ("", "is empty"),
            ("\n", "is empty"),
            ("hunter2\n\n", "more than one line"),
            ("a\tb", "a tab"),
            (&"x".repeat(5000), "longer than 4096 bytes"),
        ] {
            let refused = read(content).unwrap_err();
            assert!(refused.contains(reason) && !refused.contains("hunter2"), "{refused}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_password_file(&path).unwrap_err().missing);
    }
}
