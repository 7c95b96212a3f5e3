//! `xtask tools`: the real peers that the interoperability tests run against, built at pinned versions into the cache.
//!
//! A tool is a folder of `tests/tools/`; what lies in the cache under the digest of that folder was built from it, whole.

mod catalogue;
mod error;
mod go;

use std::path::{Path, PathBuf};

use fs_err as fs;

use self::catalogue::{CATALOGUE, Group, Source, Tool};
pub(crate) use self::error::ToolError;
use crate::{
    cache::{Cache, repository},
    checksum, output, venv,
};

/// Arguments of `xtask tools`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of the tools; without any, what there is gets listed
    names: Vec<String>,
    /// Build a group of them; what cannot be built here is only a warning, except where CI=true
    #[arg(long, value_enum, conflicts_with = "names")]
    group: Option<Group>,
    /// Build all of them, as with --group
    #[arg(long, conflicts_with_all = ["names", "group"])]
    all: bool,
}

/// Runs the subcommand.
pub(crate) fn run(cache: &Cache, args: &Args) -> Result<(), ToolError> {
    if args.all || args.group.is_some() {
        let chosen = |tool: &&Tool| args.all || args.group == Some(tool.group);
        return build_all(cache, CATALOGUE.iter().filter(chosen));
    }
    if args.names.is_empty() {
        return list(cache);
    }
    // All names are checked before the first build starts.
    let named = |name: &String| {
        let found = CATALOGUE.iter().find(|tool| tool.name == name.as_str());
        found.ok_or_else(|| ToolError::Unknown { name: name.clone() })
    };
    let tools: Vec<_> = args.names.iter().map(named).collect::<Result<_, _>>()?;
    for tool in tools {
        println!("{}", ensure(cache, tool)?.display());
    }
    Ok(())
}

fn build_all<'a>(cache: &Cache, tools: impl Iterator<Item = &'a Tool>) -> Result<(), ToolError> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    for tool in tools {
        match ensure(cache, tool) {
            Ok(path) => println!("{}", path.display()),
            Err(error) if error.is_beyond_us() && !in_ci => {
                let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
                output::note(tool.name, &format!("skipped: {error}{hint}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn list(cache: &Cache) -> Result<(), ToolError> {
    for tool in CATALOGUE {
        let there = is_whole(tool, &place(cache, tool)?);
        let mark = if there { "built" } else { "-" };
        println!("{:<20} {mark:<6} {:<11} {}", tool.name, tool.group.name(), tool.about);
    }
    Ok(())
}

/// Makes sure that the tool is in the cache and returns its folder, with the programs in `bin/`.
fn ensure(cache: &Cache, tool: &Tool) -> Result<PathBuf, ToolError> {
    let folder = place(cache, tool)?;
    if is_whole(tool, &folder) {
        output::note(tool.name, "up to date");
        return Ok(folder);
    }
    fs::create_dir_all(cache.tools())?;
    // Two builders of one tool would only take each other's time.
    let lock = fs::File::create(cache.tools().join(format!("{}.lock", tool.name)))?;
    lock.lock()?;
    if is_whole(tool, &folder) {
        return Ok(folder);
    }
    match tool.source {
        Source::Python => venv::ensure_at(&folder, &source(tool).join("requirements.txt")).map(drop)?,
        Source::Go => {
            // In the folder of the result, so that the rename stays on one file system.
            let staging = tempfile::Builder::new().prefix(".build-").tempdir_in(cache.tools())?;
            go::build(tool, &source(tool), staging.path())?;
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(staging.path(), &folder)?;
        }
    }
    Ok(folder)
}

/// The tool's folder in the checkout.
fn source(tool: &Tool) -> PathBuf {
    repository().join("tests/tools").join(tool.name)
}

/// The tool's folder in the cache. Its name is made of all files of its source, so that another version is another folder;
/// `tests/src/tools.rs` computes the same name.
fn place(cache: &Cache, tool: &Tool) -> Result<PathBuf, ToolError> {
    let source = source(tool);
    let mut names = Vec::new();
    for entry in fs::read_dir(&source)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut parts = checksum::Parts::default();
    for name in &names {
        parts.add(name);
        parts.add(fs::read(source.join(name))?);
    }
    let digest = parts.finish();
    Ok(cache.tools().join(format!("{}-{}", tool.name, &digest[..12])))
}

fn is_whole(tool: &Tool, folder: &Path) -> bool {
    match tool.source {
        Source::Go => tool
            .programs
            .iter()
            .all(|program| folder.join("bin").join(program.file).is_file()),
        // Made in place: its programs are there before its packages are.
        Source::Python => venv::is_complete(folder),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn catalogue_and_folders_agree() {
        let listed: BTreeSet<_> = CATALOGUE.iter().map(|tool| tool.name.to_owned()).collect();
        assert_eq!(listed.len(), CATALOGUE.len(), "a name twice");
        let entries = fs::read_dir(repository().join("tests/tools")).unwrap();
        let folders: BTreeSet<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(listed, folders);
    }

    #[test]
    fn every_program_is_pinned() {
        for tool in CATALOGUE.iter().filter(|tool| tool.source == Source::Go) {
            let module = fs::read_to_string(source(tool).join("go.mod")).unwrap();
            assert!(source(tool).join("go.sum").exists(), "{}", tool.name);
            for program in tool.programs {
                let own = program.package == "." && source(tool).join("main.go").exists();
                assert!(
                    own || module.contains(program.package),
                    "{}: {}",
                    tool.name,
                    program.package
                );
            }
        }
        for tool in CATALOGUE.iter().filter(|tool| tool.source == Source::Python) {
            let requirements = fs::read_to_string(source(tool).join("requirements.txt")).unwrap();
            let unpinned = requirements
                .lines()
                .find(|line| !line.starts_with('#') && !line.contains("=="));
            assert_eq!(unpinned, None, "{}", tool.name);
        }
    }

    #[test]
    fn a_changed_source_is_another_folder() {
        let cache = Cache::at(Path::new("/cache"));
        let places: BTreeSet<_> = CATALOGUE.iter().map(|tool| place(&cache, tool).unwrap()).collect();
        assert_eq!(places.len(), CATALOGUE.len());
        assert!(places.iter().all(|place| place.starts_with("/cache/tools")));
    }
}
