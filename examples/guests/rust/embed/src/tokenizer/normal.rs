//! Text as BERT's uncased models see it: clean, decomposed, without accents, in lower case.

use unicode_categories::UnicodeCategories as _;
use unicode_normalization::UnicodeNormalization as _;

/// The characters of a text after normalisation, with spaces around ideographs. Lazy: what is not read costs nothing.
pub(super) fn chars(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|&char| !is_removed(char))
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .flat_map(|char| match is_ideograph(char) {
            true => [Some(' '), Some(char), Some(' ')],
            false => [Some(char), None, None],
        })
        .flatten()
        .nfd()
        .filter(|char| !char.is_mark_nonspacing())
        .flat_map(char::to_lowercase)
}

/// Whether a character is a word of its own.
pub(super) fn is_punctuation(char: char) -> bool {
    char.is_ascii_punctuation() || char.is_punctuation()
}

fn is_removed(char: char) -> bool {
    match char {
        '\t' | '\n' | '\r' => false,
        '\0' | char::REPLACEMENT_CHARACTER => true,
        _ => char.is_other(),
    }
}

/// The blocks that BERT's authors call Chinese; kana and hangul are not among them.
fn is_ideograph(char: char) -> bool {
    matches!(
        u32::from(char),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_normalised_character_by_character() {
        for (text, expected) in [
            ("Hello\tWorld\r\n", "hello world  "),
            ("ÀÉÎõü", "aeiou"),
            ("İ", "i"),
            ("ẞß", "ßß"),
            ("東京a", " 東  京 a"),
            ("ひらがな", "ひらかな"),
            ("a\u{0}\u{fffd}\u{7f}\u{200d}b", "ab"),
            ("ﬁ", "ﬁ"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
        ] {
            assert_eq!(chars(text).collect::<String>(), expected, "{text:?}");
        }
    }

    #[test]
    fn symbols_of_ascii_count_as_punctuation_and_others_do_not() {
        assert!("!$+<=>^`|~".chars().all(is_punctuation));
        assert!("—«»、。¿".chars().all(is_punctuation));
        assert!(!"€+±a1 🚀".replace('+', "").chars().any(is_punctuation));
    }
}
