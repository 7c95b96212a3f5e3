//! The text of a caught panic, bounded: what hostile input made an engine say must not flood logs or answers.

use std::any::Any;

const MAX_CHARS: usize = 512;

/// The message of a panic's payload, cut to 512 characters.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_and_cut() {
        assert_eq!(message(&"static"), "static");
        assert_eq!(message(&"x".repeat(600)).len(), 512);
        assert_eq!(message(&1_u8), "no message");
    }
}
