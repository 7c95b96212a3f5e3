//! From one vector per token to one per text: the mean over the text's tokens, scaled to length 1.

use dunlin_guest::Array;

/// One vector per text of `hidden`, which is texts x tokens x numbers, or `None` when it is not, or the mask is not
/// texts x tokens.
///
/// A row without any token and one whose mean is zero give a zero vector.
pub fn embed(hidden: &Array<f32>, mask: &[bool]) -> Option<Vec<Vec<f32>>> {
    let [rows, columns, width] = *hidden.shape else {
        return None;
    };
    let fits =
        rows.checked_mul(columns) == Some(mask.len()) && mask.len().checked_mul(width) == Some(hidden.data.len());
    if !fits || hidden.data.is_empty() {
        return None;
    }
    let masks = mask.chunks_exact(columns);
    let rows = hidden.rows().zip(masks);
    Some(
        rows.map(|(row, mask)| unit(mean(row.chunks_exact(width), mask, width)))
            .collect(),
    )
}

fn mean<'a>(tokens: impl Iterator<Item = &'a [f32]>, mask: &[bool], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; width];
    let mut count = 0.0_f32;
    for (token, _) in tokens.zip(mask).filter(|&(_, &is_text)| is_text) {
        sum.iter_mut().zip(token).for_each(|(sum, number)| *sum += number);
        count += 1.0;
    }
    if count > 0.0 {
        sum.iter_mut().for_each(|number| *number /= count);
    }
    sum
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>();
    // The smallest length that the reference implementation divides by.
    let length = length.sqrt().max(1e-12);
    vector.iter_mut().for_each(|number| *number /= length);
    vector
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn hidden(rows: usize, columns: usize, width: usize, numbers: &[f32]) -> Array<f32> {
        Array {
            shape: vec![rows, columns, width],
            data: numbers.to_vec(),
        }
    }

    #[test]
    fn padding_does_not_count_and_the_length_is_one() {
        let numbers = [2.0, 2.0, 4.0, 6.0, 99.0, 99.0, 0.0, -5.0, 7.0, 7.0, 7.0, 7.0];
        let hidden = hidden(2, 3, 2, &numbers);
        let mask = [true, true, false, true, false, false];
        assert_eq!(embed(&hidden, &mask).unwrap(), [[0.6, 0.8], [0.0, -1.0]]);
    }

    #[test]
    fn a_row_without_tokens_is_zero_not_nan() {
        let hidden = hidden(1, 2, 2, &[1.0; 4]);
        assert_eq!(embed(&hidden, &[false, false]).unwrap(), [[0.0, 0.0]]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let good = [1.0; 4];
        assert!(embed(&hidden(1, 2, 2, &good), &[true, true]).is_some());
        assert!(embed(&hidden(1, 2, 2, &good[1..]), &[true, true]).is_none());
        assert!(embed(&hidden(1, 2, 2, &good), &[true]).is_none());
        assert!(embed(&hidden(1, 2, 0, &[]), &[true, true]).is_none());
        assert!(embed(&hidden(0, 0, 0, &[]), &[]).is_none());
        assert!(embed(&hidden(1, usize::MAX, 2, &good), &[true]).is_none());
    }
}
