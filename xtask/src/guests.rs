//! `xtask guests`: builds the WebAssembly guests of examples/ and tests/ into the cache.
//!
//! A guest is a package below [`WORKSPACES`] that names its targets in `package.metadata.dunlin`.

mod build;
mod check;
mod component;
mod error;
mod manifest;
mod toolchain;

use std::{collections::HashMap, path::PathBuf};

pub(crate) use self::error::GuestError;
use self::manifest::Guest;
use crate::{
    cache::{Cache, repository},
    output,
};

/// The workspaces that hold guests, from the root of the repository.
const WORKSPACES: [&str; 2] = ["examples/guests/rust", "tests/guests/rust"];

/// Arguments of `xtask guests`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of the guests; without any, all are built
    names: Vec<String>,
    /// Instead of building: formatting, clippy and native tests of all guests
    #[arg(long, conflicts_with = "names")]
    check: bool,
}

/// Runs the subcommand: prints the path of each built guest on stdout, its size on stderr.
pub(crate) fn run(cache: &Cache, args: &Args) -> Result<(), GuestError> {
    if args.check {
        return check::check(cache);
    }
    for path in ensure(cache, &args.names)? {
        println!("{}", path.display());
    }
    Ok(())
}

/// Builds the guests of those names, or all, and returns the files. Cargo skips what has not changed.
pub(crate) fn ensure(cache: &Cache, names: &[String]) -> Result<Vec<PathBuf>, GuestError> {
    let mut guests = Vec::new();
    for workspace in WORKSPACES {
        guests.extend(manifest::read(&repository().join(workspace))?);
    }
    let guests = select(guests, names)?;
    let mut built = Vec::new();
    let mut toolchains = HashMap::new();
    for guest in &guests {
        for &target in &guest.targets {
            let toolchain = match toolchains.get(&target) {
                Some(&toolchain) => toolchain,
                None => *toolchains.entry(target).or_insert(toolchain::choose(target)?),
            };
            let artifact = build::build(cache, guest, target, toolchain)?;
            output::note(&artifact.name, &output::size(artifact.size));
            built.push(artifact.path);
        }
    }
    Ok(built)
}

fn select(guests: Vec<Guest>, names: &[String]) -> Result<Vec<Guest>, GuestError> {
    if let Some(unknown) = names
        .iter()
        .find(|&name| guests.iter().all(|guest| guest.name != *name))
    {
        return Err(GuestError::Unknown {
            name: unknown.clone(),
            known: guests.into_iter().map(|guest| guest.name).collect(),
        });
    }
    Ok(guests
        .into_iter()
        .filter(|guest| names.is_empty() || names.contains(&guest.name))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn guest(name: &str) -> Guest {
        Guest {
            name: name.to_owned(),
            workspace: PathBuf::new(),
            artifact: name.to_owned(),
            kind: manifest::Kind::Command,
            targets: Vec::new(),
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = select(vec![guest("a"), guest("b")], &["c".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no guest `c`");
        assert_eq!(error.hint().unwrap(), "known are a, b");
    }

    #[test]
    fn no_names_means_all() {
        assert_eq!(select(vec![guest("a"), guest("b")], &[]).unwrap().len(), 2);
        let one = select(vec![guest("a"), guest("b")], &["b".to_owned()]).unwrap();
        assert_eq!(one[0].name, "b");
    }

    #[test]
    fn the_guests_of_the_repository_are_found() {
        for workspace in WORKSPACES {
            let guests = manifest::read(&repository().join(workspace)).unwrap();
            assert!(!guests.is_empty(), "{workspace}");
            assert!(guests.iter().all(|guest| !guest.targets.is_empty()));
        }
    }
}
