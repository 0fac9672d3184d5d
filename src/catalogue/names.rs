//! Names that are near each other.

/// The known name that somebody probably meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The cost grows with the length, and nobody mistypes so long a name.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (name, likeness(&given, &name.to_lowercase())))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

/// How alike two names are, from 0 to 1. Parts in another order (`temperature_set`) are alike, too.
fn likeness(given: &str, known: &str) -> f64 {
    let sorted = |name: &str| {
        let mut parts: Vec<_> = name.split('_').collect();
        parts.sort_unstable();
        parts.join("_")
    };
    let as_written = strsim::jaro_winkler(given, known);
    if given.contains('_') {
        as_written.max(strsim::jaro_winkler(&sorted(given), &sorted(known)))
    } else {
        as_written
    }
}
