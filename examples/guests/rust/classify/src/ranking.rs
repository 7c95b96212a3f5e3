//! From the model's numbers to the likeliest classes.

use serde::Serialize;

/// A class and how likely it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored<'a> {
    /// The class's number, from 0.
    pub class: usize,
    /// Its name, if the model came with names.
    pub label: Option<&'a str>,
    /// From 0 to 1; over all classes they add up to 1.
    pub score: f32,
}

/// The `count` likeliest classes, likeliest first. Equal ones stand in the order of their numbers.
#[must_use]
pub fn best<'a>(logits: &[f32], labels: &'a [String], count: usize) -> Vec<Scored<'a>> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&left, &right| weights[right].total_cmp(&weights[left]));
    let scored = order.into_iter().take(count).map(|class| Scored {
        class,
        label: labels.get(class).map(String::as_str),
        score: weights[class] / sum,
    });
    scored.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first_and_add_up() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let all = best(&[1.0, 3.0, 2.0, 3.0], &labels, 9);
        assert_eq!(all.iter().map(|scored| scored.class).collect::<Vec<_>>(), [1, 3, 2, 0]);
        let labels: Vec<_> = all.iter().map(|scored| scored.label).collect();
        assert_eq!(labels, [Some("b"), None, Some("c"), Some("a")]);
        assert!((all.iter().map(|scored| scored.score).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(best(&[1.0, 3.0], &[], 1).len(), 1);
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let two = best(&[1000.0, -1000.0], &[], 2);
        assert_eq!((two[0].score, two[1].score), (1.0, 0.0));
        assert!(best(&[], &[], 5).is_empty());
    }
}
