//! Counting by different signers: how many requirements can each be given a signer of its own.

use std::collections::BTreeMap;

/// The most entries of `options` that can be met by different names at once (a maximum matching, by augmenting paths).
pub(super) fn distinct(options: &[&[String]]) -> usize {
    let mut taken = BTreeMap::new();
    (0..options.len())
        .filter(|entry| {
            let mut seen = Vec::new();
            place(*entry, options, &mut taken, &mut seen)
        })
        .count()
}

/// Finds a name for `entry`, moving others where that helps. `seen` bounds the depth by the number of names.
fn place<'a>(
    entry: usize,
    options: &[&'a [String]],
    taken: &mut BTreeMap<&'a str, usize>,
    seen: &mut Vec<&'a str>,
) -> bool {
    for name in options.get(entry).copied().unwrap_or_default() {
        if seen.contains(&name.as_str()) {
            continue;
        }
        seen.push(name);
        let holder = taken.get(name.as_str()).copied();
        if holder.is_none_or(|holder| place(holder, options, taken, seen)) {
            taken.insert(name, entry);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signer_counts_once() {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let count = |options: &[&str]| {
            let options: Vec<_> = options.iter().map(|text| names(text)).collect();
            distinct(&options.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&["a", "a"]), 1);
        assert_eq!(count(&["a", "ab"]), 2);
        assert_eq!(count(&["ab", "a"]), 2);
        assert_eq!(count(&["ab", "a", "b"]), 2);
        assert_eq!(count(&["ab", "bc", "ca"]), 3);
        assert_eq!(count(&["", "a"]), 1);
    }
}
