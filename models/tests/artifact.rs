//! Artifacts in every layout that is read, and in many that must not be.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use dunlin_models::artifact::{self, Artifact, ArtifactError, FileKind, ModelLink, WasmOs};
use dunlin_models::format::ModelFormat;
use dunlin_models::manifest::{Index, Manifest};
use dunlin_models::pack::{self, ModuleSpec};
use dunlin_models::verify::VerifiedDocument;
use dunlin_models::{Descriptor, Digest, Store, annotation, media_type};
use fixture::{COMPONENT, MODULE, ONNX, store, trusted};

fn open(store: &Store, descriptor: &Descriptor) -> Result<Artifact, ArtifactError> {
    artifact::open(store, trusted(descriptor))
}

fn put(store: &Store, manifest: &Manifest) -> Descriptor {
    store
        .put_bytes(media_type::MANIFEST, &serde_json::to_vec(manifest).unwrap())
        .unwrap()
}

/// A manifest with the empty config, as `oras push` writes it.
fn plain(store: &Store, layers: Vec<Descriptor>) -> Descriptor {
    let config = store.put_bytes(media_type::EMPTY, b"{}").unwrap();
    let mut manifest = Manifest::new(config, layers);
    manifest.artifact_type = Some("application/vnd.unknown.artifact.v1".to_owned());
    put(store, &manifest)
}

fn layer(store: &Store, media_type: &str, title: &str, content: &[u8]) -> Descriptor {
    let layer = store.put_bytes(media_type, content).unwrap();
    if title.is_empty() {
        layer
    } else {
        layer.annotated(annotation::TITLE, title)
    }
}

const RAW_WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
const BYTES: &str = "application/octet-stream";

#[test]
fn module_and_component() {
    let (_folder, store) = store();
    for (wasm, os) in [(MODULE, WasmOs::Wasip1), (COMPONENT, WasmOs::Wasip2)] {
        let spec = ModuleSpec {
            wasm: wasm.to_vec(),
            ..ModuleSpec::default()
        };
        let packed = pack::pack_module(&store, spec).unwrap();
        let Artifact::Module(module) = open(&store, &packed).unwrap() else {
            panic!("not a module")
        };
        assert_eq!(module.os, os);
        assert_eq!(*module.descriptor, packed);
        assert_eq!(store.open_blob(&module.module).unwrap().as_ref(), wasm);
        assert!(module.models.is_empty());
    }
}

#[test]
fn model() {
    let (_folder, store) = store();
    let Artifact::Model(model) = open(&store, &fixture::model(&store)).unwrap() else {
        panic!("not a model")
    };
    assert_eq!(model.format, ModelFormat::Onnx);
    let files: Vec<_> = model.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    assert_eq!(
        files,
        [
            ("model.onnx", FileKind::Weight),
            ("config.json", FileKind::WeightConfig)
        ]
    );
    let weight = model.weights().next().unwrap();
    assert_eq!(store.open_blob(&weight.blob).unwrap().as_ref(), ONNX);
    assert_eq!(model.config.unwrap().modelfs.diff_ids.len(), 2);
}

#[test]
fn bundle_resolves_links_by_digest() {
    let (_folder, store) = store();
    let model = fixture::model(&store);
    let link = ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference: None,
        encoding: None,
        optional: false,
    };
    let spec = ModuleSpec {
        wasm: MODULE.to_vec(),
        models: vec![link],
        ..ModuleSpec::default()
    };
    let module = pack::pack_module(&store, spec).unwrap();
    let bundle = pack::pack_bundle(&store, &module, std::slice::from_ref(&model)).unwrap();
    let Artifact::Bundle(opened) = open(&store, &bundle).unwrap() else {
        panic!("not a bundle")
    };
    assert_eq!(opened.model("default").unwrap().descriptor.digest, model.digest);
    assert!(opened.model("other").is_none());

    let Artifact::Module(alone) = open(&store, &module).unwrap() else {
        panic!("not a module")
    };
    let linked = artifact::open_linked(&store, &alone, "default").unwrap();
    assert_eq!(linked.descriptor.digest, model.digest);
    let other = artifact::open_linked(&store, &alone, "other");
    assert!(matches!(other, Err(ArtifactError::UnknownLink { .. })));
    let VerifiedDocument::Manifest(manifest) = trusted(&module)
        .document(&store.read_document(&module).unwrap())
        .unwrap()
    else {
        panic!("not a manifest")
    };
    assert!(manifest.linked(model).is_some());
    assert!(manifest.linked(module).is_none());
}

#[test]
fn fat_manifest() {
    let (_folder, store) = store();
    let wasm = layer(&store, media_type::WASM, "app.wasm", MODULE);
    let config = format!(
        r#"{{"architecture":"wasm","os":"wasip1","layerDigests":["{}"]}}"#,
        wasm.digest
    );
    let config = store.put_bytes(media_type::WASM_CONFIG, config.as_bytes()).unwrap();
    let weight = layer(&store, RAW_WEIGHT, "m.onnx", ONNX);
    let fat = put(&store, &Manifest::new(config, vec![wasm, weight]));
    let Artifact::Bundle(opened) = open(&store, &fat).unwrap() else {
        panic!("not a bundle")
    };
    assert_eq!(opened.module.os, WasmOs::Wasip1);
    let model = opened.model("default").unwrap();
    assert_eq!((model.files.len(), &model.format), (1, &ModelFormat::Onnx));
}

#[test]
fn plain_pushes_are_told_by_type_title_and_content() {
    let (_folder, store) = store();
    let module = [
        layer(&store, media_type::WASM, "", MODULE),
        layer(&store, BYTES, "app.wasm", MODULE),
        layer(&store, BYTES, "", COMPONENT),
    ];
    for layer in module {
        assert!(matches!(
            open(&store, &plain(&store, vec![layer])),
            Ok(Artifact::Module(_))
        ));
    }
    let model = [
        layer(&store, BYTES, "m.onnx", ONNX),
        layer(&store, BYTES, "", ONNX),
        layer(&store, RAW_WEIGHT, "m.onnx", ONNX),
    ];
    for layer in model {
        let Ok(Artifact::Model(model)) = open(&store, &plain(&store, vec![layer.clone()])) else {
            panic!("{layer:?}")
        };
        assert_eq!(model.format, ModelFormat::Onnx);
    }
    let readme = layer(&store, BYTES, "README.md", b"text");
    let with_readme = plain(&store, vec![readme.clone(), layer(&store, BYTES, "app.wasm", MODULE)]);
    assert!(matches!(open(&store, &with_readme), Ok(Artifact::Module(_))));
    assert!(matches!(
        open(&store, &plain(&store, vec![readme])),
        Err(ArtifactError::Unknown { .. })
    ));
    assert!(matches!(
        open(&store, &plain(&store, vec![])),
        Err(ArtifactError::Unknown { .. })
    ));
}

#[test]
fn a_name_alone_does_not_make_a_module() {
    let (_folder, store) = store();
    let lying = plain(
        &store,
        vec![layer(&store, BYTES, "app.wasm", b"\x7fELF\x02\x01\x01\0native")],
    );
    assert!(matches!(open(&store, &lying), Err(ArtifactError::NotWasm { .. })));
}

#[test]
fn hostile_manifests() {
    let (_folder, store) = store();
    let weight = |path: &str| layer(&store, RAW_WEIGHT, "", ONNX).annotated(annotation::MODEL_FILEPATH, path);
    for path in ["../../etc/passwd", "/etc/passwd", "a/./b", "", "a\\b", "a\0b"] {
        let outcome = open(&store, &plain(&store, vec![weight(path)]));
        assert!(matches!(outcome, Err(ArtifactError::UnsafePath { .. })), "{path:?}");
    }
    let twice = plain(&store, vec![weight("m"), weight("m")]);
    assert!(matches!(open(&store, &twice), Err(ArtifactError::UnsafePath { .. })));
    let packed = layer(&store, "application/vnd.cncf.model.weight.v1.tar+gzip", "m", b"tar");
    assert!(matches!(
        open(&store, &plain(&store, vec![packed])),
        Err(ArtifactError::Unpack { .. })
    ));
    let wasm = layer(&store, media_type::WASM, "", MODULE);
    let two = plain(&store, vec![wasm.clone(), wasm.clone()]);
    assert!(matches!(
        open(&store, &two),
        Err(ArtifactError::ModuleCount { found: 2, .. })
    ));

    let configured = |config: &str| {
        let config = store.put_bytes(media_type::WASM_CONFIG, config.as_bytes()).unwrap();
        open(&store, &put(&store, &Manifest::new(config, vec![wasm.clone()])))
    };
    let field = |outcome: Result<Artifact, ArtifactError>| match outcome {
        Err(ArtifactError::Platform { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(configured(r#"{"architecture":"amd64","os":"wasip1"}"#)),
        "architecture"
    );
    assert_eq!(field(configured(r#"{"architecture":"wasm","os":"linux"}"#)), "os");
    assert!(matches!(configured("{"), Err(ArtifactError::Config { .. })));
    assert!(matches!(configured("[]"), Err(ArtifactError::Config { .. })));

    let mut manifest = Manifest::new(store.put_bytes(media_type::EMPTY, b"{}").unwrap(), vec![wasm]);
    for (key, text) in [
        (annotation::MODELS, "{"),
        (annotation::MODELS, r#"[{"name":"a"}]"#),
        (annotation::MODELS, r#"[{"name":"a","digest":"sha256:00"}]"#),
        (annotation::CAPABILITIES, r#"{"root":true}"#),
    ] {
        manifest.annotations = [(key.to_owned(), text.to_owned())].into();
        assert!(
            matches!(
                open(&store, &put(&store, &manifest)),
                Err(ArtifactError::Annotation { .. })
            ),
            "{text}"
        );
    }
}

#[test]
fn hostile_indexes() {
    let (_folder, store) = store();
    let put_index = |entries| {
        store
            .put_bytes(media_type::INDEX, &serde_json::to_vec(&Index::new(entries)).unwrap())
            .unwrap()
    };
    let module = fixture::module(&store);
    let inner = put_index(vec![module.clone()]);
    assert!(matches!(
        open(&store, &put_index(vec![inner])),
        Err(ArtifactError::NestedIndex { .. })
    ));
    let twice = put_index(vec![module.clone(), module.clone()]);
    assert!(matches!(
        open(&store, &twice),
        Err(ArtifactError::BundleModules { found: 2, .. })
    ));
    assert!(matches!(
        open(&store, &put_index(vec![])),
        Err(ArtifactError::BundleModules { found: 0, .. })
    ));
    let missing = Descriptor::new(media_type::MANIFEST, Digest::of(b"missing"), 7);
    assert!(matches!(
        open(&store, &put_index(vec![missing])),
        Err(ArtifactError::Store { .. })
    ));
    let lying = Descriptor {
        media_type: media_type::INDEX.to_owned(),
        ..module
    };
    assert!(matches!(
        open(&store, &put_index(vec![lying])),
        Err(ArtifactError::Pin { .. })
    ));
}

#[test]
fn other_bytes_do_not_become_a_verified_document() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    let mut bytes = store.read_document(&module).unwrap();
    trusted(&module).document(&bytes).unwrap();
    bytes.push(b' ');
    assert!(trusted(&module).document(&bytes).is_err());
}
