//! [`Tokenizer`]: text to the token ids that BERT models were trained on (WordPiece, uncased).
//!
//! Gives what the `tokenizers` library gives for such a model, except that special tokens written in a text are
//! text. Written here because that library costs every fresh instance tens of milliseconds and the component megabytes.

mod normal;
mod vocabulary;

use std::sync::OnceLock;

pub use self::vocabulary::{Vocabulary, VocabularyError};
use crate::VOCABULARY;

/// Longest word in characters that is split into pieces; longer ones are unknown as a whole.
const MAX_WORD: usize = 100;

/// Turns text into token ids.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    unknown: u32,
    start: u32,
    end: u32,
    padding: u32,
}

impl Tokenizer {
    /// A tokenizer over `vocabulary`.
    ///
    /// # Errors
    /// When it lacks one of `[UNK]`, `[CLS]`, `[SEP]` and `[PAD]`.
    pub fn new(vocabulary: Vocabulary) -> Result<Self, VocabularyError> {
        let special = |name| {
            let found = vocabulary.word(name);
            found.ok_or(VocabularyError::NoSpecialToken { name })
        };
        Ok(Self {
            unknown: special("[UNK]")?,
            start: special("[CLS]")?,
            end: special("[SEP]")?,
            padding: special("[PAD]")?,
            vocabulary,
        })
    }

    /// The tokenizer of the model at [`VOCABULARY`], loaded by the first call of an instance.
    ///
    /// # Errors
    /// When the file cannot be read or is no vocabulary; the next call tries again.
    pub fn shared() -> Result<&'static Self, VocabularyError> {
        static SHARED: OnceLock<Tokenizer> = OnceLock::new();
        if let Some(tokenizer) = SHARED.get() {
            return Ok(tokenizer);
        }
        let tokenizer = Self::new(Vocabulary::load(VOCABULARY.as_ref())?)?;
        Ok(SHARED.get_or_init(|| tokenizer))
    }

    /// The id that fills rows up.
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// The ids of a text between `[CLS]` and `[SEP]`; what would make more than `limit` ids (at least 2) is cut off.
    pub fn encode(&self, text: &str, limit: usize) -> Vec<u32> {
        let end = limit.saturating_sub(1);
        let mut ids = vec![self.start];
        let mut word = Word::default();
        for char in normal::chars(text) {
            if ids.len() >= end {
                break;
            }
            if char.is_whitespace() {
                self.take(&mut word, &mut ids);
            } else if normal::is_punctuation(char) {
                self.take(&mut word, &mut ids);
                word.push(char);
                self.take(&mut word, &mut ids);
            } else {
                word.push(char);
            }
        }
        self.take(&mut word, &mut ids);
        ids.truncate(end);
        ids.push(self.end);
        ids
    }

    /// Ends a word: appends its pieces and clears it.
    fn take(&self, word: &mut Word, ids: &mut Vec<u32>) {
        let begin = ids.len();
        if word.length > MAX_WORD || !self.split(&word.text, ids) {
            ids.truncate(begin);
            ids.push(self.unknown);
        }
        word.text.clear();
        word.length = 0;
    }

    /// Appends the longest pieces from left to right; false when a rest begins with no known piece.
    fn split(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        let mut rest = word;
        while !rest.is_empty() {
            let piece = if rest.len() == word.len() {
                self.vocabulary.longest_word(rest)
            } else {
                self.vocabulary.longest_continuation(rest)
            };
            let Some((id, length)) = piece else {
                return false;
            };
            ids.push(id);
            rest = &rest[length..];
        }
        true
    }
}

/// The word that is being read. Beyond [`MAX_WORD`] only its length grows.
#[derive(Debug, Default)]
struct Word {
    text: String,
    length: usize,
}

impl Word {
    fn push(&mut self, char: char) {
        self.length += 1;
        if self.length <= MAX_WORD {
            self.text.push(char);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TOKENS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\nable\n##ab\n,\n!\n中\n##中\ncafe\na\n##a\n";

    fn encode(text: &str, limit: usize) -> Vec<u32> {
        let vocabulary = Vocabulary::parse(TOKENS.to_owned()).unwrap();
        Tokenizer::new(vocabulary).unwrap().encode(text, limit)
    }

    #[test]
    fn the_longest_piece_wins_and_continuations_differ_from_words() {
        assert_eq!(encode("unaffable able", 16), [2, 4, 5, 6, 7, 3]);
    }

    #[test]
    fn a_word_with_an_unknown_rest_is_unknown_as_a_whole() {
        assert_eq!(encode("unaffx able", 16), [2, 1, 7, 3]);
    }

    #[test]
    fn punctuation_and_ideographs_stand_alone() {
        assert_eq!(encode("a,a!", 16), [2, 14, 9, 14, 10, 3]);
        assert_eq!(encode("中中a", 16), [2, 11, 11, 14, 3]);
    }

    #[test]
    fn case_accents_and_controls_do_not_matter() {
        assert_eq!(
            encode("CAFÉ cafe\u{301} ca\u{200b}f\u{0}e\u{ad}", 16),
            [2, 13, 13, 13, 3]
        );
        assert_eq!(encode("\t a \u{3000}\r\na\u{a0}", 16), [2, 14, 14, 3]);
    }

    #[test]
    fn nothing_gives_the_two_ends() {
        for text in ["", " ", "\u{200b}", "\u{301}"] {
            assert_eq!(encode(text, 16), [2, 3], "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_before_the_end_token() {
        assert_eq!(encode("a a a a", 4), [2, 14, 14, 3]);
        assert_eq!(encode("unaffable", 4), [2, 4, 5, 3]);
        assert_eq!(encode(&"a ".repeat(1 << 20), 256).len(), 256);
    }

    #[test]
    fn words_of_100_characters_are_split_and_longer_ones_are_unknown() {
        assert_eq!(encode(&"a".repeat(100), 256).len(), 102);
        assert_eq!(encode(&"a".repeat(101), 256), [2, 1, 3]);
        assert_eq!(encode(&"a".repeat(1 << 20), 256), [2, 1, 3]);
    }

    #[test]
    fn special_tokens_in_a_text_are_text() {
        assert_eq!(encode("[SEP]", 16), [2, 1, 1, 1, 3]);
    }

    #[test]
    fn a_vocabulary_without_special_tokens_is_refused() {
        let vocabulary = Vocabulary::parse("[PAD]\n[UNK]\n[CLS]\na\n".to_owned()).unwrap();
        let error = Tokenizer::new(vocabulary).unwrap_err();
        assert_eq!(error.to_string(), "the vocabulary has no token [SEP]");
    }
}
