//! Packing folders as model hubs lay them out, and what ONNX models keep beside themselves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::os::unix::fs::symlink;
use std::path::Path;

use dunlin_models::artifact::{FileKind, ModelConfig};
use dunlin_models::manifest::{Document, Manifest};
use dunlin_models::pack::{self, ModelFileSpec, ModelSpec, PackError};
use dunlin_models::{Descriptor, Store, annotation};
use fixture::{MODULE, ONNX, file, store};

fn safetensors(dtype: &str, elements: u64) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":[{elements}],"data_offsets":[0,0]}}}}"#);
    let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// An ONNX model whose one initializer lies in the file `location`.
fn external(location: &str) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let len = u8::try_from(content.len()).unwrap();
        assert!(len < 0x80);
        [&[number << 3 | 2, len], content].concat()
    };
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    let tensor = [&[0x08, 2, 0x10, 1][..], &field(8, b"w"), &field(13, &entry), &[0x70, 1]].concat();
    let graph = [field(2, b"g"), field(5, &tensor)].concat();
    [&[0x08, 8][..], &field(7, &graph), &field(8, &[0x10, 17])].concat()
}

fn write(folder: &Path, path: &str, content: &[u8]) {
    let path = folder.join(path);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

fn pack(store: &Store, files: Vec<ModelFileSpec>) -> Result<Descriptor, PackError> {
    let spec = ModelSpec {
        files,
        ..ModelSpec::default()
    };
    pack::pack_model(store, spec, &|_| {})
}

fn manifest(store: &Store, model: &Descriptor) -> Manifest {
    match Document::parse(&store.read_document(model).unwrap()).unwrap() {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => panic!("an index"),
    }
}

fn config(store: &Store, model: &Descriptor) -> ModelConfig {
    let config = manifest(store, model).config;
    serde_json::from_slice(&store.read_document(&config).unwrap()).unwrap()
}

/// Paths and kinds of the layers, in order.
fn layers(store: &Store, model: &Descriptor) -> Vec<(String, String)> {
    let layer = |layer: &Descriptor| {
        let path = &layer.annotations[annotation::MODEL_FILEPATH];
        assert_eq!(path, &layer.annotations[annotation::TITLE]);
        (path.clone(), layer.media_type.clone())
    };
    manifest(store, model).layers.iter().map(layer).collect()
}

/// A sharded model of a hub, with what a clone has beside it.
fn hub(folder: &Path) {
    let config = br#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"bfloat16"}"#;
    write(folder, "config.json", config);
    write(
        folder,
        "README.md",
        b"---\nlicense: apache-2.0\nlanguage: [en, de]\n---\n# Tiny\n",
    );
    write(folder, "LICENSE", b"text");
    write(
        folder,
        "model-00001-of-00002.safetensors",
        &safetensors("BF16", 1_200_000),
    );
    write(
        folder,
        "model-00002-of-00002.safetensors",
        &safetensors("BF16", 300_000),
    );
    write(folder, "model.safetensors.index.json", b"{\"weight_map\":{}}");
    write(folder, "tokenizer.json", b"{}");
    write(folder, "merges.txt", b"a b");
    write(folder, "modeling_tiny.py", b"pass");
    write(folder, "original/params.odd", b"text of an odd name");
    write(folder, "original/data.odd", b"\0\x01\xff");
    write(folder, ".git/config", b"hidden");
    write(folder, ".gitattributes", b"hidden");
}

#[test]
fn a_hubs_folder_becomes_a_model() {
    let (place, store) = store();
    let folder = place.path().join("hub");
    hub(&folder);
    let model = pack(&store, ModelFileSpec::of_folder(&folder).unwrap()).unwrap();
    let kind = |path: &str, kind: FileKind| (path.to_owned(), kind.media_type());
    assert_eq!(
        layers(&store, &model),
        [
            kind("LICENSE", FileKind::Doc),
            kind("README.md", FileKind::Doc),
            kind("config.json", FileKind::WeightConfig),
            kind("merges.txt", FileKind::WeightConfig),
            kind("model-00001-of-00002.safetensors", FileKind::Weight),
            kind("model-00002-of-00002.safetensors", FileKind::Weight),
            kind("model.safetensors.index.json", FileKind::WeightConfig),
            kind("modeling_tiny.py", FileKind::Code),
            kind("original/data.odd", FileKind::Weight),
            kind("original/params.odd", FileKind::Doc),
            kind("tokenizer.json", FileKind::WeightConfig),
        ]
    );
    let ModelConfig { descriptor, config, .. } = config(&store, &model);
    assert_eq!(descriptor.family.as_deref(), Some("llama"));
    assert_eq!(descriptor.licenses, ["Apache-2.0"]);
    assert_eq!(config.format.as_deref(), Some("safetensors"));
    assert_eq!(config.param_size.as_deref(), Some("1.5m"));
    assert_eq!(config.precision.as_deref(), Some("bf16"));
    assert_eq!(config.capabilities.output_types, ["text"]);
    assert_eq!(config.capabilities.languages, ["en", "de"]);
    // The same files elsewhere, made in another order.
    let other = place.path().join("other/hub");
    write(&other, "tokenizer.json", b"{}");
    hub(&other);
    let again = pack(&store, ModelFileSpec::of_folder(&other).unwrap()).unwrap();
    assert_eq!(again.digest, model.digest);
}

#[test]
fn what_is_said_wins_over_what_is_read() {
    let (place, store) = store();
    let folder = place.path().join("hub");
    hub(&folder);
    let mut spec = ModelSpec {
        files: ModelFileSpec::of_folder(&folder).unwrap(),
        ..ModelSpec::default()
    };
    spec.parameters.param_size = Some("2b".to_owned());
    spec.description.licenses = vec!["MIT".to_owned()];
    let model = pack::pack_model(&store, spec.clone(), &|_| {}).unwrap();
    let said = config(&store, &model);
    assert_eq!(said.config.param_size.as_deref(), Some("2b"));
    assert_eq!(said.config.precision.as_deref(), Some("bf16"));
    assert_eq!(said.descriptor.licenses, ["MIT"]);
    spec.parameters.param_size = Some("many".to_owned());
    spec.description.created_at = Some("yesterday".to_owned());
    let Err(PackError::Metadata { faults }) = pack::pack_model(&store, spec, &|_| {}) else {
        panic!("not refused")
    };
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn variants_and_packed_quantisation_have_no_numbers() {
    let (place, store) = store();
    let folder = place.path().join("variants");
    write(&folder, "a.safetensors", &safetensors("F32", 1_000_000));
    write(&folder, "b.safetensors", &safetensors("F16", 1_000_000));
    let variants = pack(&store, ModelFileSpec::of_folder(&folder).unwrap()).unwrap();
    let said = config(&store, &variants).config;
    assert_eq!((said.format.as_deref(), said.param_size), (Some("safetensors"), None));
    let folder = place.path().join("gptq");
    write(&folder, "model.safetensors", &safetensors("I32", 1_000_000));
    let quantised = br#"{"model_type":"llama","quantization_config":{"quant_method":"gptq"}}"#;
    write(&folder, "config.json", quantised);
    let packed = pack(&store, ModelFileSpec::of_folder(&folder).unwrap()).unwrap();
    let said = config(&store, &packed).config;
    assert_eq!(
        (said.quantization.as_deref(), said.param_size, said.precision),
        (Some("gptq"), None, None)
    );
}

#[test]
fn links_lead_no_further_than_the_download_cache() {
    let (place, store) = store();
    let cache = place.path().join("models--me--tiny");
    let revision = cache.join("snapshots/0123");
    let shard = safetensors("F32", 2000);
    write(&cache, "blobs/aa", &shard);
    write(&cache, "blobs/bb", b"\x01\x02\x03\x04\x05\x06\x07\x08");
    write(&cache, "blobs/cc", &external("w.data"));
    fs_err::create_dir_all(revision.join("onnx")).unwrap();
    symlink("../../blobs/aa", revision.join("model.safetensors")).unwrap();
    symlink("../../../blobs/cc", revision.join("onnx/model.onnx")).unwrap();
    symlink("../../../blobs/bb", revision.join("onnx/w.data")).unwrap();
    let model = pack(&store, ModelFileSpec::of_folder(&revision).unwrap()).unwrap();
    let paths: Vec<_> = layers(&store, &model).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["model.safetensors", "onnx/model.onnx", "onnx/w.data"]);
    assert_eq!(config(&store, &model).config.format.as_deref(), Some("safetensors"));
    let onnx = ModelFileSpec::of_folder(&revision.join("onnx")).unwrap();
    assert_eq!(layers(&store, &pack(&store, onnx).unwrap()).len(), 2);

    write(place.path(), "secret", b"key");
    symlink("../../../secret", revision.join("notes.txt")).unwrap();
    let outside = ModelFileSpec::of_folder(&revision);
    assert!(matches!(outside, Err(PackError::Outside { .. })), "{outside:?}");
    fs_err::remove_file(revision.join("notes.txt")).unwrap();
    symlink("onnx", revision.join("again")).unwrap();
    let linked = ModelFileSpec::of_folder(&revision);
    assert!(matches!(linked, Err(PackError::NotAFile { .. })), "{linked:?}");
    fs_err::remove_file(revision.join("again")).unwrap();
    symlink("nowhere", revision.join("broken.bin")).unwrap();
    assert!(matches!(ModelFileSpec::of_folder(&revision), Err(PackError::Read(_))));
}

#[test]
fn what_is_no_model_is_not_packed_by_the_folder() {
    let (place, store) = store();
    let folder = place.path().join("odd");
    write(&folder, "model.safetensors", &safetensors("F32", 1));
    write(&folder, "app.bin", MODULE);
    let odd = pack(&store, ModelFileSpec::of_folder(&folder).unwrap());
    assert!(matches!(odd, Err(PackError::WrongContent { .. })), "{odd:?}");
    fs_err::remove_file(folder.join("app.bin")).unwrap();
    // A pipe that nobody writes to.
    let pipe = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(pipe.unwrap().success());
    assert!(matches!(
        ModelFileSpec::of_folder(&folder),
        Err(PackError::NotAFile { .. })
    ));
    let piped = pack(&store, vec![ModelFileSpec::new(&folder.join("pipe"))]);
    assert!(matches!(piped, Err(PackError::NotAFile { .. })), "{piped:?}");
    let deep = place.path().join("deep");
    write(&deep, &format!("{}model.onnx", "a/".repeat(20)), ONNX);
    assert!(matches!(
        ModelFileSpec::of_folder(&deep),
        Err(PackError::TooDeep { .. })
    ));
    let many = place.path().join("many");
    for number in 0..=1000 {
        write(&many, &format!("{number}.txt"), b"");
    }
    assert!(matches!(
        ModelFileSpec::of_folder(&many),
        Err(PackError::TooManyFiles { .. })
    ));
}

#[test]
fn external_data_comes_along() {
    let (place, store) = store();
    let folder = place.path();
    let model = file(folder, "model.onnx", &external("w.data"));
    let missing = pack(&store, vec![model.clone()]);
    assert!(matches!(missing, Err(PackError::ExternalMissing { .. })), "{missing:?}");
    let data = file(folder, "w.data", &[0; 8]);
    let weight = FileKind::Weight.media_type();
    let expected = [
        ("model.onnx".to_owned(), weight.clone()),
        ("w.data".to_owned(), weight.clone()),
    ];
    let found = pack(&store, vec![model.clone()]).unwrap();
    assert_eq!(layers(&store, &found), expected);
    assert_eq!(config(&store, &found).config.format.as_deref(), Some("onnx"));
    let named = pack(&store, vec![model, data]).unwrap();
    assert_eq!(named.digest, found.digest, "naming the file makes no difference");
    // A file with the name of a document is weights all the same, under the path that the model looks for.
    write(folder, "parts/w.txt", b"12345678");
    let model = file(folder, "other.onnx", &external("parts/w.txt"));
    let data = ModelFileSpec::new(&folder.join("parts/w.txt"));
    let moved = layers(&store, &pack(&store, vec![data, model]).unwrap());
    assert_eq!(
        moved,
        [
            ("parts/w.txt".to_owned(), weight.clone()),
            ("other.onnx".to_owned(), weight)
        ]
    );
}

#[test]
fn external_data_stays_in_the_folder() {
    let (place, store) = store();
    let folder = place.path().join("model");
    fs_err::create_dir(&folder).unwrap();
    write(place.path(), "secret", b"key");
    for location in ["../secret", "/etc/passwd", "a/../../secret", "a\\b", "."] {
        let model = file(&folder, "model.onnx", &external(location));
        let refused = pack(&store, vec![model]);
        assert!(matches!(refused, Err(PackError::ExternalPath { .. })), "{location}");
    }
    symlink("../secret", folder.join("w.data")).unwrap();
    let model = file(&folder, "model.onnx", &external("w.data"));
    let refused = pack(&store, vec![model]);
    assert!(matches!(refused, Err(PackError::Outside { .. })), "{refused:?}");
    assert!(store.list().unwrap().is_empty());
}
