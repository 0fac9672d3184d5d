//! A value that is never shown by accident.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Wraps a secret: it can be read only through [`Secret::expose`], and `Debug` shows a placeholder.
/// There is no `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Compares two secrets in a time that tells nothing about where they differ.
#[must_use]
pub fn same_secret(one: &str, other: &str) -> bool {
    subtle::ConstantTimeEq::ct_eq(one.as_bytes(), other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_a_placeholder() {
        let wrapped = Some(Secret::new("hunter2".to_owned()));
        assert_eq!(format!("{wrapped:?} {wrapped:#?}"), "Some([secret]) Some(\n    [secret],\n)");
    }
}
