//! Which program a container is to run, and whether it may: the file that its first argument names in the root file system, if
//! that is WebAssembly. Files are opened so that no link leads out of the root file system.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use sha2::{Digest as _, Sha256};

use crate::{
    container::Container,
    error::TaskError,
    image::{
        self, ImageError,
        artifact::{self, Opened},
    },
    pod::Pod,
    spec::{Process, Spec},
    worker::{
        applet::Applet,
        setup::{Code, Guest},
    },
};

const WASM_MAGIC: &[u8; 4] = b"\0asm";
/// As the runtime's own bound on what is compiled.
const MAX_WASM_BYTES: u64 = 256 << 20;
/// Where programs are looked for when the container has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that may run.
#[derive(Debug)]
pub(crate) struct Module {
    /// SHA-256 of the WebAssembly binary, in lower-case hex.
    pub(crate) digest: String,
    /// The binary; read from the start by whoever compiles it.
    wasm: OwnedFd,
}

impl Module {
    /// The binary for the compiler, which checks that it has `digest`.
    pub(crate) fn file(&self, digest: &str) -> Result<OwnedFd, ImageError> {
        let broken = |source| ImageError::Program {
            digest: digest.to_owned(),
            source,
        };
        let copy = self.wasm.try_clone().map_err(broken)?;
        rustix::fs::seek(&copy, rustix::fs::SeekFrom::Start(0)).map_err(|error| broken(error.into()))?;
        Ok(copy)
    }
}

/// The WebAssembly program of a container; `None` when it is a Linux container.
pub(crate) async fn find_module(pod: &Pod, id: &str, bundle: &Path, spec: &Spec) -> Result<Option<Module>, TaskError> {
    if spec.is_sandbox() {
        return Ok(None);
    }
    if let Some(opened) = artifact::annotated(pod, spec)? {
        return verified(opened).map(Some);
    }
    let rootfs = spec.rootfs(bundle);
    match open_program(&rootfs, &spec.process)? {
        Program::Wasm(file) => {
            // The policy decides by the image's digest before more of the file is read than its first four bytes.
            image::admit(pod, id, spec).await?;
            Ok(Some(hash(file)?))
        }
        Program::Other => Ok(None),
        // An image of a module has no files.
        Program::Missing => match artifact::layer(pod, id, spec).await {
            Ok(opened) => opened.map(verified).transpose(),
            // containerd cannot say: then it is the OCI runtime that reports the missing program.
            Err(ImageError::Unknown { .. } | ImageError::NoContent | ImageError::Name { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}

/// The module of an artifact, if its bytes are those that were verified.
fn verified(opened: Opened) -> Result<Module, TaskError> {
    let module = hash(opened.wasm)?;
    if module.digest == opened.digest.hex() {
        return Ok(module);
    }
    let error = ImageError::Content {
        digest: opened.digest,
        source: "its bytes are others".into(),
    };
    Err(error.into())
}

/// What an exec in a WebAssembly container runs: another module of the same image, or an applet.
pub(crate) fn exec_guest(container: &Container, spec: &Spec, process: &Process) -> Result<Guest, TaskError> {
    let rootfs = spec.rootfs(&container.bundle);
    if let Program::Wasm(file) = open_program(&rootfs, process)? {
        let module = hash(file)?;
        return Ok(Guest::Code(Code::of_module(&module.digest)));
    }
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    match Applet::named(name) {
        Some(applet) => Ok(Guest::Applet(applet)),
        None => Err(ImageError::NoProgram { name: name.to_owned() }.into()),
    }
}

/// What the first argument names.
#[derive(Debug)]
enum Program {
    Wasm(OwnedFd),
    Other,
    Missing,
}

/// The file that the first argument names.
fn open_program(rootfs: &Path, process: &Process) -> Result<Program, ImageError> {
    let Some(name) = process.args.first() else {
        return Ok(Program::Missing);
    };
    let Ok(root) = rustix::fs::open(
        rootfs,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) else {
        return Ok(Program::Missing);
    };
    for candidate in candidates(name, process) {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Ok(fd) = openat2(
            &root,
            &candidate,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) else {
            continue;
        };
        let is_file =
            rustix::fs::fstat(&fd).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
        if !is_file {
            continue;
        }
        let mut magic = [0; 4];
        let read = rustix::io::pread(&fd, &mut magic, 0).unwrap_or(0);
        if read == magic.len() && &magic == WASM_MAGIC {
            return Ok(Program::Wasm(fd));
        }
        if name.ends_with(".wasm") || name.ends_with(".cwasm") {
            return Err(ImageError::NotWasm { name: name.clone() });
        }
        // The first file of that name counts, as for a shell.
        return Ok(Program::Other);
    }
    Ok(Program::Missing)
}

/// Paths inside the root file system, in the order of an execvp(3); a bare `.wasm` name is looked for in the working folder
/// first, because images of one file have it there.
fn candidates(name: &str, process: &Process) -> Vec<PathBuf> {
    let folder = Path::new(if process.cwd.is_empty() { "/" } else { &process.cwd });
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains('/') {
        return vec![folder.join(name)];
    }
    let mut paths = Vec::new();
    if name.ends_with(".wasm") || name.ends_with(".cwasm") {
        paths.push(folder.join(name));
    }
    let search = process.variable("PATH").unwrap_or(DEFAULT_PATH);
    paths.extend(
        search
            .split(':')
            .filter(|part| !part.is_empty())
            .map(|part| Path::new(part).join(name)),
    );
    paths
}

fn hash(wasm: OwnedFd) -> Result<Module, ImageError> {
    let unread = |source| ImageError::Program {
        digest: "of the program".to_owned(),
        source,
    };
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 128 << 10];
    let mut size = 0_u64;
    loop {
        let read = rustix::io::read(&wasm, &mut chunk).map_err(|error| unread(error.into()))?;
        if read == 0 {
            break;
        }
        size = size.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if size > MAX_WASM_BYTES {
            return Err(ImageError::TooLarge { limit: MAX_WASM_BYTES });
        }
        hasher.update(chunk.get(..read).unwrap_or_default());
    }
    let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Module { digest, wasm })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn process(name: &str) -> Process {
        Process {
            args: vec![name.to_owned()],
            cwd: "/".to_owned(),
            ..Process::default()
        }
    }

    #[test]
    fn wasm_is_known_by_its_bytes_and_links_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir(root.path().join("bin")).unwrap();
        fs_err::write(root.path().join("bin/tool"), b"\0asm\x01\0\0\0").unwrap();
        fs_err::write(root.path().join("bin/script"), b"#!/bin/sh\n").unwrap();
        fs_err::write(root.path().join("app.cwasm"), b"\x7fELF").unwrap();
        fs_err::os::unix::fs::symlink("/bin/tool", root.path().join("link.wasm")).unwrap();
        fs_err::os::unix::fs::symlink("../../../../etc/passwd", root.path().join("out.wasm")).unwrap();
        let open = |name| open_program(root.path(), &process(name));
        for wasm in ["tool", "/bin/tool", "link.wasm"] {
            assert!(matches!(open(wasm), Ok(Program::Wasm(_))), "{wasm}");
        }
        assert!(matches!(open("script"), Ok(Program::Other)));
        for missing in ["missing.wasm", "", "out.wasm"] {
            assert!(matches!(open(missing), Ok(Program::Missing)), "{missing}");
        }
        assert!(matches!(open("app.cwasm"), Err(ImageError::NotWasm { .. })));
    }
}
