//! What is asked of JSON before any parser sees it: size, encoding, depth.

/// Why a document is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonFault {
    #[error("it has {bytes} bytes, more than the {cap} allowed")]
    TooLarge { bytes: usize, cap: usize },
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it is nested deeper than {cap} levels")]
    TooDeep { cap: usize },
}

/// The document as text, if it has at most `cap` bytes and `depth` levels.
pub(crate) fn admit(bytes: &[u8], cap: usize, depth: usize) -> Result<&str, JsonFault> {
    if bytes.len() > cap {
        return Err(JsonFault::TooLarge {
            bytes: bytes.len(),
            cap,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::NotUtf8)?;
    if deeper_than(bytes, depth) {
        return Err(JsonFault::TooDeep { cap: depth });
    }
    Ok(text)
}

/// Counts brackets outside strings. On what is not JSON the count means nothing, and the parser refuses it anyway.
fn deeper_than(bytes: &[u8], cap: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > cap {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!deeper_than(br#"{"a":["[[[[","\"[["]}"#, 2));
        assert!(deeper_than(br#"{"a":["\\",[1]]}"#, 2));
        assert!(deeper_than("[".repeat(33).as_bytes(), 32));
    }

    #[test]
    fn size_comes_first() {
        let fault = admit(&[0xff; 10], 9, 1);
        assert_eq!(fault, Err(JsonFault::TooLarge { bytes: 10, cap: 9 }));
        assert_eq!(admit(&[0xff], 9, 1), Err(JsonFault::NotUtf8));
        assert_eq!(admit(b"[[1]]", 9, 1), Err(JsonFault::TooDeep { cap: 1 }));
        assert_eq!(admit(b"[1]", 9, 1), Ok("[1]"));
    }
}
