//! [`Node`]: a containerd of one test, with the shim under test on its path, and what is asked of it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use containerd_shim_protos::{TaskClient, ttrpc};
use tempfile::TempDir;

use crate::archive::Image;

/// The shim that was built with this test.
pub(crate) const SHIM: &str = env!("CARGO_BIN_EXE_containerd-shim-dunlin-v1");
const RUNTIME: &str = "io.containerd.dunlin.v1";
/// Nothing here takes longer, even on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(90);

/// Images that tests use.
pub(crate) const HELLO: &str = "docker.io/test/hello:1";
pub(crate) const COMPONENT: &str = "docker.io/test/component:1";
pub(crate) const HTTP: &str = "docker.io/test/http:1";
pub(crate) const BUSYBOX: &str = "docker.io/test/busybox:1";

/// A running containerd. Everything of it is gone when it is dropped.
pub(crate) struct Node {
    pub(crate) folder: TempDir,
    programs: PathBuf,
    process: Option<Child>,
    pub(crate) namespace: String,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// `ctr task delete` must tell that the task ended with `code`: newer ones by their own code, older ones in words.
    #[track_caller]
    pub(crate) fn tells_exit(self, code: i32) {
        let in_words = self.stderr.contains(&format!("non-zero exit code {code}"));
        assert!(self.code == code || in_words, "{self:?}");
    }
}

/// The versions of containerd that are installed: Debian's, and those that were built for the tests.
pub(crate) fn versions() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["/usr/bin"].into_iter().map(PathBuf::from).collect();
    let tools = dunlin_tests_cache().join("tools");
    if let Ok(entries) = fs::read_dir(tools) {
        let mut built: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("containerd-"))
            .map(|entry| entry.path())
            .collect();
        built.sort();
        found.extend(built);
    }
    found.retain(|folder| folder.join("containerd").is_file() && folder.join("ctr").is_file());
    found
}

fn dunlin_tests_cache() -> PathBuf {
    let under = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    under("DUNLIN_CACHE")
        .or_else(|| under("XDG_CACHE_HOME").map(|cache| cache.join("dunlin")))
        .or_else(|| under("HOME").map(|home| home.join(".cache/dunlin")))
        .expect("DUNLIN_CACHE, XDG_CACHE_HOME or HOME")
}

/// Whether a prerequisite is there; with `CI=true` it must be.
fn present(there: bool, otherwise: &str) -> bool {
    if !there {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "a prerequisite is missing: {otherwise}");
        eprintln!("ignored: {otherwise}");
    }
    there
}

/// A node under Debian's containerd with all images imported and everything admitted unsigned.
pub(crate) fn node() -> Option<Node> {
    node_with(Path::new("/usr/bin"), "allow_unsigned = true\n")
}

/// A node under the containerd in `programs`, with `extra` in the shim's configuration.
pub(crate) fn node_with(programs: &Path, extra: &str) -> Option<Node> {
    let compiler = Path::new(SHIM).parent().unwrap().join("dunlin-shim-compile");
    let guests = dunlin_tests_cache().join("guests");
    let there = present(rustix::process::geteuid().is_root(), "these tests need root")
        && present(
            programs.join("ctr").exists(),
            "containerd is not installed (scripts/setup.sh test)",
        )
        && present(
            Path::new("/usr/sbin/runc").exists(),
            "runc is not installed (scripts/setup.sh test)",
        )
        && present(
            Path::new("/bin/busybox").exists(),
            "busybox-static is not installed (scripts/setup.sh test)",
        )
        && present(
            guests.join("http_hello.wasm").exists(),
            "no test guests: run `cargo xtask guests`",
        )
        && present(
            compiler.exists(),
            "dunlin-shim-compile is not built: cargo build --release -p dunlin-shim-compile",
        );
    there.then(|| Node::start(programs, extra))
}

impl Node {
    fn start(programs: &Path, extra: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::Builder::new().prefix("dunlin-shim-").tempdir().unwrap();
        let mut node = Self {
            namespace: format!("dt{}-{number}", std::process::id()),
            programs: programs.to_owned(),
            process: None,
            folder,
        };
        let path = node.folder.path().to_owned();
        let shim = format!(
            "code_cache = \"{0}/code\"\nruntime_root = \"{0}/runc\"\npolicy = \"{0}/policy.yaml\"\nstore = \"{0}/store\"\n{extra}",
            path.display()
        );
        fs::write(path.join("shim.toml"), shim).unwrap();
        let version = if node.version().starts_with("2.") { 3 } else { 2 };
        let config = format!(
            "version = {version}\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
             [grpc]\naddress = \"{0}/c.sock\"\n[ttrpc]\naddress = \"{0}/c.sock.ttrpc\"\n[debug]\nlevel = \"debug\"\n",
            path.display()
        );
        fs::write(path.join("config.toml"), config).unwrap();
        node.boot();
        node.import_all();
        node
    }

    /// What `containerd --version` says.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(self.programs.join("containerd"))
            .arg("--version")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(2).unwrap_or_default();
        version.trim_start_matches('v').to_owned()
    }

    /// Starts containerd and waits until it answers.
    pub(crate) fn boot(&mut self) {
        let folder = self.folder.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let shims = Path::new(SHIM).parent().unwrap();
        let child = Command::new(self.programs.join("containerd"))
            .arg("--config")
            .arg(folder.join("config.toml"))
            .env(
                "PATH",
                format!(
                    "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
                    shims.display(),
                    self.programs.display()
                ),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let socket = folder.join("c.sock");
        until("containerd answers", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        until("containerd is ready", || self.ctr(&["version"]).code == 0);
    }

    /// Kills containerd with no chance to clean up.
    pub(crate) fn kill_containerd(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn import_all(&self) {
        let guest = |name: &str| fs::read(dunlin_tests_cache().join("guests").join(name)).unwrap();
        let busybox = fs::read("/bin/busybox").unwrap();
        let applets = ["sh", "sleep", "echo", "cat", "ls", "true", "tty", "stty", "tail"];
        let mut shell: Vec<(String, Vec<u8>)> = vec![("bin/busybox".to_owned(), busybox)];
        shell.extend(
            applets
                .iter()
                .map(|name| (format!("bin/{name}"), b"->busybox".to_vec())),
        );
        let images = [
            Image {
                name: HELLO,
                entrypoint: &["/app.wasm"],
                files: vec![
                    ("app.wasm", guest("command_hello.wasip1.wasm")),
                    ("other.wasm", guest("command_hello.wasip1.wasm")),
                    ("data.txt", b"from the image\n".to_vec()),
                ],
            },
            Image {
                name: COMPONENT,
                entrypoint: &["app.wasm"],
                files: vec![("app.wasm", guest("command_hello.wasm"))],
            },
            Image {
                name: HTTP,
                entrypoint: &["/app.wasm"],
                files: vec![("app.wasm", guest("http_hello.wasm"))],
            },
            Image {
                name: BUSYBOX,
                entrypoint: &["/bin/sh"],
                files: shell
                    .iter()
                    .map(|(path, content)| (path.as_str(), content.clone()))
                    .collect(),
            },
        ];
        for image in images {
            self.import(&image);
        }
    }

    /// Imports an image; its manifest's digest.
    pub(crate) fn import(&self, image: &Image<'_>) -> String {
        let (archive, digest) = image.archive();
        let path = self.folder.path().join("image.tar");
        fs::write(&path, archive).unwrap();
        self.ctr(&["images", "import", path.to_str().unwrap()]).ok();
        digest
    }

    /// Runs `ctr`.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Done {
        run(&mut self.ctr_command(arguments))
    }

    pub(crate) fn ctr_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("ctr"));
        command
            .arg("--address")
            .arg(self.folder.path().join("c.sock"))
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// `ctr run` with the shim under test: flags, then the image, then the id and the arguments.
    pub(crate) fn run(&self, flags: &[&str], image: &str, id: &str, arguments: &[&str]) -> Done {
        run(&mut self.run_command(flags, image, id, arguments))
    }

    pub(crate) fn run_command(&self, flags: &[&str], image: &str, id: &str, arguments: &[&str]) -> Command {
        let config = self.folder.path().join("shim.toml");
        let mut command = self.ctr_command(&["run", "--runtime", RUNTIME, "--runtime-config-path"]);
        command.arg(config).args(flags).args([image, id]).args(arguments);
        command
    }

    /// Starts a container that goes on.
    #[track_caller]
    pub(crate) fn start_detached(&self, flags: &[&str], image: &str, id: &str, arguments: &[&str]) {
        let flags: Vec<&str> = ["--detach"].iter().chain(flags).copied().collect();
        self.run(&flags, image, id, arguments).ok();
    }

    /// Kills a container, waits for its end and removes it.
    pub(crate) fn remove(&self, id: &str) {
        self.ctr(&["task", "kill", "-s", "SIGKILL", id]);
        until("the task is stopped", || self.status(id) != "RUNNING");
        self.ctr(&["task", "delete", id]);
        self.ctr(&["container", "delete", id]);
    }

    /// The status column of `ctr task ls`; empty where there is no task.
    pub(crate) fn status(&self, id: &str) -> String {
        let list = self.ctr(&["task", "ls"]);
        let line = list
            .stdout
            .lines()
            .find(|line| line.split_whitespace().next() == Some(id));
        line.and_then(|line| line.split_whitespace().nth(2))
            .unwrap_or_default()
            .to_owned()
    }

    /// The process id of a task.
    pub(crate) fn pid(&self, id: &str) -> u32 {
        let list = self.ctr(&["task", "ls"]);
        let line = list
            .stdout
            .lines()
            .find(|line| line.split_whitespace().next() == Some(id));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0)
    }

    /// The folder of a task.
    pub(crate) fn bundle(&self, id: &str) -> PathBuf {
        self.folder
            .path()
            .join("state/io.containerd.runtime.v2.task")
            .join(&self.namespace)
            .join(id)
    }

    /// The shim's own socket.
    pub(crate) fn task_client(&self, id: &str) -> TaskClient {
        let address = fs::read_to_string(self.bundle(id).join("address")).unwrap();
        TaskClient::new(ttrpc::Client::connect(&address).unwrap())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_none() && !std::thread::panicking() {
            self.boot();
        }
        let list = self.ctr(&["container", "ls", "-q"]);
        for id in list.stdout.lines() {
            self.ctr(&["task", "kill", "-s", "SIGKILL", "--all", id]);
            self.ctr(&["task", "delete", "--force", id]);
            self.ctr(&["container", "delete", id]);
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
        self.kill_containerd();
        crate::leftovers::kill_shims(self.folder.path());
    }
}

/// Runs a command to its end, which must come in time.
pub(crate) fn run(command: &mut Command) -> Done {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let outputs = (
        read(Box::new(child.stdout.take().unwrap())),
        read(Box::new(child.stderr.take().unwrap())),
    );
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Done {
        code: status.code().unwrap_or(-1),
        stdout: outputs.0.join().unwrap(),
        stderr: outputs.1.join().unwrap(),
    }
}

/// Waits until `holds`, which must come in time.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
