//! Where `tests/run` puts what tests need besides the system's packages.

use std::{env, path::PathBuf};

/// The path of something that `tests/run` installs.
pub fn installed(path: &str) -> PathBuf {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    let cache = folder("BEAMQ_TEST_CACHE").unwrap_or_else(|| {
        let caches = folder("XDG_CACHE_HOME").unwrap_or_else(|| folder("HOME").unwrap().join(".cache"));
        caches.join("beamq-tests")
    });
    let path = cache.join(path);
    assert!(path.exists(), "{} is not there: ./tests/run installs it", path.display());
    path
}
