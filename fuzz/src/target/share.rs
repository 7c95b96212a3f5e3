//! Requests to a store that is served to peers: method, path, query and range, as a client writes them.

use anyhow::{Result, ensure};
use dunlin_models::{
    Descriptor, Digest, Store, Verifier, key, manifest, media_type, pack,
    share::{Ask, Content, Share},
    sign,
    verify::TrustPolicy,
};

use super::{Prepared, Target};

/// The repository of the store.
const NAME: &str = "/v2/team/model";
/// What the store keeps and nobody may read.
const SECRET: &[u8] = b"of nobody's business";

pub(super) fn targets() -> Vec<Target> {
    vec![Target {
        name: "share",
        about: "requests to a store that is served as a registry",
        words: &[
            "GET ",
            "HEAD ",
            "/v2/",
            "/manifests/",
            "/blobs/",
            "/referrers/",
            "/tags/list",
            "?ns=",
            "&n=",
            "&last=",
            "artifactType=",
            "..",
            "%2e%2e%2f",
            "bytes=",
            "bytes=-",
            "18446744073709551615",
            "sha256:",
            "sha256-",
        ],
        is_fenced: false,
        prepare,
    }]
}

fn prepare() -> Result<Prepared> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), true)?;
    let file = folder.path().join("model.gguf");
    fs_err::write(&file, b"GGUF\x03\0\0\0weights")?;
    let spec = pack::ModelSpec {
        files: vec![pack::ModelFileSpec::new(&file)],
        ..pack::ModelSpec::default()
    };
    let root = pack::pack_model(&store, spec, &|_| {})?;
    let pair = key::KeyPair::generate(key::KeyKind::EcdsaP256)?;
    sign::sign(&store, &root, &pair, &std::collections::BTreeMap::new())?;
    store.tag(&"registry.example/team/model:v1".parse()?, &root)?;
    let secret = store.put_bytes("application/octet-stream", SECRET)?.digest;
    let manifest: manifest::Manifest = serde_json::from_slice(&store.read_document(&root)?)?;
    let layer = manifest.layers.first().map_or(root.digest, |layer| layer.digest);
    let seeds = seeds(&root, &layer);
    let share = Share::new(store, Verifier::new(policy(&pair)?));
    let asked = format!("GET {NAME}/blobs/{secret}\nbytes=-3");
    ensure!(!is_answered(&share, &asked), "what has no tag is served");
    Ok(Prepared::new(seeds, move |input| {
        // The store lives as long as the check.
        let _folder = &folder;
        std::str::from_utf8(input).is_ok_and(|text| is_answered(&share, text))
    }))
}

fn policy(pair: &key::KeyPair) -> Result<TrustPolicy> {
    let pem = serde_json::to_string(&pair.public().to_pem())?;
    let text = format!(
        "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nspec:\n  mode: enforce\n  rules:\n    - name: all\n      \
         match: [\"**\"]\n      require: {{key: {{inline: {{pem: {pem}}}}}}}\n"
    );
    Ok(TrustPolicy::parse(&text, std::path::Path::new("/nonexistent"))?)
}

/// One line of method and target, one of the range.
fn seeds(root: &Descriptor, layer: &Digest) -> Vec<Vec<u8>> {
    let lines = [
        "GET /v2/\n".to_owned(),
        format!("GET {NAME}/manifests/v1?ns=registry.example\n"),
        format!("HEAD {NAME}/manifests/{}\n", root.digest),
        format!("GET {NAME}/blobs/{layer}\nbytes=2-5"),
        format!(
            "GET {NAME}/referrers/{}?artifactType={}\n",
            root.digest,
            media_type::SIGSTORE_BUNDLE
        ),
        format!("GET {NAME}/manifests/{}\n", root.digest.to_string().replace(':', "-")),
        format!("GET {NAME}/tags/list?n=1&last=a\n"),
        "GET /v2/registry.example/team/model/manifests/v1\n".to_owned(),
    ];
    lines.into_iter().map(String::into_bytes).collect()
}

/// Whether the request got what it asked for. Panics when it got what is not served, or an answer that says wrong things of
/// itself.
fn is_answered(share: &Share, text: &str) -> bool {
    let (line, range) = text.split_once('\n').unwrap_or((text, ""));
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let ask = Ask {
        method,
        path,
        query,
        range: Some(range),
    };
    let answer = share.answer(&ask);
    let announced = answer.headers.iter().find(|(name, _)| *name == "content-length");
    let announced: u64 = announced.expect("a length").1.parse().expect("a number");
    match &answer.content {
        Content::Empty => {}
        Content::Bytes(bytes) => {
            assert_eq!(announced, bytes.len() as u64);
            assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET));
        }
        Content::File { file, range } => {
            let size = file.metadata().expect("a file").len();
            assert!(range.start <= range.end && range.end <= size);
            assert_eq!(announced, range.end - range.start);
            assert_ne!(size, SECRET.len() as u64, "the secret is not served");
        }
    }
    for (_, value) in &answer.headers {
        assert!(!value.chars().any(char::is_control), "{value:?}");
    }
    matches!(answer.status, 200 | 206)
}
