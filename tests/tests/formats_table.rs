//! The conformance table of docs/reference/formats.md: every form says how it is read and written, by tests that exist.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

/// Where the tests of the table are, relative to the checkout.
const FOLDERS: [&str; 2] = ["models/tests", "tests/tests"];
/// The columns that a test must hold.
const HELD: [&str; 2] = ["read", "written"];
/// Forms that are written, by the first word of their row.
const WRITTEN: [&str; 5] = ["W,", "M,", "I,", "F,", "T,"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the checkout")
}

/// The cells of a row.
fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// What a cell names as `file::test`.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).collect()
}

fn exists(file: &str, test: &str) -> bool {
    let is_in = |folder: &str| {
        let path = root().join(folder).join(format!("{file}.rs"));
        let text = fs_err::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .windows(2)
            .any(|pair| pair[0].trim() == "#[test]" && pair[1].trim().starts_with(&format!("fn {test}(")))
    };
    FOLDERS.iter().any(|folder| is_in(folder))
}

#[test]
fn every_cell_is_held_by_a_test_that_exists() {
    let page = fs_err::read_to_string(root().join("docs/reference/formats.md")).unwrap();
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let heading = cells(rows.next().expect("a heading"));
    let columns: Vec<usize> = HELD
        .iter()
        .map(|held| heading.iter().position(|cell| cell == held).expect("the column"))
        .collect();
    let rows: Vec<Vec<&str>> = rows.skip(1).map(cells).collect();
    assert!(rows.len() > 12, "only {} forms were found", rows.len());
    for row in &rows {
        assert_eq!(row.len(), heading.len(), "{row:?}");
        for (column, held) in columns.iter().zip(HELD) {
            let (form, cell) = (row[0], row[*column]);
            let named = tests(cell);
            assert!(
                !named.is_empty() || cell == "no",
                "nothing holds that {form} is {held}: {cell}"
            );
            for (file, test) in named {
                assert!(exists(file, test), "{form}, {held}: there is no test {file}::{test}");
            }
        }
    }
    for form in WRITTEN {
        let row = rows.iter().find(|row| row[0].starts_with(form)).expect("the form");
        for column in &columns {
            assert!(row[*column] != "no", "{form} is to be read and written");
        }
    }
}

#[test]
fn a_test_that_does_not_exist_is_found_out() {
    assert!(exists("formats", "docker_model"));
    assert!(!exists("formats", "docker_mode"));
    assert!(!exists("formats", "model"), "a function that is no test");
    assert!(!exists("no_such_file", "docker_model"));
    assert_eq!(tests("`model` layers: `a::b`, `c::d`"), [("a", "b"), ("c", "d")]);
}
