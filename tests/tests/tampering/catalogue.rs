//! The page that lists the cases and the cases themselves.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/reference/tampering.md");
const SOURCES: [&str; 5] = [
    include_str!("bits.rs"),
    include_str!("signatures.rs"),
    include_str!("identities.rs"),
    include_str!("names.rs"),
    include_str!("registries.rs"),
];

#[test]
fn the_page_lists_every_case_and_no_other() {
    let listed: BTreeSet<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    let tests = SOURCES.iter().flat_map(|source| source.split("#[test]\nfn ").skip(1));
    let written: BTreeSet<&str> = tests
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .collect();
    assert_eq!(listed, written);
}
