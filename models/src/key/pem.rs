//! PEM (RFC 7468), one block at a time: keys are small, so anything large is refused unread.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KeyError;

/// Largest PEM text that is looked at, in bytes.
const MAX_PEM_BYTES: usize = 16 << 10;
/// Characters of base64 on a line (RFC 7468, section 2).
const LINE_CHARS: usize = 64;

/// The label and the DER content of the first block of `text`.
pub(super) fn decode(text: &str) -> Result<(String, Vec<u8>), KeyError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(KeyError::NotPem);
    }
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(KeyError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NotPem)?;
    let (body, _) = rest
        .split_once(&format!("-----END {label}-----"))
        .ok_or(KeyError::NotPem)?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| KeyError::NotPem)?;
    Ok((label.to_owned(), der))
}

/// Writes one block.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (position, character) in STANDARD.encode(der).chars().enumerate() {
        if position > 0 && position.is_multiple_of(LINE_CHARS) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}
