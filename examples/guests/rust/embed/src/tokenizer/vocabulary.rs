//! [`Vocabulary`]: the pieces of a `vocab.txt`, one per line, found by text.
//!
//! The text stays as it was read; two hash tables hold line numbers. So loading costs two allocations per table,
//! not one per piece.

use std::{
    fmt,
    hash::BuildHasher as _,
    io::{self, Read as _},
    ops::Range,
    path::Path,
};

use hashbrown::{DefaultHashBuilder, HashTable};

/// Largest vocabulary that is read: ten times those of the largest BERT models.
const MAX_BYTES: u64 = 16 << 20;

/// What marks a piece as the continuation of a word.
const CONTINUATION: &str = "##";

/// Why there is no vocabulary.
#[derive(Debug)]
pub enum VocabularyError {
    /// The file could not be read.
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than any vocabulary.
    TooLarge {
        /// Its path.
        path: String,
    },
    /// It has more lines or bytes than an id can number.
    TooManyTokens,
    /// A token without which nothing can be encoded is missing.
    NoSpecialToken {
        /// The token.
        name: &'static str,
    },
}

impl fmt::Display for VocabularyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {path}: {source}"),
            Self::TooLarge { path } => write!(f, "{path} has more than {MAX_BYTES} bytes"),
            Self::TooManyTokens => write!(f, "the vocabulary has too many tokens"),
            Self::NoSpecialToken { name } => write!(f, "the vocabulary has no token {name}"),
        }
    }
}

impl std::error::Error for VocabularyError {}

/// Pieces of words and their ids, which are their line numbers from zero.
pub struct Vocabulary {
    text: String,
    /// Where each piece lies in the text, without its continuation mark.
    pieces: Vec<Range<u32>>,
    words: HashTable<u32>,
    continuations: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Length of the longest piece in bytes: longer candidates need no look-up.
    longest: usize,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary")
            .field("pieces", &self.pieces.len())
            .finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// Reads a `vocab.txt`.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8, or is too large.
    pub fn load(path: &Path) -> Result<Self, VocabularyError> {
        let read = |source| VocabularyError::Read {
            path: path.display().to_string(),
            source,
        };
        let file = std::fs::File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let mut text = String::with_capacity(usize::try_from(length.min(MAX_BYTES)).unwrap_or(0));
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > MAX_BYTES {
            let path = path.display().to_string();
            return Err(VocabularyError::TooLarge { path });
        }
        Self::parse(text)
    }

    /// Takes the content of a `vocab.txt`. Of two equal lines the later one counts.
    ///
    /// # Errors
    /// When it has 4 GiB or more.
    pub fn parse(text: String) -> Result<Self, VocabularyError> {
        if u32::try_from(text.len()).is_err() {
            return Err(VocabularyError::TooManyTokens);
        }
        let lines = text.lines().count();
        let mut vocabulary = Self {
            pieces: Vec::with_capacity(lines),
            words: HashTable::with_capacity(lines),
            continuations: HashTable::with_capacity(lines / 4),
            hasher: DefaultHashBuilder::default(),
            longest: 0,
            text: String::new(),
        };
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            vocabulary.add(&text, offset, line.trim_end())?;
            offset += line.len();
        }
        vocabulary.text = text;
        Ok(vocabulary)
    }

    fn add(&mut self, text: &str, offset: usize, line: &str) -> Result<(), VocabularyError> {
        let number = |size: usize| u32::try_from(size).map_err(|_| VocabularyError::TooManyTokens);
        let id = number(self.pieces.len())?;
        let (piece, table) = match line.strip_prefix(CONTINUATION) {
            Some(piece) if !piece.is_empty() => (piece, &mut self.continuations),
            _ => (line, &mut self.words),
        };
        let start = number(offset + line.len() - piece.len())?;
        let end = number(offset + line.len())?;
        self.pieces.push(start..end);
        self.longest = self.longest.max(piece.len());
        let pieces = &self.pieces;
        let of = |id: u32| slice(text, pieces, id);
        let hash = self.hasher.hash_one(piece);
        match table.find_mut(hash, |&known| of(known) == piece) {
            Some(known) => *known = id,
            None => {
                table.insert_unique(hash, id, |&known| self.hasher.hash_one(of(known)));
            }
        }
        Ok(())
    }

    /// The id of a whole word.
    pub fn word(&self, word: &str) -> Option<u32> {
        self.find(&self.words, word)
    }

    /// The longest piece that a word begins with: its id and length in bytes.
    pub fn longest_word(&self, word: &str) -> Option<(u32, usize)> {
        self.longest_in(&self.words, word)
    }

    /// The longest piece that the rest of a word begins with: its id and length in bytes.
    pub fn longest_continuation(&self, rest: &str) -> Option<(u32, usize)> {
        self.longest_in(&self.continuations, rest)
    }

    fn longest_in(&self, table: &HashTable<u32>, text: &str) -> Option<(u32, usize)> {
        let longest = text.floor_char_boundary(self.longest);
        (1..=longest)
            .rev()
            .filter(|&length| text.is_char_boundary(length))
            .find_map(|length| Some((self.find(table, &text[..length])?, length)))
    }

    fn find(&self, table: &HashTable<u32>, piece: &str) -> Option<u32> {
        table
            .find(self.hasher.hash_one(piece), |&id| {
                slice(&self.text, &self.pieces, id) == piece
            })
            .copied()
    }
}

/// The text of a piece; empty for ids that there are not.
fn slice<'a>(text: &'a str, pieces: &[Range<u32>], id: u32) -> &'a str {
    let range = usize::try_from(id).ok().and_then(|id| pieces.get(id));
    range
        .and_then(|range| text.get(to_usize(range.start)..to_usize(range.end)))
        .unwrap_or_default()
}

const fn to_usize(offset: u32) -> usize {
    // Lossless: both targets of this crate have at least 32 bits.
    offset as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ids_are_line_numbers() {
        let vocabulary = Vocabulary::parse("a\n##b\n\nab\r\n##é".to_owned()).unwrap();
        assert_eq!(vocabulary.word("a"), Some(0));
        assert_eq!(vocabulary.word("ab"), Some(3), "line ends do not belong to it");
        assert_eq!(vocabulary.word("b"), None, "only continues words");
        assert_eq!(vocabulary.longest_word("abc"), Some((3, 2)));
        assert_eq!(vocabulary.longest_continuation("bx"), Some((1, 1)));
        assert_eq!(vocabulary.longest_continuation("éx"), Some((4, 2)));
        assert_eq!(vocabulary.longest_continuation("a"), None, "only begins words");
    }

    #[test]
    fn the_later_of_two_equal_lines_counts() {
        let vocabulary = Vocabulary::parse("a\nb\na\n".to_owned()).unwrap();
        assert_eq!(vocabulary.word("a"), Some(2));
    }

    #[test]
    fn longer_candidates_than_any_piece_are_cut_at_characters() {
        let vocabulary = Vocabulary::parse("éé".to_owned()).unwrap();
        assert_eq!(vocabulary.longest_word("ééééé"), Some((0, 4)));
        assert_eq!(vocabulary.longest_word("aé"), None);
        assert_eq!(Vocabulary::parse(String::new()).unwrap().longest_word("a"), None);
    }

    #[test]
    fn unreadable_files_say_their_path() {
        let error = Vocabulary::load(Path::new("/nowhere/vocab.txt")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nowhere/vocab.txt: "));
    }
}
