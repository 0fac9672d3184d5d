//! Statistics that a few strange values do not spoil.

/// A value and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weighted {
    pub(super) value: f64,
    pub(super) weight: f64,
}

/// The values in order, for quantiles; what is no number and what counts nothing is left out.
pub(super) fn sorted(mut values: Vec<Weighted>) -> Vec<Weighted> {
    values.retain(|one| one.value.is_finite() && one.weight > 0.0);
    values.sort_by(|one, other| one.value.total_cmp(&other.value));
    values
}

/// The value below which the part `q` of the weight lies, interpolated between neighbours; `None` for no
/// values. The values are in order.
pub(super) fn quantile(sorted: &[Weighted], q: f64) -> Option<f64> {
    let total: f64 = sorted.iter().map(|one| one.weight).sum();
    let wanted = q * total;
    let mut before: Option<(f64, f64)> = None;
    let mut sum = 0.0;
    for one in sorted {
        // A value stands in the middle of its weight.
        let middle = sum + one.weight / 2.0;
        sum += one.weight;
        if middle >= wanted {
            return Some(match before {
                Some((middle_before, value_before)) => {
                    let part = (wanted - middle_before) / (middle - middle_before);
                    value_before + part * (one.value - value_before)
                }
                None => one.value,
            });
        }
        before = Some((middle, one.value));
    }
    before.map(|(_, value)| value)
}
