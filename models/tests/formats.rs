//! The table of docs/reference/formats.md: one test per form that is read or written.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::io::Write as _;

use dunlin_models::artifact::{self, Artifact, ArtifactError, BundleArtifact, FileKind, ModelArtifact, WasmOs};
use dunlin_models::format::ModelFormat;
use dunlin_models::manifest::Manifest;
use dunlin_models::pack::{self, ImageSpec, ModuleSpec, PackError};
use dunlin_models::store::{ExtractError, GcOptions};
use dunlin_models::{Descriptor, Store, annotation, media_type};
use fixture::{COMPONENT, MODULE, ONNX, reference, store, trusted};

const GGUF: &[u8] = b"GGUF\x03\0\0\0weights";

fn open(store: &Store, descriptor: &Descriptor) -> Result<Artifact, ArtifactError> {
    artifact::open(store, trusted(descriptor))
}

fn model(store: &Store, descriptor: &Descriptor) -> ModelArtifact {
    match open(store, descriptor).unwrap() {
        Artifact::Model(model) => model,
        other => panic!("{other:?}"),
    }
}

fn content(store: &Store, model: &ModelArtifact, path: &str) -> Vec<u8> {
    let file = model.files.iter().find(|file| file.path == path).unwrap();
    store.open_blob(&file.blob).unwrap().as_ref().to_vec()
}

/// A manifest of `layers` under a config of some type.
fn artifact(store: &Store, kind: &str, config: (&str, &str), layers: Vec<Descriptor>) -> Descriptor {
    let config = store.put_bytes(config.0, config.1.as_bytes()).unwrap();
    let mut manifest = Manifest::new(config, layers);
    manifest.media_type = Some(kind.to_owned());
    store.put_bytes(kind, &serde_json::to_vec(&manifest).unwrap()).unwrap()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn docker_model() {
    let (_folder, store) = store();
    let layers = vec![
        store.put_bytes("application/vnd.docker.ai.gguf.v3", GGUF).unwrap(),
        store.put_bytes("application/vnd.docker.ai.license", b"free").unwrap(),
        store
            .put_bytes("application/vnd.docker.ai.chat.template.jinja", b"{{ x }}")
            .unwrap(),
        store
            .put_bytes("application/vnd.docker.ai.model.file", b"{}")
            .unwrap()
            .annotated(annotation::MODEL_FILEPATH, "tokenizer.json"),
    ];
    let config = ("application/vnd.docker.ai.model.config.v0.2+json", "{}");
    let model = model(&store, &artifact(&store, media_type::MANIFEST, config, layers));
    assert_eq!(model.format, ModelFormat::Gguf);
    let files: Vec<_> = model.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    assert_eq!(
        files,
        [
            ("model.gguf", FileKind::Weight),
            ("LICENSE", FileKind::Doc),
            ("chat_template.jinja", FileKind::WeightConfig),
            ("tokenizer.json", FileKind::WeightConfig)
        ]
    );
    assert_eq!(content(&store, &model, "model.gguf"), GGUF);
}

#[test]
fn ollama_manifest() {
    let (_folder, store) = store();
    let layer = |kind: &str, bytes: &[u8]| {
        store
            .put_bytes(&format!("application/vnd.ollama.image.{kind}"), bytes)
            .unwrap()
    };
    let layers = vec![
        layer("model", GGUF),
        layer("license", b"one"),
        layer("license", b"two"),
        layer("template", b"{{ .Prompt }}"),
        layer("params", b"{}"),
    ];
    let config = (media_type::DOCKER_CONFIG, "{\"model_format\":\"gguf\"}");
    let model = model(&store, &artifact(&store, media_type::DOCKER_MANIFEST, config, layers));
    assert_eq!(model.format, ModelFormat::Gguf);
    assert_eq!(model.weights().count(), 1);
    assert_eq!(model.files.len(), 5);
    assert_eq!(content(&store, &model, "template"), b"{{ .Prompt }}");
}

#[test]
fn old_modelpack_names() {
    let (_folder, store) = store();
    let layers = vec![
        store
            .put_bytes("application/vnd.cnai.model.weight.v1.raw", ONNX)
            .unwrap()
            .annotated(annotation::MODEL_FILEPATH_OLD, "model.onnx"),
    ];
    let config = (
        "application/vnd.cnai.model.config.v1+json",
        "{\"config\":{\"format\":\"onnx\"}}",
    );
    let model = model(&store, &artifact(&store, media_type::MANIFEST, config, layers));
    assert_eq!(
        (model.format, model.files[0].path.as_str()),
        (ModelFormat::Onnx, "model.onnx")
    );
}

#[test]
fn sharded_models() {
    let (folder, store) = store();
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut shard = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    shard.extend_from_slice(header);
    shard.extend_from_slice(&[0; 4]);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let files = names.map(|name| fixture::file(folder.path(), name, &shard));
    let index = fixture::file(folder.path(), "model.safetensors.index.json", b"{\"weight_map\":{}}");
    let spec = pack::ModelSpec {
        files: files.into_iter().chain([index]).collect(),
        ..pack::ModelSpec::default()
    };
    let model = model(&store, &pack::pack_model(&store, spec, &|_| {}).unwrap());
    let shards: Vec<_> = model.weights().map(|file| file.path.as_str()).collect();
    assert_eq!(shards, names);
    assert_eq!(model.format, ModelFormat::Safetensors);
}

/// Writes and reads a fat manifest, of files and of the layers of a packed model.
#[test]
fn fat_manifest_of_ours() {
    let (folder, store) = store();
    let module = |annotations: &[(&str, &str)]| ModuleSpec {
        wasm: COMPONENT.to_vec(),
        title: "app.wasm".to_owned(),
        annotations: annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..ModuleSpec::default()
    };
    let files = vec![
        fixture::file(folder.path(), "model.onnx", ONNX),
        fixture::file(folder.path(), "config.json", b"{}"),
    ];
    let layers = pack::model_layers(&store, files, &|_| {}).unwrap();
    let fat = pack::pack_fat(&store, &module(&[]), layers.clone()).unwrap();
    let Artifact::Bundle(opened) = open(&store, &fat).unwrap() else {
        panic!("not a bundle")
    };
    assert_eq!(opened.module.os, WasmOs::Wasip2);
    assert_eq!(opened.module.module.media_type, media_type::WASM);
    let inside = opened.model("default").unwrap();
    assert_eq!(inside.descriptor.digest, fat.digest);
    assert_eq!(content(&store, inside, "model.onnx"), ONNX);
    let manifest = &opened.module.manifest;
    assert_eq!(manifest.config.media_type, media_type::WASM_CONFIG);
    assert_eq!(manifest.layers[1..], layers);

    let packed = pack::packed_model_layers(&store, &fixture::model(&store)).unwrap();
    let named = module(&[(annotation::MODEL_NAME, "tiny")]);
    let same = pack::pack_fat(&store, &named, packed).unwrap();
    let Artifact::Bundle(opened) = open(&store, &same).unwrap() else {
        panic!("not a bundle")
    };
    assert!(opened.model("tiny").is_some() && opened.model("default").is_none());
    assert_eq!(opened.module.manifest.layers[1..], layers);

    let refused = |module: &ModuleSpec, layers| pack::pack_fat(&store, module, layers).unwrap_err();
    let unnamed = refused(&module(&[(annotation::MODEL_NAME, "")]), layers.clone());
    assert!(matches!(unnamed, PackError::Links(_)), "{unnamed}");
    let weightless = refused(&module(&[]), layers[1..].to_vec());
    assert!(matches!(weightless, PackError::NoWeights), "{weightless}");
    let twice = ModuleSpec {
        title: "config.json".to_owned(),
        ..module(&[])
    };
    assert!(matches!(refused(&twice, layers), PackError::Path { .. }));
    let not_a_model = pack::packed_model_layers(&store, &fat);
    assert!(
        matches!(not_a_model, Err(PackError::WrongPart { .. })),
        "{not_a_model:?}"
    );
}

/// Weights of every format that is known by its content.
#[test]
fn weights_of_every_format() {
    let (folder, store) = store();
    let tflite = b"\x0c\0\0\0TFL3\0\0\0\0\0\0\0\0";
    let safetensors = b"\x02\0\0\0\0\0\0\0{}";
    for (name, bytes, format) in [
        ("model.onnx", ONNX, ModelFormat::Onnx),
        ("model.gguf", GGUF, ModelFormat::Gguf),
        ("model.safetensors", safetensors, ModelFormat::Safetensors),
        ("model.tflite", tflite, ModelFormat::Tflite),
    ] {
        let spec = pack::ModelSpec {
            files: vec![fixture::file(folder.path(), name, bytes)],
            ..pack::ModelSpec::default()
        };
        let packed = pack::pack_model(&store, spec, &|_| {}).unwrap();
        assert_eq!(model(&store, &packed).format, format);
    }
}

fn kit(store: &Store, media_type: &str, archive: &[u8]) -> Descriptor {
    let layers = vec![
        store.put_bytes(media_type, archive).unwrap(),
        store
            .put_bytes("application/vnd.kitops.modelkit.docs.v1.tar", b"not looked at")
            .unwrap(),
    ];
    let config = (
        "application/vnd.kitops.modelkit.config.v1+json",
        "{\"manifestVersion\":\"1.0.0\"}",
    );
    artifact(store, media_type::MANIFEST, config, layers)
}

#[test]
fn modelpack_tar_layers() {
    let (_folder, store) = store();
    let archive = tar_of(&[("model/model.gguf", GGUF), ("model/config.json", b"{}")]);
    for (form, bytes) in [("tar", archive.clone()), ("tar+gzip", gzip(&archive))] {
        let layer = format!("application/vnd.cncf.model.weight.v1.{form}");
        let layers = vec![store.put_bytes(&layer, &bytes).unwrap()];
        let config = (media_type::MODEL_CONFIG, "{\"config\":{\"format\":\"gguf\"}}");
        let opened = model(&store, &artifact(&store, media_type::MANIFEST, config, layers));
        assert_eq!(opened.format, ModelFormat::Gguf);
        assert_eq!(content(&store, &opened, "model/model.gguf"), GGUF);
        assert_eq!(content(&store, &opened, "model/config.json"), b"{}");
    }
}

#[test]
fn kitops_modelkit() {
    let (_folder, store) = store();
    let archive = tar_of(&[("model/model.gguf", GGUF), ("model/config.json", b"{}")]);
    for (media_type, bytes) in [
        ("application/vnd.kitops.modelkit.model.v1.tar", archive.clone()),
        ("application/vnd.kitops.modelkit.model.v1.tar+gzip", gzip(&archive)),
    ] {
        let kit = kit(&store, media_type, &bytes);
        let opened = model(&store, &kit);
        assert_eq!(opened.format, ModelFormat::Gguf);
        assert_eq!(content(&store, &opened, "model/model.gguf"), GGUF);
        assert_eq!(content(&store, &opened, "model/config.json"), b"{}");
        let layer = trusted(&Descriptor::of(media_type, &bytes));
        let listed = store.packed_files(&layer).unwrap();
        assert_eq!(
            listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["model/model.gguf", "model/config.json"]
        );
        // What was copied out stays as long as the layer.
        store.tag(&reference("demo/kit:v1"), &kit).unwrap();
        let options = GcOptions {
            grace: std::time::Duration::ZERO,
            ..GcOptions::default()
        };
        store.execute_gc(&store.plan_gc(&options).unwrap()).unwrap();
        assert!(store.contains(&dunlin_models::Digest::of(GGUF)));
    }
}

#[test]
fn hostile_kits() {
    let (_folder, store) = store();
    let unpack = |media_type: &str, bytes: &[u8]| match open(&store, &kit(&store, media_type, bytes)) {
        Err(ArtifactError::Unpack { source, .. }) => *source,
        other => panic!("{other:?}"),
    };
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..10].copy_from_slice(b"../up.gguf");
    header.set_size(0);
    header.set_cksum();
    let tar_type = "application/vnd.kitops.modelkit.model.v1.tar";
    assert!(matches!(unpack(tar_type, header.as_bytes()), ExtractError::Tape(_)));
    header.set_path("x.gguf").unwrap();
    header.set_size(1 << 50);
    header.set_cksum();
    assert!(matches!(unpack(tar_type, header.as_bytes()), ExtractError::Bomb { .. }));
    header.set_size(100);
    header.set_cksum();
    assert!(matches!(unpack(tar_type, header.as_bytes()), ExtractError::Tape(_)));
    let bomb = gzip(&tar_of(&[("zeros.gguf", &vec![0; 80 << 20])]));
    assert!(bomb.len() < 1 << 20);
    let gzip_type = "application/vnd.kitops.modelkit.model.v1.tar+gzip";
    assert!(matches!(unpack(gzip_type, &bomb), ExtractError::Bomb { .. }));
    assert!(matches!(unpack(gzip_type, b"not gzip"), ExtractError::Tape(_)));
    let zstd = open(
        &store,
        &kit(&store, "application/vnd.cncf.model.weight.v1.tar+zstd", b"x"),
    );
    assert!(matches!(zstd, Err(ArtifactError::PackedLayer { .. })), "{zstd:?}");
}

/// Writes and reads an image with a module and a model.
#[test]
fn tar_image() {
    let (folder, store) = store();
    let weights = fixture::file(folder.path(), "model.onnx", ONNX);
    let spec = |files| ImageSpec {
        module: ModuleSpec {
            wasm: COMPONENT.to_vec(),
            title: "app.wasm".to_owned(),
            ..ModuleSpec::default()
        },
        files,
    };
    let alone = pack::pack_image(&store, spec(Vec::new()), &|_| {}).unwrap();
    assert_eq!(pack::pack_image(&store, spec(Vec::new()), &|_| {}).unwrap(), alone);
    let Artifact::Module(module) = open(&store, &alone).unwrap() else {
        panic!("not a module")
    };
    assert_eq!(module.os, WasmOs::Wasip2);
    assert_eq!(store.open_blob(&module.module).unwrap().as_ref(), COMPONENT);
    let with_model = pack::pack_image(&store, spec(vec![weights]), &|_| {}).unwrap();
    let Artifact::Bundle(BundleArtifact { module, models }) = open(&store, &with_model).unwrap() else {
        panic!("not a bundle")
    };
    assert_eq!(store.open_blob(&module.module).unwrap().as_ref(), COMPONENT);
    assert_eq!(content(&store, &models[0], "model.onnx"), ONNX);
}

#[test]
fn tar_images_of_others() {
    let (_folder, store) = store();
    let first = tar_of(&[("app.wasm", b"old"), ("gone.wasm", b"x"), ("dir/gone.onnx", b"x")]);
    let second = gzip(&tar_of(&[
        (".wh.gone.wasm", b""),
        ("dir/.wh..wh..opq", b""),
        ("app.wasm", MODULE),
    ]));
    let layers = vec![
        store.put_bytes(media_type::IMAGE_LAYER, &first).unwrap(),
        store.put_bytes(media_type::DOCKER_LAYER, &second).unwrap(),
    ];
    let config = (
        media_type::IMAGE_CONFIG,
        r#"{"architecture":"wasm","os":"wasi","config":{"Cmd":["/app.wasm"]}}"#,
    );
    let image = artifact(&store, media_type::MANIFEST, config, layers);
    let Artifact::Module(module) = open(&store, &image).unwrap() else {
        panic!("not a module")
    };
    assert_eq!(module.os, WasmOs::Wasip1);
    assert_eq!(store.open_blob(&module.module).unwrap().as_ref(), MODULE);
    let none = vec![
        store
            .put_bytes(media_type::IMAGE_LAYER, &tar_of(&[("bin/sh", b"x")]))
            .unwrap(),
    ];
    let image = artifact(&store, media_type::MANIFEST, (media_type::IMAGE_CONFIG, "{}"), none);
    assert!(matches!(open(&store, &image), Err(ArtifactError::NoEntryPoint { .. })));
}

/// The forms of a module alone, a model, a bundle, a fat manifest and a plain push are in artifact.rs and pack.rs.
#[test]
fn wasm_artifact_and_modelpack() {
    let (_folder, store) = store();
    assert!(matches!(
        open(&store, &fixture::module(&store)),
        Ok(Artifact::Module(_))
    ));
    assert!(matches!(open(&store, &fixture::model(&store)), Ok(Artifact::Model(_))));
}
