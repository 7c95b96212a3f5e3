//! Packing models and what is read of them: metadata, folders, external data, fat artifacts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Gguf, Machine, Npy, Server, TFLITE, cached, npy_floats, onnx_with_external_data, safetensors};
use serde_json::{Value, json};

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const MODEL: i32 = 9;

/// What `inspect` says of the one model of an artifact or a file.
fn inspected(machine: &Machine, target: &str) -> Value {
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", target])
        .ok()
        .json();
    assert_eq!(seen["verdict"]["admitted"], true, "{seen}");
    assert_eq!(seen["models"].as_array().unwrap().len(), 1, "{seen}");
    seen["models"][0].clone()
}

fn gguf() -> Vec<u8> {
    Gguf::default()
        .text("general.architecture", "llama")
        .text("general.name", "Tiny Llama")
        .text("general.organization", "Example")
        .text("general.license", "apache-2.0")
        .texts("general.languages", &["en", "de"])
        .number("general.file_type", 15)
        .number("llama.context_length", 2048)
        .text("tokenizer.ggml.model", "gpt2")
        .texts("tokenizer.ggml.tokens", &["one", "two"])
        .tensor("token_embd.weight", 12, 25_600, 14_400)
        .tensor("output_norm.weight", 0, 64, 256)
        .build()
}

#[test]
fn a_gguf_model_describes_itself() {
    let machine = Machine::new();
    machine.write("tiny.gguf", gguf());
    drop(machine.dunlin(&["pack", "--tag", "demo/tiny:1", "tiny.gguf"]).ok());
    let model = inspected(&machine, "demo/tiny:1");
    assert_eq!(
        model["descriptor"],
        json!({"name": "Tiny Llama", "family": "llama", "vendor": "Example", "licenses": ["Apache-2.0"]})
    );
    assert_eq!(
        model["config"],
        json!({
            "architecture": "llama", "format": "gguf", "paramSize": "25.7k", "quantization": "Q4_K_M",
            "capabilities": {"inputTypes": ["text"], "outputTypes": ["text"], "languages": ["en", "de"]},
        })
    );
    let weights = &model["weights"];
    assert_eq!(weights["elements"], json!({"F32": 64, "Q4_K": 25_600}));
    assert_eq!(weights["properties"]["llama.context_length"], "2048");
    assert_eq!(weights["properties"]["general.languages"], "en, de");
    assert!(weights["properties"]["tokenizer.ggml.tokens"].is_null(), "{weights}");
}

/// What no engine runs is shown all the same, packed or bare, and refused where it would have to run.
#[test]
fn a_model_that_no_engine_runs_is_shown() {
    let machine = Machine::new();
    machine.write("by-hand.tflite", TFLITE);
    drop(machine.dunlin(&["pack", "--tag", "demo/lite:1", "by-hand.tflite"]).ok());
    for target in ["demo/lite:1", "by-hand.tflite"] {
        let model = inspected(&machine, target);
        assert_eq!(model["format"], "tflite");
        assert!(model["engine"].is_null(), "{model}");
        assert!(model["reason"].as_str().unwrap().contains("tflite"), "{model}");
        assert_eq!(model["weights"]["elements"], json!({"I8": 60}), "{model}");
        assert_eq!(model["weights"]["properties"]["description"], "by hand");
        machine
            .dunlin(&["infer", "--allow-unsigned", target])
            .exits(MODEL)
            .says("tflite");
    }
    assert_eq!(
        inspected(&machine, "demo/lite:1")["config"],
        json!({"format": "tflite", "paramSize": "0.1k", "precision": "int8"})
    );
    let shown = machine.dunlin(&["inspect", "--allow-unsigned", "demo/lite:1"]).ok();
    for line in ["format: tflite", "paramSize: 0.1k", "1 tensors, 60 parameters (60 I8)"] {
        assert!(shown.stdout.contains(line), "{line}: {shown:#?}");
    }
}

#[test]
fn what_files_say_steers_no_terminal() {
    let machine = Machine::new();
    let hostile = Gguf::default()
        .text("general.name", "\u{1b}]0;owned\u{7}")
        .text("general.version", "\u{1b}[2J")
        .build();
    machine.write("hostile.gguf", hostile);
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/hostile:1", "hostile.gguf"])
            .ok(),
    );
    assert_eq!(inspected(&machine, "demo/hostile:1")["descriptor"], json!({}));
    let shown = machine.dunlin(&["inspect", "--allow-unsigned", "hostile.gguf"]).ok();
    assert!(shown.stdout.contains("owned"), "{shown:#?}");
    assert!(!shown.stdout.contains(['\u{1b}', '\u{7}']), "{shown:#?}");
}

#[test]
fn a_header_that_says_nothing_is_a_warning() {
    let machine = Machine::new();
    let mut cut = gguf();
    cut.truncate(200);
    machine.write("cut.gguf", cut);
    let packed = machine.dunlin(&["pack", "--tag", "demo/cut:1", "cut.gguf"]).ok();
    packed.says("cut.gguf").says("malformed");
    let model = inspected(&machine, "demo/cut:1");
    assert_eq!(model["config"], json!({"format": "gguf"}));
    assert!(model["weights"].is_null(), "{model}");
}

#[test]
fn a_models_folder_is_packed_as_it_lies() {
    let machine = Machine::new();
    let folder = machine.path("hub");
    fs_err::create_dir_all(folder.join("onnx")).unwrap();
    let shard = |elements| safetensors(&[("w", "BF16", 2, elements), ("ids", "I64", 8, 4)]);
    let config = r#"{"architectures":["BertModel"],"model_type":"bert"}"#;
    machine.write("hub/config.json", config);
    machine.write("hub/tokenizer.json", "{}");
    machine.write(
        "hub/README.md",
        "---\nlicense: mit\npipeline_tag: feature-extraction\n---\n",
    );
    machine.write("hub/.gitattributes", "hidden");
    machine.write("hub/model-00001-of-00002.safetensors", shard(700));
    machine.write("hub/model-00002-of-00002.safetensors", shard(800));
    machine.write("hub/model.safetensors.index.json", "{}");
    machine.write("hub/onnx/notes.txt", "none yet");
    let pack = |tag: &str| {
        let packed = machine
            .dunlin(&["pack", "--tag", tag, "--output", "json", "hub"])
            .ok()
            .json();
        assert_eq!(packed["kind"], "model");
        packed["digest"].clone()
    };
    assert_eq!(pack("demo/hub:1"), pack("demo/hub:2"), "packing is reproducible");
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", "demo/hub:1"])
        .ok()
        .json();
    let layers = seen["document"]["layers"].as_array().unwrap();
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            let media_type = layer["media_type"].as_str().unwrap();
            let kind = media_type.strip_prefix("application/vnd.cncf.model.").unwrap();
            (layer["title"].as_str().unwrap(), kind.strip_suffix(".v1.raw").unwrap())
        })
        .collect();
    assert_eq!(
        layers,
        [
            ("README.md", "doc"),
            ("config.json", "weight.config"),
            ("model-00001-of-00002.safetensors", "weight"),
            ("model-00002-of-00002.safetensors", "weight"),
            ("model.safetensors.index.json", "weight.config"),
            ("onnx/notes.txt", "doc"),
            ("tokenizer.json", "weight.config"),
        ]
    );
    let model = &seen["models"][0];
    assert_eq!(model["descriptor"], json!({"family": "bert", "licenses": ["MIT"]}));
    assert_eq!(
        model["config"],
        json!({
            "architecture": "bert", "format": "safetensors", "paramSize": "1.5k", "precision": "bf16",
            "capabilities": {"inputTypes": ["text"], "outputTypes": ["embedding"]},
        })
    );
    assert_eq!(model["weights"]["tensors"], 4, "of both shards");
}

#[test]
fn what_leads_out_of_a_folder_is_not_packed() {
    let machine = Machine::new();
    fs_err::create_dir(machine.path("hub")).unwrap();
    machine.write("hub/model.gguf", gguf());
    machine.write("secret.json", "{}");
    std::os::unix::fs::symlink("../secret.json", machine.path("hub/config.json")).unwrap();
    machine
        .dunlin(&["pack", "--tag", "demo/hub:1", "hub"])
        .exits(USAGE)
        .says("leads out of its folder")
        .says("config.json");
    fs_err::remove_file(machine.path("hub/config.json")).unwrap();
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/hub:1", "hub", "secret.json"])
            .ok(),
    );
    fs_err::create_dir(machine.path("empty")).unwrap();
    machine
        .dunlin(&["pack", "--tag", "demo/none:1", "empty"])
        .exits(USAGE)
        .says("no weights");
}

/// The tensors beside an ONNX model are packed with it, and it computes with them.
#[test]
fn external_data_is_packed_and_used() {
    let machine = Machine::new();
    machine.write("adder.onnx", onnx_with_external_data("adder.weights"));
    machine
        .dunlin(&["pack", "--tag", "demo/adder:1", "adder.onnx"])
        .exits(NOT_FOUND)
        .says("adder.weights");
    let weights: Vec<u8> = [10_f32, 20.0, 30.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    machine.write("adder.weights", weights);
    drop(machine.dunlin(&["pack", "--tag", "demo/adder:1", "adder.onnx"]).ok());
    let model = inspected(&machine, "demo/adder:1");
    assert_eq!(
        model["config"],
        json!({"format": "onnx", "precision": "fp32"}),
        "3 are too few to count"
    );
    assert_eq!(model["weights"]["properties"]["producer"], "by hand");
    assert_eq!(model["weights"]["properties"]["opset"], "17");
    assert_eq!(model["engine"], "tract", "{model}");
    machine.write("a.npy", npy_floats(&[1.0, 2.0, 3.0]));
    drop(
        machine
            .dunlin(&[
                "infer",
                "--allow-unsigned",
                "demo/adder:1",
                "--in",
                "A=a.npy",
                "--out",
                "results",
            ])
            .ok(),
    );
    assert_eq!(Npy::read(&machine.path("results/C.npy")).values, [11.0, 22.0, 33.0]);
    machine.write("escapes.onnx", onnx_with_external_data("../adder.weights"));
    machine
        .dunlin(&["pack", "--tag", "demo/escapes:1", "escapes.onnx"])
        .exits(USAGE)
        .says("../adder.weights");
}

#[test]
fn options_and_recipes_say_the_same_and_win() {
    let machine = Machine::new();
    machine.write("tiny.gguf", gguf());
    let options = [
        "--name",
        "Other",
        "--model-version",
        "2",
        "--license",
        "MIT",
        "--param-size",
        "26k",
        "--input-type",
        "text",
        "--output-type",
        "embedding",
    ];
    let digest = |arguments: &[&str]| {
        let mut all = vec!["pack", "--tag", "demo/tiny:1", "--output", "json"];
        all.extend(arguments);
        machine.dunlin(&all).ok().json()["digest"].clone()
    };
    let packed = digest(&[&options[..], &["tiny.gguf"]].concat());
    let model = inspected(&machine, "demo/tiny:1");
    assert_eq!(model["descriptor"]["name"], "Other");
    assert_eq!(model["descriptor"]["licenses"], json!(["MIT"]));
    assert_eq!(model["descriptor"]["family"], "llama", "what is not said is read");
    assert_eq!(model["config"]["paramSize"], "26k");
    assert_eq!(model["config"]["capabilities"]["outputTypes"], json!(["embedding"]));
    machine.write(
        "dunlin.toml",
        "[model]\nfiles = [\"tiny.gguf\"]\nname = \"Other\"\nversion = \"2\"\nlicenses = [\"MIT\"]\nparam_size = \"26k\"\n\
         [model.capabilities]\ninput_types = [\"text\"]\noutput_types = [\"embedding\"]\n",
    );
    assert_eq!(digest(&["dunlin.toml"]), packed);
}

#[test]
fn what_modelpack_does_not_allow_is_refused() {
    let machine = Machine::new();
    machine.write("tiny.gguf", gguf());
    machine.write("app.wasm", b"\0asm\x01\0\0\0");
    let refused = machine
        .dunlin(&[
            "pack",
            "--tag",
            "a/b:1",
            "--param-size",
            "many",
            "--input-type",
            "smell",
            "tiny.gguf",
        ])
        .exits(USAGE);
    refused.says("param_size").says("input_types");
    machine.write(
        "dunlin.toml",
        "[model]\nfiles = [\"tiny.gguf\"]\nparam_size = \"many\"\ncreated = \"today\"\n[model.capabilities]\nlanguages = [\"English\"]\n",
    );
    let refused = machine.dunlin(&["pack", "--tag", "a/b:1", "dunlin.toml"]).exits(USAGE);
    refused
        .says("model.param_size")
        .says("model.created")
        .says("model.capabilities.languages");
    machine.write(
        "linked.toml",
        "[module]\nfile = \"app.wasm\"\n[models.a]\nfiles = [\"tiny.gguf\"]\nnmae = \"x\"\n[models.b]\nref = \"a/b:1\"\nname = \"x\"\n",
    );
    let refused = machine.dunlin(&["pack", "--tag", "a/b:1", "linked.toml"]).exits(USAGE);
    refused.says("models.a").says("nmae").says("models.b");
    for arguments in [
        &["--name", "x", "app.wasm"][..],
        &["--fat", "tiny.gguf"],
        &["--fat", "app.wasm"],
        &["--fat", "--bundle", "--model", "a=a/b:1", "app.wasm"],
        &["app.wasm", "tiny.gguf"],
    ] {
        let all = [&["pack", "--tag", "a/b:1"][..], arguments].concat();
        machine.dunlin(&all).exits(USAGE).did_not_crash();
    }
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert_eq!(listed, json!([]));
}

/// One manifest, made of a packed model or of files, runs, serves and infers.
#[test]
fn a_fat_artifact_runs_serves_and_infers() {
    let (Some(add), Some(hello), Some(model)) = (
        cached("guests/nn_add.wasm"),
        cached("guests/http_hello.wasm"),
        cached("fixtures/add/model.onnx"),
    ) else {
        return;
    };
    let machine = Machine::new();
    let (add, hello, model) = (add.to_str().unwrap(), hello.to_str().unwrap(), model.to_str().unwrap());
    drop(machine.dunlin(&["pack", "--tag", "demo/add:1", model]).ok());
    let packed = machine
        .dunlin(&[
            "pack",
            "--tag",
            "demo/fat:1",
            "--fat",
            "--model",
            "add=demo/add:1",
            "--output",
            "json",
            add,
        ])
        .ok()
        .json();
    assert_eq!(packed["kind"], "fat");
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", "demo/fat:1"])
        .ok()
        .json();
    assert_eq!(seen["document"]["kind"], "application/vnd.wasm.config.v0+json");
    let layers = seen["document"]["layers"].as_array().unwrap();
    let types: Vec<_> = layers
        .iter()
        .map(|layer| layer["media_type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["application/wasm", "application/vnd.cncf.model.weight.v1.raw"]);
    assert_eq!(seen["models"][0]["name"], "add", "{seen}");
    drop(machine.dunlin(&["run", "--allow-unsigned", "demo/fat:1", "add"]).ok());

    machine.key("me");
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/fat:1"]).ok());
    drop(machine.dunlin(&["run", "--key", "me.pub", "demo/fat:1", "add"]).ok());
    machine
        .dunlin(&["run", "--key", "me.pub", "demo/add:1"])
        .exits(4)
        .did_not_crash();

    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/web:1", "--fat", hello, model])
            .ok(),
    );
    let server = Server::start(&machine, &["--allow-unsigned", "demo/web:1"]);
    assert_eq!(server.get("/").0, 200);
    for (name, values) in [("a.npy", [1.0, 2.0, 3.0]), ("b.npy", [10.0, 20.0, 30.0])] {
        machine.write(name, npy_floats(&values));
    }
    let inputs = ["--in", "A=a.npy", "--in", "B=b.npy", "--out", "results"];
    let infer = [&["infer", "--allow-unsigned", "demo/web:1"][..], &inputs].concat();
    drop(machine.dunlin(&infer).ok());
    assert_eq!(Npy::read(&machine.path("results/C.npy")).values, [11.0, 22.0, 33.0]);
}
