//! Pulls and pushes of one large blob through a real registry on loopback, against the clients that people have, and pulls
//! over a long thin link against one stream.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use dunlin_tests::{RegistryServer, tool};
use serde_json::Value;

use crate::{child::Cost, link::Link, places::Places, samples::compare};

const ROUNDS: usize = 5;
const LINK_ROUNDS: usize = 2;
/// Bytes of the blob that is pulled and pushed on loopback.
const LARGE: usize = 500 << 20;
/// Bytes of the blob that goes over the link: one stream takes most of a minute for it.
const SMALL: usize = 8 << 20;
/// What a careful user types: fetch, bring to disk, hash. Its peak memory is the shell's alone.
const HASHED: &str = "curl -sSfo \"$0\" \"$1\" && sync \"$0\" && sha256sum \"$0\"";
/// oras-py's whole program for a pull.
const ORAS_PY: &str =
    "import sys, oras.client; oras.client.OrasClient(insecure=True).pull(target=sys.argv[1], outdir=sys.argv[2])";

/// An artifact that was pushed.
struct Published {
    reference: String,
    /// Where its weights can be had with one GET.
    url: String,
    file: PathBuf,
}

pub(crate) fn run(places: &Places) -> Result<()> {
    let registry = RegistryServer::start().context("docker-registry is missing: run `scripts/setup.sh test`")?;
    let large = publish(places, &registry, "large", LARGE)?;
    pulls(places, &large)?;
    pushes(places, &registry, &large)?;
    let small = publish(places, &registry, "small", SMALL)?;
    over_a_link(places, &registry, &small)
}

fn pulls(places: &Places, published: &Published) -> Result<()> {
    println!(
        "transfer: pull of {} MiB from docker-registry on loopback, {ROUNDS} interleaved rounds",
        LARGE >> 20
    );
    let oras_py = tool("oras-py", "python").context("oras-py is missing: run `cargo xtask tools --group interop`")?;
    let [mut curl, mut hashed, mut dunlin, mut skopeo, mut python] = [(); 5].map(|()| Cost::default());
    for _ in 0..ROUNDS {
        let there = Destination::new(places)?;
        curl.run(
            Command::new("curl")
                .args(["-sSfo"])
                .arg(there.path("blob"))
                .arg(&published.url),
        )?;
        hashed.run(
            Command::new("sh")
                .args(["-c", HASHED])
                .arg(there.path("hashed"))
                .arg(&published.url),
        )?;
        dunlin.run(&mut pull(places, &there, &published.reference))?;
        let source = format!("docker://{}", published.reference);
        let layout = format!("oci:{}:app", there.path("layout").display());
        skopeo.run(Command::new("skopeo").args(["copy", "--src-tls-verify=false", &source, &layout]))?;
        let folder = there.path("oras-py");
        python.run(
            Command::new(&oras_py)
                .args(["-c", ORAS_PY, &published.reference])
                .arg(folder),
        )?;
    }
    report(&[
        ("curl -o (no hash, no signature)", &curl),
        ("curl -o, sync, sha256sum", &hashed),
        ("dunlin pull", &dunlin),
        ("skopeo copy", &skopeo),
        ("oras-py", &python),
    ]);
    Ok(())
}

fn pushes(places: &Places, registry: &RegistryServer, published: &Published) -> Result<()> {
    println!(
        "transfer: push of {} MiB to docker-registry on loopback, {ROUNDS} interleaved rounds",
        LARGE >> 20
    );
    let [mut curl, mut dunlin] = [(); 2].map(|()| Cost::default());
    for round in 0..ROUNDS {
        let started = start_upload(registry, &format!("curl{round}"))?;
        let digest = published.url.rsplit('/').next().unwrap_or_default();
        let target = format!(
            "{started}{}digest={digest}",
            if started.contains('?') { '&' } else { '?' }
        );
        curl.run(
            Command::new("curl")
                .args(["-sSf", "-H", "Content-Type: application/octet-stream", "-T"])
                .arg(&published.file)
                .args(["-X", "PUT", &target]),
        )?;
        // Each round to a repository that has nothing, so that nothing is mounted or found.
        let remote = registry.reference(&format!("fresh/large{round}:1"));
        dunlin.run(
            places
                .dunlin()
                .args(["push", "--quiet", "--plain-http", "bench/large:1", &remote]),
        )?;
    }
    report(&[("curl -T", &curl), ("dunlin push", &dunlin)]);
    Ok(())
}

fn over_a_link(places: &Places, registry: &RegistryServer, published: &Published) -> Result<()> {
    println!(
        "transfer: pull of {} MiB over a link of 100 ms round trip where a stream gets what 1 % of loss leaves it, {LINK_ROUNDS} rounds",
        SMALL >> 20
    );
    let link = Link::to(registry.host())?;
    let there = |text: &str| text.replace(&registry.host(), link.address());
    let [mut curl, mut dunlin] = [(); 2].map(|()| Cost::default());
    for _ in 0..LINK_ROUNDS {
        let folder = Destination::new(places)?;
        curl.run(
            Command::new("curl")
                .args(["-sSfo"])
                .arg(folder.path("blob"))
                .arg(there(&published.url)),
        )?;
        dunlin.run(&mut pull(places, &folder, &there(&published.reference)))?;
    }
    report(&[("curl -o (one stream)", &curl), ("dunlin pull", &dunlin)]);
    Ok(())
}

/// A verified pull into a store of its own.
fn pull(places: &Places, there: &Destination, reference: &str) -> Command {
    let mut command = places.dunlin();
    command
        .env("DUNLIN_DATA", there.path("data"))
        .args(["pull", "--quiet", "--plain-http", "--key"])
        .arg(places.scratch().join("bench.pub"))
        .arg(reference);
    command
}

/// A folder for what one round fetches; gone with it, so that the disk does not fill.
struct Destination(tempfile::TempDir);

impl Destination {
    fn new(places: &Places) -> Result<Self> {
        Ok(Self(tempfile::TempDir::new_in(places.scratch())?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Packs, signs and pushes a model of noise.
fn publish(places: &Places, registry: &RegistryServer, name: &str, bytes: usize) -> Result<Published> {
    let file = places.scratch().join(format!("{name}.safetensors"));
    write_noise(&file, bytes)?;
    let (local, remote) = (
        format!("bench/{name}:1"),
        registry.reference(&format!("bench/{name}:1")),
    );
    let key = places.scratch().join("bench");
    if !key.with_extension("key").exists() {
        done(places.dunlin().args(["generate-key-pair", "--output-prefix"]).arg(&key))?;
    }
    done(places.dunlin().args(["pack", "--quiet", "--tag", &local]).arg(&file))?;
    done(
        places
            .dunlin()
            .arg("sign")
            .arg("--key")
            .arg(key.with_extension("key"))
            .arg(&local),
    )?;
    done(
        places
            .dunlin()
            .args(["push", "--quiet", "--plain-http", &local, &remote]),
    )?;
    let output = places.dunlin().args(["inspect", "--output", "json", &local]).output()?;
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    let digest = seen["document"]["layers"][0]["digest"]
        .as_str()
        .context("no layer in the model")?;
    Ok(Published {
        url: format!("http://{}/v2/bench/{name}/blobs/{digest}", registry.host()),
        reference: remote,
        file,
    })
}

/// A safetensors file with one tensor that does not compress.
fn write_noise(path: &Path, bytes: usize) -> Result<()> {
    let data = bytes - 4096;
    let header = format!("{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{data}],\"data_offsets\":[0,{data}]}}}}");
    let header = format!("{header:<width$}", width = 4096 - 8);
    let mut file = BufWriter::new(fs_err::File::create(path)?);
    file.write_all(&u64::try_from(header.len())?.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut state = u64::try_from(bytes)?;
    for _ in 0..data / 8 {
        // xorshift64: noise enough for zlib and zstd.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Where the registry wants the bytes of a new upload.
fn start_upload(registry: &RegistryServer, repository: &str) -> Result<String> {
    let url = format!("http://{}/v2/fresh/{repository}/blobs/uploads/", registry.host());
    let answer = ureq::post(&url).send_empty()?;
    let location = answer
        .headers()
        .get("location")
        .context("an upload without a place")?
        .to_str()?;
    Ok(if location.starts_with('/') {
        format!("http://{}{location}", registry.host())
    } else {
        location.to_owned()
    })
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn report(contenders: &[(&str, &Cost)]) {
    let of = |choose: fn(&Cost) -> &crate::samples::Samples| -> Vec<_> {
        contenders.iter().map(|(name, cost)| (*name, choose(cost))).collect()
    };
    println!(" wall");
    compare("s", &of(|cost| &cost.wall));
    println!(" CPU");
    compare("s", &of(|cost| &cost.cpu));
    println!(" peak memory");
    compare("MiB", &of(|cost| &cost.peak));
}
