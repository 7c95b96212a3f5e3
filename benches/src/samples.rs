//! Samples of a quantity, and how they compare.

/// Samples of one contender, in any unit.
#[derive(Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; NaN without samples.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The smallest one.
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Prints one line: contender, median, minimum, and both as ratios to the first one's.
pub(crate) fn compare(unit: &str, contenders: &[(&str, &Samples)]) {
    let Some((_, first)) = contenders.first() else { return };
    for (name, samples) in contenders {
        println!(
            "  {name:<34} median {:>9.3} {unit}  min {:>9.3} {unit}   {:>6.2}x  {:>6.2}x",
            samples.median(),
            samples.min(),
            samples.median() / first.median(),
            samples.min() / first.min(),
        );
    }
}
