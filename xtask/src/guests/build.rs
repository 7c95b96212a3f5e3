//! Compiling one guest for one target, and copying the result into the cache whole.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs_err as fs;

use super::{
    GuestError, component,
    manifest::{Guest, Kind, Target},
    toolchain::Toolchain,
};
use crate::cache::{Cache, repository};

/// A built guest.
#[derive(Debug)]
pub(super) struct Artifact {
    /// File name without `.wasm`.
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Size in bytes.
    pub(super) size: u64,
}

/// Builds `guest` and copies it to `<cache>/guests/<name>.wasm`, or `<name>.wasip1.wasm` where that is not its
/// first target.
pub(super) fn build(
    cache: &Cache,
    guest: &Guest,
    target: Target,
    toolchain: Toolchain,
) -> Result<Artifact, GuestError> {
    let target_folder = cache.guests_target();
    let compiled_for = match toolchain {
        Toolchain::Path => target,
        Toolchain::DebianWeb => Target::Wasip1,
    };
    let status = cargo(guest, compiled_for, toolchain, &target_folder)
        .status()
        .map_err(|source| GuestError::Start {
            program: "cargo",
            source,
        })?;
    if !status.success() {
        return Err(GuestError::Compile {
            guest: guest.name.clone(),
            target,
            status,
        });
    }
    let io = |source| GuestError::Io {
        guest: guest.name.clone(),
        source,
    };
    let file = format!("{}.wasm", guest.artifact);
    let mut built = target_folder.join(compiled_for.triple()).join("release").join(file);
    if compiled_for != target {
        built = component::encode(cache, &built, guest.kind).map_err(|source| GuestError::Component {
            guest: guest.name.clone(),
            source,
        })?;
    }
    let name = file_stem(guest, target);
    let path = cache.guests().join(format!("{name}.wasm"));
    let size = keep(&built, &path).map_err(io)?;
    Ok(Artifact { name, path, size })
}

fn file_stem(guest: &Guest, target: Target) -> String {
    if guest.targets.first() == Some(&target) {
        return guest.name.clone();
    }
    match target {
        Target::Wasip1 => format!("{}.wasip1", guest.name),
        Target::Wasip2 => format!("{}.wasip2", guest.name),
    }
}

fn cargo(guest: &Guest, target: Target, toolchain: Toolchain, target_folder: &Path) -> Command {
    let mut command = match toolchain {
        Toolchain::Path => Command::new("cargo"),
        Toolchain::DebianWeb => Command::new("/usr/bin/cargo"),
    };
    command
        .current_dir(&guest.workspace)
        .args(["rustc", "--release", "--quiet", "--locked"])
        .args(["--package", &guest.name, "--target", target.triple()])
        .arg("--target-dir")
        .arg(target_folder)
        // Flags for the host's compiler must not reach a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        // Only results go to stdout.
        .stdout(Stdio::null());
    match guest.kind {
        Kind::Command => command.args(["--bin", &guest.artifact]),
        Kind::Reactor => command.arg("--lib"),
    };
    let mut flags = remapped_paths();
    if toolchain == Toolchain::DebianWeb {
        flags.extend(debian_web(&mut command, guest.kind).map(OsString::from));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
    command
}

/// Flags that keep this machine's folders out of panic messages: the same source gives the same bytes anywhere.
fn remapped_paths() -> Vec<OsString> {
    let home = |name, inside| env::var_os(name).map(|path| PathBuf::from(path).join(inside));
    let cargo = home("CARGO_HOME", "").or_else(|| home("HOME", ".cargo"));
    let folders = [(Some(repository()), "/dunlin"), (cargo, "/cargo")];
    let known = folders
        .into_iter()
        .filter_map(|(folder, name)| Some((fs::canonicalize(folder?).ok()?, name)));
    known
        .map(|(folder, name)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(folder);
            flag.push("=");
            flag.push(name);
            flag
        })
        .collect()
}

/// Debian's standard library is compiled with the guest, and its C library is not where the compiler looks. Returns
/// the flags for all crates.
fn debian_web(command: &mut Command, kind: Kind) -> [&'static str; 3] {
    let start = match kind {
        Kind::Command => "crt1-command.o",
        Kind::Reactor => "crt1-reactor.o",
    };
    command
        .arg("-Zbuild-std=std,panic_abort")
        // Only the guest itself is linked with its start code; the libraries are the same for all.
        .args(["--", &format!("-Clink-arg=/usr/lib/wasm32-wasi/{start}")])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", "wasm-ld-19");
    [
        "-Clink-self-contained=no",
        "-Lnative=/usr/lib/wasm32-wasi",
        "-Clink-arg=-lc",
    ]
}

/// Copies through a temporary file, so that a reader never sees half a guest. Returns the size.
fn keep(built: &Path, path: &Path) -> std::io::Result<u64> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    let size = std::io::copy(&mut fs::File::open(built)?, staged.as_file_mut())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let readable = std::fs::Permissions::from_mode(0o644);
        staged.as_file().set_permissions(readable)?;
    }
    staged.persist(path)?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_target_has_the_plain_name() {
        let guest = Guest {
            name: "g".to_owned(),
            workspace: PathBuf::new(),
            artifact: "g".to_owned(),
            kind: Kind::Command,
            targets: vec![Target::Wasip2, Target::Wasip1],
        };
        assert_eq!(file_stem(&guest, Target::Wasip2), "g");
        assert_eq!(file_stem(&guest, Target::Wasip1), "g.wasip1");
    }

    #[test]
    fn keeping_replaces_what_was_there_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let built = dir.path().join("built.wasm");
        let path = dir.path().join("guests/g.wasm");
        for content in ["long content", "short"] {
            fs::write(&built, content).unwrap();
            assert_eq!(keep(&built, &path).unwrap(), content.len() as u64);
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path().join("guests")).unwrap().count(), 1);
    }
}
