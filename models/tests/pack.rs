//! Packing: reproducible to the bit, by content rather than by name, and nothing native.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use dunlin_models::artifact::{Capabilities, Dir, FileKind, ModelLink};
use dunlin_models::pack::{self, ModelFileSpec, ModelSpec, ModuleSpec, PackError};
use dunlin_models::{Descriptor, Store};
use fixture::{COMPONENT, MODULE, ONNX, file, store};
use serde_json::{Value, json};

fn document(store: &Store, descriptor: &Descriptor) -> Value {
    serde_json::from_slice(&store.read_document(descriptor).unwrap()).unwrap()
}

fn config(store: &Store, manifest: &Value) -> Value {
    document(store, &serde_json::from_value(manifest["config"].clone()).unwrap())
}

fn spec(wasm: &[u8]) -> ModuleSpec {
    ModuleSpec {
        wasm: wasm.to_vec(),
        title: "app.wasm".to_owned(),
        ..ModuleSpec::default()
    }
}

fn models(files: Vec<ModelFileSpec>) -> ModelSpec {
    ModelSpec {
        files,
        ..ModelSpec::default()
    }
}

#[test]
fn a_module_is_a_cncf_wasm_artifact() {
    let (_folder, store) = store();
    let packed = pack::pack_module(&store, spec(MODULE)).unwrap();
    let manifest = document(&store, &packed);
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest.get("artifactType"), None);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(
        manifest["layers"][0]["annotations"]["org.opencontainers.image.title"],
        "app.wasm"
    );
    let expected = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip1",
        "layerDigests": [manifest["layers"][0]["digest"]],
    });
    assert_eq!(config(&store, &manifest), expected);
}

#[test]
fn a_component_lists_imports_and_exports() {
    let (_folder, store) = store();
    let packed = pack::pack_module(&store, spec(COMPONENT)).unwrap();
    let config = config(&store, &document(&store, &packed));
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["component"], json!({"imports": ["a:b/c"], "exports": ["x:y/z"]}));
}

#[test]
fn links_and_capabilities_are_annotations() {
    let (_folder, store) = store();
    let model = fixture::model(&store);
    let link = |name: &str| ModelLink {
        name: name.to_owned(),
        digest: model.digest,
        reference: None,
        encoding: Some("onnx".to_owned()),
        optional: false,
    };
    let capabilities = Capabilities {
        env: vec!["LANG".to_owned()],
        dirs: vec![Dir {
            guest: "/data".to_owned(),
            writable: true,
        }],
        memory_mib: Some(64),
        ..Capabilities::default()
    };
    let full = ModuleSpec {
        models: vec![link("default")],
        capabilities: Some(capabilities),
        ..spec(MODULE)
    };
    let annotations = document(&store, &pack::pack_module(&store, full).unwrap())["annotations"].clone();
    let links: Value = serde_json::from_str(annotations["dev.dunlin.models.v1"].as_str().unwrap()).unwrap();
    let digest = model.digest.to_string();
    assert_eq!(
        links,
        json!([{"name": "default", "digest": digest, "encoding": "onnx", "optional": false}])
    );
    let asked: Value = serde_json::from_str(annotations["dev.dunlin.capabilities.v1"].as_str().unwrap()).unwrap();
    assert_eq!(
        asked,
        json!({"dirs": [{"guest": "/data", "writable": true}], "env": ["LANG"], "memoryMib": 64})
    );
    for names in [vec![""], vec!["a", "a"], vec!["a\nb"], vec![&*"n".repeat(129)]] {
        let bad = ModuleSpec {
            models: names.iter().map(|name| link(name)).collect(),
            ..spec(MODULE)
        };
        assert!(
            matches!(pack::pack_module(&store, bad), Err(PackError::Links(_))),
            "{names:?}"
        );
    }
}

#[test]
fn refuses_what_is_no_module() {
    let (_folder, store) = store();
    let native = pack::pack_module(&store, spec(b"\x7fELF\x02\x01\x01\0precompiled")).unwrap_err();
    assert!(matches!(native, PackError::Precompiled { .. }) && native.hint().is_some());
    for wasm in [&b""[..], b"text", b"\0asm\x02\0\0\0", ONNX] {
        assert!(
            matches!(pack::pack_module(&store, spec(wasm)), Err(PackError::NotWasm { .. })),
            "{wasm:?}"
        );
    }
    let cut = &COMPONENT[..COMPONENT.len() - 1];
    let surplus = [MODULE, b"\xff"].concat();
    for wasm in [cut, &surplus] {
        assert!(
            matches!(
                pack::pack_module(&store, spec(wasm)),
                Err(PackError::InvalidWasm { .. })
            ),
            "{wasm:?}"
        );
    }
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_model_is_a_modelpack_with_raw_layers() {
    let (folder, store) = store();
    let files = vec![
        file(folder.path(), "model.onnx", ONNX),
        file(folder.path(), "model.onnx_data", b"external tensor data"),
        file(folder.path(), "tokenizer.json", b"{}"),
        file(folder.path(), "LICENSE", b"text"),
    ];
    let seen = std::cell::Cell::new(0);
    let packed = pack::pack_model(&store, models(files), &|n| seen.set(seen.get() + n)).unwrap();
    assert_eq!(seen.get(), u64::try_from(ONNX.len()).unwrap() + 20 + 2 + 4);
    let manifest = document(&store, &packed);
    assert_eq!(manifest["artifactType"], "application/vnd.cncf.model.manifest.v1+json");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.cncf.model.config.v1+json"
    );
    let layers = manifest["layers"].as_array().unwrap();
    let kinds: Vec<_> = layers
        .iter()
        .map(|layer| layer["mediaType"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["weight", "weight", "weight.config", "doc"].map(|kind| format!("application/vnd.cncf.model.{kind}.v1.raw"))
    );
    for layer in layers {
        let annotations = &layer["annotations"];
        assert_eq!(
            annotations["org.cncf.model.filepath"],
            annotations["org.opencontainers.image.title"]
        );
    }
    let config = config(&store, &manifest);
    assert_eq!(config["config"]["format"], "onnx");
    assert_eq!(config["modelfs"]["type"], "layers");
    let digests: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    assert_eq!(config["modelfs"]["diffIds"], Value::from(digests));
}

#[test]
fn content_decides_over_names() {
    let (folder, store) = store();
    let pack = |name: &str, content: &[u8]| {
        pack::pack_model(&store, models(vec![file(folder.path(), name, content)]), &|_| {})
    };
    let gguf = b"GGUF\x03\0\0\0rest";
    pack("weights", gguf).unwrap();
    assert!(matches!(pack("model.onnx", gguf), Err(PackError::WrongContent { .. })));
    assert!(matches!(
        pack("model.onnx", b"no protobuf"),
        Err(PackError::WrongContent { .. })
    ));
    assert!(matches!(
        pack("model.gguf", b"GGUF"),
        Err(PackError::WrongContent { .. })
    ));
    assert!(matches!(
        pack("model.tflite", gguf),
        Err(PackError::WrongContent { .. })
    ));
    assert!(matches!(
        pack("model.safetensors", &[0xff; 64]),
        Err(PackError::WrongContent { .. })
    ));
    assert!(matches!(pack("app.bin", MODULE), Err(PackError::WrongContent { .. })));
    assert!(matches!(
        pack("lib.bin", b"\x7fELF\x02\x01\x01\0"),
        Err(PackError::WrongContent { .. })
    ));
    assert!(matches!(pack("what.xyz", b"?"), Err(PackError::UnknownFile { .. })));
    assert!(matches!(pack("README.md", b"no weights"), Err(PackError::NoWeights)));
    assert!(matches!(
        pack::pack_model(&store, models(vec![]), &|_| {}),
        Err(PackError::NoWeights)
    ));
    let missing = ModelFileSpec {
        source: folder.path().join("none"),
        path: "none".to_owned(),
        kind: None,
    };
    assert!(matches!(
        pack::pack_model(&store, models(vec![missing]), &|_| {}),
        Err(PackError::Read(_))
    ));
    let told = ModelFileSpec {
        kind: Some(FileKind::Dataset),
        ..file(folder.path(), "what.xyz", b"?")
    };
    pack::pack_model(&store, models(vec![told, file(folder.path(), "m.gguf", gguf)]), &|_| {}).unwrap();
}

#[test]
fn paths_stay_inside_the_model() {
    let (folder, store) = store();
    for path in [
        "",
        "/m.onnx",
        "../m.onnx",
        "a/../m.onnx",
        "a//m.onnx",
        "./m.onnx",
        "a\\m.onnx",
        "c:m.onnx",
        "a\nb.onnx",
    ] {
        let moved = ModelFileSpec {
            path: path.to_owned(),
            ..file(folder.path(), "m.onnx", ONNX)
        };
        let outcome = pack::pack_model(&store, models(vec![moved]), &|_| {});
        assert!(matches!(outcome, Err(PackError::Path { .. })), "{path:?}");
    }
    let twice = vec![file(folder.path(), "m.onnx", ONNX), file(folder.path(), "m.onnx", ONNX)];
    assert!(matches!(
        pack::pack_model(&store, models(twice), &|_| {}),
        Err(PackError::Path { .. })
    ));
}

/// Digests of artifacts that must never change: equal input, equal bytes, on every machine and in every release.
#[test]
fn golden_digests() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    let model = fixture::model(&store);
    let component = pack::pack_module(&store, spec(COMPONENT)).unwrap();
    let bundle = pack::pack_bundle(&store, &module, std::slice::from_ref(&model)).unwrap();
    let digests = [module, component, model, bundle].map(|descriptor| descriptor.digest.to_string());
    let expected = [
        "sha256:096b2dd9bbaa51fd524550d37ff5e326aec0ead8377d1e5d84c1200116076e9c",
        "sha256:c18efeb7c814164d2e606ac4fce098b79df21aabb4216e3da4f7e66706939681",
        "sha256:af59b73877ca55f1abb8e10e61f36aa54db192d668cea08c9e5c5fe30efaf617",
        "sha256:94b71af2c87a2e8c9bb5b0071f6897dbcdf4367472697c99adef22d6c0e73819",
    ];
    assert_eq!(digests, expected);
}

#[test]
fn a_bundle_links_a_module_and_its_models() {
    let (_folder, store) = store();
    let model = fixture::model(&store);
    let link = ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference: None,
        encoding: None,
        optional: false,
    };
    let linked = |link: ModelLink| {
        pack::pack_module(
            &store,
            ModuleSpec {
                models: vec![link],
                ..spec(COMPONENT)
            },
        )
        .unwrap()
    };
    let module = linked(link.clone());
    let variant = model.clone().annotated("dev.dunlin.variant", "cpu");
    let bundle = pack::pack_bundle(&store, &module, &[variant]).unwrap();
    let index = document(&store, &bundle);
    assert_eq!(index["artifactType"], "application/vnd.dunlin.bundle.v1+json");
    assert_eq!(
        index["manifests"][0]["platform"],
        json!({"architecture": "wasm", "os": "wasip2"})
    );
    assert_eq!(
        index["manifests"][1]["artifactType"],
        "application/vnd.cncf.model.manifest.v1+json"
    );
    assert_eq!(index["manifests"][1]["annotations"]["dev.dunlin.variant"], "cpu");

    assert!(matches!(
        pack::pack_bundle(&store, &module, &[]),
        Err(PackError::MissingModel { .. })
    ));
    let optional = linked(ModelLink { optional: true, ..link });
    pack::pack_bundle(&store, &optional, &[]).unwrap();
    let wrong = |outcome| matches!(outcome, Err(PackError::WrongPart { .. }));
    assert!(wrong(pack::pack_bundle(&store, &model, &[])));
    assert!(wrong(pack::pack_bundle(
        &store,
        &module,
        &[model.clone(), module.clone()]
    )));
    assert!(wrong(pack::pack_bundle(&store, &bundle, &[])));
}
