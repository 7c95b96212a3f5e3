//! `xtask demo`: the main job, end to end, as a user would type it, on a real model.
//!
//! Every step runs the `dunlin` command and shows the command line; state lives in `.demo/` of the checkout. No registry, GPU,
//! daemon or root is needed. It exits with an error as soon as a step does not do what it promises, so CI runs it as a test.

mod ranking;
mod server;
mod shell;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;

use crate::{
    assets,
    cache::{Cache, repository},
    checksum, guests,
};
use ranking::rank;
use server::Server;
use shell::Shell;

const BUNDLE: &str = "demo/embed:1";
const MODEL: &str = "demo/minilm:1";

const QUERY: &str = "How do I keep my house plants alive?";
const SENTENCES: [&str; 5] = [
    "The stock market fell sharply after the announcement.",
    "Water succulents only when the soil is completely dry.",
    "The new graphics card doubles the frame rate of its predecessor.",
    "Most indoor greenery prefers bright, indirect sunlight.",
    "The committee will vote on the budget next Tuesday.",
];
/// What a person would put first; the demo fails if the model does not.
const RELATED: [usize; 2] = [1, 3];

/// The dunlin exit codes that the two refusals must give (docs/reference/exit-codes.md).
const EXIT_REFUSED: i32 = 4;
const EXIT_CORRUPT: i32 = 5;

struct Demo {
    root: PathBuf,
    shell: Shell,
    module: PathBuf,
    model: PathBuf,
    vocabulary: PathBuf,
}

/// Runs the demo.
///
/// # Errors
/// The first step that fails or does not do what it promises.
pub(crate) fn run(cache: &Cache) -> Result<()> {
    let started = Instant::now();
    heading("1. The parts: a real model and a guest that knows how to use it");
    let demo = Demo::prepare(cache)?;
    heading("2. Signed OCI artifacts, in the store of this machine");
    demo.pack_and_sign()?;
    heading("3. Served: the policy admits this key and nothing else");
    demo.serve_and_rank()?;
    heading("4. Refused: one byte flipped");
    demo.flip_a_byte()?;
    heading("5. Refused: the same bundle, signed by another key");
    demo.sign_with_another_key()?;
    demo.summary(started);
    Ok(())
}

fn heading(text: &str) {
    println!("\n\u{1b}[1m{text}\u{1b}[0m");
}

impl Demo {
    fn prepare(cache: &Cache) -> Result<Self> {
        let model = assets::ensure(cache, "minilm-int8")?;
        let tokenizer = assets::ensure(cache, "minilm")?;
        let guests = guests::ensure(cache, &["embed".to_owned()])?;
        let root = repository().join(".demo");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        Ok(Self {
            shell: Shell::new(&root, root.join("data"))?,
            module: guests.into_iter().next().context("the embed guest was not built")?,
            model: model.join("model.onnx"),
            vocabulary: tokenizer.join("vocab.txt"),
            root,
        })
    }

    fn pack_and_sign(&self) -> Result<()> {
        self.shell.dunlin(&["generate-key-pair", "--output-prefix", "ours"])?;
        fs::write(self.root.join("policy.yaml"), POLICY)?;
        self.pack(&self.shell)?;
        self.shell.dunlin(&["sign", "--key", "ours.key", BUNDLE])?;
        self.shell.dunlin(&["ls"])?;
        self.shell.dunlin(&["verify", "--policy", "policy.yaml", BUNDLE])
    }

    fn pack(&self, shell: &Shell) -> Result<()> {
        let (model, vocabulary) = (shell::text(&self.model)?, shell::text(&self.vocabulary)?);
        let module = shell::text(&self.module)?;
        shell.dunlin(&["pack", "--tag", MODEL, model, vocabulary])?;
        let link = format!("default={MODEL}");
        shell.dunlin(&[
            "pack",
            "--tag",
            BUNDLE,
            "--bundle",
            "--model",
            &link,
            "--instance-reuse",
            "128",
            module,
        ])
    }

    fn serve_and_rank(&self) -> Result<()> {
        let server = Server::start(&self.shell, &["serve", BUNDLE, "--policy", "policy.yaml"])?;
        rank(&server, QUERY, &SENTENCES, &RELATED)?;
        server.stop()
    }

    fn flip_a_byte(&self) -> Result<()> {
        let digest = checksum::file(&self.model)?;
        let blob = self.root.join("data/store/blobs/sha256").join(&digest);
        let mut bytes = fs::read(&blob).with_context(|| format!("the model's blob {digest}"))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&blob)?;
        fs::write(&blob, &bytes)?;
        println!("  flipped one bit of byte {middle} of the stored model");
        self.shell
            .refused(&["serve", BUNDLE, "--policy", "policy.yaml"], EXIT_CORRUPT)?;
        bytes[middle] ^= 1;
        fs::write(&blob, &bytes)?;
        self.shell.dunlin(&["verify", "--policy", "policy.yaml", BUNDLE])
    }

    fn sign_with_another_key(&self) -> Result<()> {
        let rogue = Shell::new(&self.root, self.root.join("rogue-data"))?.quiet();
        rogue.dunlin(&["generate-key-pair", "--output-prefix", "rogue"])?;
        self.pack(&rogue)?;
        let rogue = rogue.loud();
        rogue.dunlin(&["sign", "--key", "rogue.key", BUNDLE])?;
        rogue.refused(&["serve", BUNDLE, "--policy", "policy.yaml"], EXIT_REFUSED)
    }

    fn summary(&self, started: Instant) {
        println!(
            "\n\u{1b}[1mDone in {:.1} s.\u{1b}[0m What was packed is still there; from {}:\n",
            started.elapsed().as_secs_f64(),
            self.root.display()
        );
        for (what, command) in [
            (
                "serve it again",
                format!("dunlin serve {BUNDLE} --policy policy.yaml --addr 127.0.0.1:8080"),
            ),
            ("look inside", format!("dunlin inspect {BUNDLE} --policy policy.yaml")),
            (
                "push it to a registry",
                format!("dunlin push {BUNDLE} HOST[:PORT]/embed:1"),
            ),
            ("check this machine", "dunlin doctor".to_owned()),
        ] {
            println!("  {what:<22} {command}");
        }
        println!(
            "\n  where `dunlin` is {} with DUNLIN_DATA={}",
            self.shell.binary().display(),
            self.root.join("data").display()
        );
        println!("  the guest's source: examples/guests/rust/embed; the map of the project: docs/architecture.md");
    }
}

const POLICY: &str = "\
apiVersion: dunlin.dev/v1alpha1
kind: TrustPolicy
metadata:
  name: demo
spec:
  mode: enforce
  rules:
    - name: ours
      match: [\"demo/*\"]
      require:
        any:
          - key: { file: ours.pub }
";

/// Fails with a message when a promise of the demo is not kept.
pub(crate) fn promise(kept: bool, what: &str) -> Result<()> {
    ensure!(kept, "the demo promised: {what}");
    Ok(())
}
