//! Real models through `dunlin infer`, compared with what onnxruntime computes for the same inputs (tests/fixtures).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use dunlin_tests::{Machine, Npy, cached};
use serde_json::Value;

/// Runs every step of a fixture on one engine, feeding outputs back where a step says so.
fn check(model: &str, engine: &[&str]) {
    let Some(folder) = cached(&format!("fixtures/{model}/case.json")) else {
        return;
    };
    let folder = folder.parent().unwrap();
    let case: Value = serde_json::from_slice(&fs_err::read(folder.join("case.json")).unwrap()).unwrap();
    let machine = Machine::new();
    let mut outputs: HashMap<String, PathBuf> = HashMap::new();
    let steps = case["steps"].as_array().unwrap();
    assert!(!steps.is_empty());
    for (number, step) in steps.iter().enumerate() {
        let out = machine.path(&format!("out{number}"));
        let mut arguments: Vec<String> = ["infer", "--allow-unsigned", "--quiet"].map(str::to_owned).to_vec();
        arguments.extend(engine.iter().map(|&argument| argument.to_owned()));
        for (name, input) in step["inputs"].as_object().unwrap() {
            let file = match input.as_str() {
                Some(file) => folder.join(file),
                None => outputs[input["output"].as_str().unwrap()].clone(),
            };
            arguments.extend(["--in".to_owned(), format!("{name}={}", file.display())]);
        }
        arguments.extend(["--out".to_owned(), out.display().to_string()]);
        arguments.push(folder.join(case["file"].as_str().unwrap()).display().to_string());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        drop(machine.dunlin(&arguments).ok());
        for (name, expected) in step["expected"].as_object().unwrap() {
            compare(
                &format!("{model} step {number} {name}"),
                &out.join(format!("{name}.npy")),
                folder,
                expected,
            );
        }
        outputs = fs_err::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
            .collect();
    }
}

fn compare(what: &str, actual: &Path, folder: &Path, expected: &Value) {
    let actual = Npy::read(actual);
    let reference = Npy::read(&folder.join(expected["file"].as_str().unwrap()));
    let mut checks = 0;
    if let Some(tolerance) = expected["absolute"].as_f64() {
        let difference = actual.max_difference(&reference);
        assert!(
            difference <= tolerance,
            "{what}: differs by {difference}, over {tolerance}"
        );
        checks += 1;
    }
    if let Some(least) = expected["cosine"].as_f64() {
        let cosine = actual.min_cosine(&reference);
        assert!(cosine >= least, "{what}: cosine {cosine}, under {least}");
        checks += 1;
    }
    if expected["top1"].as_bool() == Some(true) {
        assert_eq!(actual.argmax(), reference.argmax(), "{what}: another top-1");
        checks += 1;
    }
    assert!(checks > 0, "{what}: the fixture compares nothing");
}

fn on_ort(model: &str) {
    let Some(library) = cached("assets/onnxruntime/libonnxruntime.so") else {
        return;
    };
    check(model, &["--engine", "ort", "--onnxruntime", library.to_str().unwrap()]);
}

macro_rules! models {
    ($($name:ident: $model:literal),* $(,)?) => {
        mod tract {
            $(#[test] fn $name() { super::check($model, &["--engine", "tract"]); })*
        }
        mod onnxruntime {
            $(#[test] fn $name() { super::on_ort($model); })*
        }
    };
}

models! {
    minilm_fp32: "minilm",
    minilm_int8: "minilm-int8",
    efficientnet_lite0: "efficientnet-lite0",
    ppocr_v4_rec: "ppocr-rec",
    silero_vad_16k: "silero",
    magika_v3_3: "magika",
    add: "add",
}
