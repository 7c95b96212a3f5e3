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

    /// Input `input_ids`: 64-bit little-endian integers.
    pub fn ids_bytes(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|id| id.to_le_bytes()).collect()
    }

    /// Input `attention_mask`: 1 for text, 0 for padding.
    pub fn mask_bytes(&self) -> Vec<u8> {
        let ones = self.mask.iter().map(|&text| i64::from(text));
        ones.flat_map(i64::to_le_bytes).collect()
    }

    /// Input `token_type_ids`: zero throughout, since each row is one text.
    pub fn type_bytes(&self) -> Vec<u8> {
        vec![0; self.ids.len() * size_of::<i64>()]
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
        assert_eq!(batch.ids_bytes()[8..16], 6_i64.to_le_bytes());
        assert_eq!(
            batch.mask_bytes()[24..40],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(batch.type_bytes(), [0; 48]);
    }
}
