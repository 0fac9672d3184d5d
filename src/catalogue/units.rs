//! The units that a catalogue may use without explaining them.

/// What makes a unit of one's own.
pub const OTHER: &str = "other:";

/// The known units, by what they measure.
pub const UNITS: [(&str, &[&str]); 15] = [
    ("temperature", &["K", "mK", "°C"]),
    ("length", &["m", "cm", "mm", "µm", "nm", "Å"]),
    ("angle", &["deg", "rad", "mrad", "arcsec"]),
    ("time", &["ns", "µs", "ms", "s", "min", "h"]),
    ("frequency", &["Hz", "kHz", "MHz", "rpm"]),
    ("charge and current", &["µA·h", "mA", "µA", "nA", "A"]),
    ("voltage and power", &["mV", "V", "kV", "mW", "W"]),
    ("magnetic field", &["T", "mT", "G"]),
    ("energy", &["µeV", "meV", "eV", "keV", "MeV"]),
    ("momentum", &["1/Å", "1/nm"]),
    ("pressure", &["Pa", "kPa", "MPa", "mbar", "bar", "mN/m"]),
    ("volume and flow", &["µL", "mL", "L", "µL/min", "mL/min", "mL/h", "L/min"]),
    (
        "area and speed",
        &["mm²", "cm²", "cm²/min", "mm/s", "mm/min", "cm/min", "deg/s", "deg/min", "K/min", "T/min"],
    ),
    ("amount", &["g", "mg", "kg", "mol", "mM", "mol/L"]),
    ("counts and ratios", &["none", "%", "counts", "frames", "Mevents", "events", "counts/s", "Mevents/h"]),
];

/// Other spellings that people use, and which unit they mean.
const SPELLINGS: [(&str, &str); 44] = [
    ("kelvin", "K"),
    ("degk", "K"),
    ("°k", "K"),
    ("c", "°C"),
    ("degc", "°C"),
    ("celsius", "°C"),
    ("° c", "°C"),
    ("um", "µm"),
    ("micron", "µm"),
    ("microns", "µm"),
    ("angstrom", "Å"),
    ("a^-1", "1/Å"),
    ("å⁻¹", "1/Å"),
    ("degree", "deg"),
    ("degrees", "deg"),
    ("°", "deg"),
    ("us", "µs"),
    ("microseconds", "µs"),
    ("sec", "s"),
    ("seconds", "s"),
    ("second", "s"),
    ("minutes", "min"),
    ("minute", "min"),
    ("m.", "min"),
    ("hours", "h"),
    ("hour", "h"),
    ("hr", "h"),
    ("uah", "µA·h"),
    ("µah", "µA·h"),
    ("ua.h", "µA·h"),
    ("uamps", "µA·h"),
    ("ua h", "µA·h"),
    ("µa h", "µA·h"),
    ("µa.h", "µA·h"),
    ("ua*h", "µA·h"),
    ("µa*h", "µA·h"),
    ("ua", "µA"),
    ("tesla", "T"),
    ("gauss", "G"),
    ("ml", "mL"),
    ("ml/min", "mL/min"),
    ("percent", "%"),
    ("cm2", "cm²"),
    ("cm^2", "cm²"),
];

/// Whether the unit is known, or declared as one of the catalogue's own.
#[must_use]
pub fn is_known(unit: &str) -> bool {
    let own = unit.strip_prefix(OTHER).map(str::trim);
    own.map_or_else(
        || all().any(|known| known == unit),
        |name| !name.is_empty() && name.chars().count() <= 20,
    )
}

/// The known units.
pub fn all() -> impl Iterator<Item = &'static str> {
    UNITS.iter().flat_map(|(_, units)| units.iter().copied())
}

/// The unit that was probably meant.
#[must_use]
pub fn nearest(unit: &str) -> Option<&'static str> {
    // U+03BC and U+00B5 look the same, and so do the dots and the signs of degrees.
    let plain = unit.trim().replace('\u{3bc}', "µ").replace(['⋅', '∙', '•'], "·").replace(['º', '˚'], "°");
    if let Some(known) = all().find(|known| *known == plain) {
        return Some(known);
    }
    let lower = plain.to_lowercase();
    let spelled = SPELLINGS.iter().find(|(spelling, _)| *spelling == lower).map(|(_, unit)| *unit);
    let same = || all().find(|known| known.to_lowercase() == lower);
    let near = || {
        let distance = |known: &&str| strsim::damerau_levenshtein(&lower, &known.to_lowercase());
        let found = all().min_by_key(distance)?;
        (lower.chars().count() > 2 && distance(&found) <= 1).then_some(found)
    };
    spelled.or_else(same).or_else(near)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_a_known_unit() {
        for (spelling, unit) in SPELLINGS {
            assert!(is_known(unit), "{unit}");
            assert!(!is_known(spelling), "{spelling} is a unit and a misspelling");
            assert_eq!(nearest(spelling), Some(unit));
        }
    }

    #[test]
    fn look_alikes_are_recognised() {
        assert_eq!(nearest("\u{3bc}m"), Some("µm"));
        assert_eq!(nearest("µA⋅h"), Some("µA·h"));
        assert_eq!(nearest("ºC"), Some("°C"));
        assert_eq!(nearest("mEV"), Some("meV"));
        assert_eq!(nearest("furlong"), None);
        assert!(is_known("other:furlong") && !is_known("other:") && !is_known("furlong"));
    }
}
