//! [`Batch`]: token lists of different lengths as one rectangle, the way the model reads them.

/// Token ids and attention mask of several texts, both `rows` x `columns`, row-major.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    rows: usize,
    columns: usize,
    ids: Vec<i64>,
    mask: Vec<bool>,
}

impl Batch {
    /// Fills every text up to the longest with `padding`.
    pub fn pad(texts: &[Vec<u32>], padding: u32) -> Self {
        let rows = texts.len();
        let columns = texts.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows * columns);
        let mut mask = Vec::with_capacity(rows * columns);
        for text in texts {
            let fill = columns - text.len();
            ids.extend(text.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(i64::from(padding), fill));
            mask.extend(std::iter::repeat_n(true, text.len()));
            mask.extend(std::iter::repeat_n(false, fill));
        }
        Self {
            rows,
            columns,
            ids,
            mask,
        }
    }

    /// Number of texts.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens of the longest text.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Which tokens are text; the others are padding.
    pub fn mask(&self) -> &[bool] {
        &self.mask
    }

    /// Input `input_ids`.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Input `attention_mask`: 1 for text, 0 for padding.
    pub fn attention(&self) -> Vec<i64> {
        self.mask.iter().map(|&text| i64::from(text)).collect()
    }

    /// Input `token_type_ids`: zero throughout, since each row is one text.
    pub fn types(&self) -> Vec<i64> {
        vec![0; self.ids.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_texts_are_filled_and_masked() {
        let batch = Batch::pad(&[vec![5, 6, 7], vec![8]], 9);
        assert_eq!((batch.rows(), batch.columns()), (2, 3));
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 9]);
        assert_eq!(batch.mask, [true, true, true, true, false, false]);
        assert_eq!(batch.attention(), [1, 1, 1, 1, 0, 0]);
        assert_eq!(batch.types(), [0; 6]);
    }
}
