//! The header `Range` (RFC 9110, section 14): one range of bytes. Several are answered with the whole, as is what cannot be
//! read.

use std::ops::Range;

/// What is sent of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes; not all of them need have been asked for.
    Bytes(Range<u64>),
    /// None, because the blob ends before.
    Nothing,
}

/// The part of `size` bytes that `header` asks for.
pub(super) fn part(header: Option<&str>, size: u64) -> Part {
    let Some(asked) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = asked.split_once('-') else {
        return Part::Whole;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (number(first), number(last)) {
        (None, Some(len)) if first.is_empty() => match len.min(size) {
            0 => Part::Nothing,
            len => Part::Bytes(size - len..size),
        },
        (Some(first), _) if last.is_empty() => up_to(first, u64::MAX, size),
        (Some(first), Some(last)) if first <= last => up_to(first, last, size),
        _ => Part::Whole,
    }
}

fn up_to(first: u64, last: u64, size: u64) -> Part {
    let end = last.saturating_add(1).min(size);
    match first < end {
        true => Part::Bytes(first..end),
        false => Part::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served() {
        let asked = |header| part(Some(header), 1000);
        assert_eq!(part(None, 1000), Part::Whole);
        assert_eq!(asked("bytes=0-99"), Part::Bytes(0..100));
        assert_eq!(asked("bytes=900-"), Part::Bytes(900..1000));
        assert_eq!(asked("bytes=-100"), Part::Bytes(900..1000));
        assert_eq!(asked("bytes=-5000"), Part::Bytes(0..1000));
        assert_eq!(asked("bytes=999-5000"), Part::Bytes(999..1000));
        let huge = format!("bytes=0-{}", u64::MAX);
        assert_eq!(part(Some(&huge), 1000), Part::Bytes(0..1000));
    }

    #[test]
    fn ranges_behind_the_end_have_nothing() {
        for header in ["bytes=1000-", "bytes=1000-2000", "bytes=-0"] {
            assert_eq!(part(Some(header), 1000), Part::Nothing, "{header}");
        }
        assert_eq!(part(Some("bytes=0-0"), 0), Part::Nothing);
    }

    #[test]
    fn what_makes_no_sense_gets_the_whole() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=0-1,5-6",
            "bytes=a-b",
            "bytes=+1-2",
            "items=0-1",
            "bytes=18446744073709551616-",
        ] {
            assert_eq!(part(Some(header), 1000), Part::Whole, "{header}");
        }
    }
}
