//! JSON documents of artifacts: manifests, indexes, what modules ask for, and configs.

use anyhow::Result;
use dunlin_models::{
    Descriptor, annotation,
    artifact::{Capabilities, ModelConfig, ModelLink, WasmConfig},
    manifest::{Document, Index, Manifest},
    media_type,
    pack::metadata::{Said, read_model_card, read_transformers_config},
};

use super::{Prepared, Target};

const WORDS: &[&str] = &[
    "null",
    "\"schemaVersion\":2",
    "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"",
    "\"mediaType\":\"application/vnd.oci.image.index.v1+json\"",
    "\"manifests\":[",
    "\"layers\":[",
    "\"subject\":{",
    "\"annotations\":{",
    "\"dev.dunlin.models.v1\":\"[",
    "\"platform\":{",
    "sha256:",
    "\\ud800",
    "\\u0000",
    "../",
    "}",
    "]",
    ",",
];

pub(super) fn targets() -> Vec<Target> {
    let target = |name, about, prepare| Target {
        name,
        about,
        words: WORDS,
        is_fenced: false,
        prepare,
    };
    vec![
        target(
            "document",
            "manifests and indexes, model links and capabilities",
            documents,
        ),
        target("config", "configs of models and modules", configs),
        target(
            "model-card",
            "what hubs keep beside weights: config.json, README.md",
            cards,
        ),
    ]
}

fn documents() -> Result<Prepared> {
    let digest = dunlin_models::Digest::of(b"content");
    let links = format!(r#"[{{"name":"default","digest":"{digest}","encoding":"onnx"}}]"#);
    let capabilities =
        r#"{"hosts":["example.com:443"],"dirs":[{"guest":"/data","writable":true}],"env":["A"],"memoryMib":64}"#;
    let mut manifest = Manifest::new(
        Descriptor::new(media_type::EMPTY, digest, 2),
        vec![Descriptor::new("application/wasm", digest, 7).annotated(annotation::TITLE, "app.wasm")],
    );
    manifest.artifact_type = Some("application/vnd.example".to_owned());
    manifest.subject = Some(Descriptor::new(media_type::MANIFEST, digest, 9));
    manifest.annotations.insert(annotation::MODELS.to_owned(), links);
    manifest
        .annotations
        .insert(annotation::CAPABILITIES.to_owned(), capabilities.to_owned());
    let index = Index::new(vec![Descriptor::new(media_type::MANIFEST, digest, 9)]);
    let seeds = vec![serde_json::to_vec(&manifest)?, serde_json::to_vec(&index)?];
    Ok(Prepared::new(seeds, |input| {
        let Ok(document) = Document::parse(input) else {
            return false;
        };
        let written = match &document {
            Document::Manifest(manifest) => {
                drop(ModelLink::list(manifest));
                drop(Capabilities::of(manifest));
                serde_json::to_vec(manifest)
            }
            Document::Index(index) => serde_json::to_vec(index),
        };
        let again = Document::parse(&written.expect("a document is JSON")).expect("what was parsed is written");
        assert_eq!(again, document);
        true
    }))
}

fn cards() -> Result<Prepared> {
    let config = br#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","dtype":"float16","quantization_config":{"quant_method":"awq"}}"#;
    let card =
        b"---\nlicense: mit\nlanguage:\n- en\n- de\npipeline_tag: image-to-text\ntags: [a, {b: c}]\n---\n# Name\n";
    Ok(Prepared::new(vec![config.to_vec(), card.to_vec()], |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return false;
        };
        let card = read_model_card(text);
        let config = read_transformers_config(text);
        for said in [&card.clone().unwrap_or_default(), &config] {
            let faults = [said.description.faults(), said.parameters.faults()].concat();
            assert!(
                faults.is_empty(),
                "what is read is not as ModelPack wants it: {faults:?}"
            );
        }
        card.is_some() || config != Said::default()
    }))
}

fn configs() -> Result<Prepared> {
    let digest = dunlin_models::Digest::of(b"content");
    let model = serde_json::json!({
        "descriptor": { "createdAt": "2026-01-01T00:00:00Z", "authors": ["a"], "name": "n", "version": "1", "licenses": ["MIT"] },
        "config": { "architecture": "transformer", "format": "gguf", "paramSize": "8b", "precision": "bf16" },
        "modelfs": { "type": "layers", "diffIds": [digest] },
    });
    let module = serde_json::json!({
        "created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [digest],
        "component": { "exports": ["wasi:http/incoming-handler@0.2.0"], "imports": [] },
    });
    let seeds = vec![serde_json::to_vec(&model)?, serde_json::to_vec(&module)?];
    Ok(Prepared::new(seeds, |input| {
        let model = serde_json::from_slice::<ModelConfig>(input);
        let module = serde_json::from_slice::<WasmConfig>(input);
        model.is_ok() || module.is_ok()
    }))
}
