//! The token: a random secret, new at every start, that lets the owner of the data directory in.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{private_file::write_private_file, secret::Secret};

/// Tells people and secret scanners what they look at.
const PREFIX: &str = "beamq_";
const RANDOM_BYTES: usize = 32;
/// No token file is longer; what is longer is something else.
const FILE_LIMIT: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers ({0}), and without them there is no safe token")]
    NoRandomness(getrandom::Error),
    /// The file is not there.
    #[error("there is no token at {}; is the server running, and is this its data directory?", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to somebody else.
    #[error(
        "the token {} may be read only by the user who runs the server; become that user, or log in with an account",
        path.display()
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
    },
    /// The file is no token.
    #[error("{} holds no token; restart the server, which writes a new one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the token {} cannot be read or written ({source})", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl TokenError {
    /// A stable word for this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRandomness(_) => "token_no_randomness",
            Self::Missing { .. } => "token_missing",
            Self::Forbidden { .. } => "token_forbidden",
            Self::Malformed { .. } => "token_malformed",
            Self::File { .. } => "token_file",
        }
    }
}

/// A token: `beamq_` and 64 hexadecimal digits (256 random bits).
#[derive(Clone, Debug)]
pub struct Token(Secret<String>);

impl Token {
    /// Makes a new one from the system's random numbers.
    ///
    /// # Errors
    ///
    /// [`TokenError::NoRandomness`].
    pub fn generate() -> Result<Self, TokenError> {
        let text = random_bytes()?.iter().fold(PREFIX.to_owned(), |mut text, byte| {
            for nibble in [byte >> 4, byte & 0x0F] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
            text
        });
        Ok(Self(Secret::new(text)))
    }

    /// The text, for the file, the PVs and a client's login.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// What the server keeps of the token: a random salt and the keyed hash. The token itself cannot be told
/// from it, and comparing takes the same time for every wrong token.
#[derive(Clone)]
pub struct TokenVerifier {
    salt: [u8; RANDOM_BYTES],
    hash: [u8; 32],
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenVerifier")
    }
}

impl TokenVerifier {
    /// Hashes the token with a salt of its own.
    ///
    /// # Errors
    ///
    /// [`TokenError::NoRandomness`].
    pub fn new(token: &Token) -> Result<Self, TokenError> {
        let salt = random_bytes()?;
        Ok(Self { hash: keyed_hash(&salt, token.expose().as_bytes()), salt })
    }

    /// Whether this is the token.
    #[must_use]
    pub fn verify(&self, candidate: &[u8]) -> bool {
        keyed_hash(&self.salt, candidate).ct_eq(&self.hash).into()
    }
}

/// Publishes the token in a file of mode 0600; an old one is replaced atomically.
///
/// # Errors
///
/// [`TokenError::File`] when it cannot be written.
pub fn write_token_file(path: &Path, token: &Token) -> Result<(), TokenError> {
    let line = format!("{}\n", token.expose());
    write_private_file(path, line.as_bytes())
        .map_err(|source| TokenError::File { path: path.to_owned(), source })
}

/// Reads the token that a server on this machine published.
///
/// # Errors
///
/// When the file is not there, not for this user, or holds something else.
pub fn read_token_file(path: &Path) -> Result<Token, TokenError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
    let path = path.to_owned();
    match read {
        Ok(_) if is_token(text.trim_end()) => Ok(Token(Secret::new(text.trim_end().to_owned()))),
        Ok(_) => Err(TokenError::Malformed { path }),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound => TokenError::Missing { path },
            ErrorKind::PermissionDenied => TokenError::Forbidden { path },
            ErrorKind::InvalidData => TokenError::Malformed { path },
            _ => TokenError::File { path, source: error },
        }),
    }
}

fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 2 * RANDOM_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn random_bytes() -> Result<[u8; RANDOM_BYTES], TokenError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(TokenError::NoRandomness)?;
    Ok(bytes)
}

fn keyed_hash(salt: &[u8; RANDOM_BYTES], text: &[u8]) -> [u8; 32] {
    // A key as long as the hash is never refused, so the error case cannot happen; it must not match.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn every_token_is_new_and_only_its_own_verifier_takes_it() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        let verifier = TokenVerifier::new(&one).unwrap();
        assert!(verifier.verify(one.expose().as_bytes()));
        assert!(!verifier.verify(other.expose().as_bytes()));
        assert!(!verifier.verify(b""));
        assert!(!verifier.verify(one.expose().to_uppercase().as_bytes()));
        assert!(!verifier.verify(&[0xFF; 100_000]));
    }

    #[test]
    fn the_same_token_is_hashed_differently_each_time() {
        let token = Token::generate().unwrap();
        let (one, other) = (TokenVerifier::new(&token).unwrap(), TokenVerifier::new(&token).unwrap());
        assert_ne!((one.salt, one.hash), (other.salt, other.hash));
    }

    #[test]
    fn debug_output_holds_nothing_of_the_token() {
        let token = Token::generate().unwrap();
        let verifier = TokenVerifier::new(&token).unwrap();
        assert_eq!(format!("{token:?} {verifier:?}"), "Token([secret]) TokenVerifier");
    }

    #[test]
    fn the_file_is_for_its_owner_alone_and_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "left over, and readable by all").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let old_inode = std::fs::metadata(&path).unwrap().ino();

        let token = Token::generate().unwrap();
        write_token_file(&path, &token).unwrap();

        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_ne!(metadata.ino(), old_inode, "a new file took its place");
        assert_eq!(read_token_file(&path).unwrap().expose(), token.expose());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_file_that_is_no_token_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(read_token_file(&path), Err(TokenError::Missing { .. })));
        for content in [&b""[..], b"beamq_", b"beamq_zz", b"\xFF\xFE", b"hunter2\n"] {
            std::fs::write(&path, content).unwrap();
            let error = read_token_file(&path).unwrap_err();
            assert!(matches!(error, TokenError::Malformed { .. }), "{content:?}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing-folder").join("token");
        let error = write_token_file(&path, &Token::generate().unwrap()).unwrap_err();
        assert!(matches!(error, TokenError::File { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
