//! Sizes as people write them.

/// Bytes of `80G`, `512M`, `1024`: powers of 1024; `None` for anything else.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_powers_of_1024_and_never_wrap() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("4k", 4096),
            ("80G", 80 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "1 G B", "99999999999T", "1X"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
