//! Container images that hold a module, and perhaps models: what runtimes take that refuse artifacts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::classify::{Role, by_path};
use super::packed::contained;
use super::{Artifact, ArtifactError, Capabilities, FileKind, ModelLink, ModuleArtifact, Opener};
use crate::descriptor::{Descriptor, null_as_default};
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::PackedFile;
use crate::verify::Verified;

/// What a layer names to take a file of an earlier layer away (image-spec, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// The same for everything in a folder.
const OPAQUE: &str = ".wh..wh..opq";

/// The config of an image (image-spec, "Image Configuration"), as far as this crate uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `wasm`.
    #[serde(default)]
    pub architecture: String,
    /// `wasip1` or `wasip2`; older tools write `wasi` or `linux`.
    #[serde(default)]
    pub os: String,
    /// How it is started.
    #[serde(default)]
    pub config: ImageStart,
    /// What it consists of.
    #[serde(default)]
    pub rootfs: ImageRootFs,
}

/// How an image is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageStart {
    /// The program, and its first arguments.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program where there is no entry point.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
}

/// The layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRootFs {
    /// Always `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

impl Opener<'_> {
    /// Whether this is a container image rather than something that merely has the config of one, as ollama's models.
    pub(super) fn is_image(&self, manifest: &Manifest) -> bool {
        let config = manifest.config.media_type.as_str();
        let is_layer = |layer: &Descriptor| {
            matches!(
                layer.media_type.as_str(),
                media_type::IMAGE_LAYER | media_type::IMAGE_LAYER_GZIP | media_type::DOCKER_LAYER
            )
        };
        matches!(config, media_type::IMAGE_CONFIG | media_type::DOCKER_CONFIG)
            && !manifest.layers.is_empty()
            && manifest.layers.iter().all(is_layer)
    }

    pub(super) fn image(&self, manifest: Verified<Manifest>) -> Result<Artifact, ArtifactError> {
        let digest = self.descriptor.digest;
        let config: ImageConfig = self.config(&manifest, "image config")?;
        let files = self.file_system(&manifest)?;
        let program = config.config.entrypoint.iter().chain(&config.config.cmd).next();
        let program = program.map(|program| program.trim_start_matches("./").trim_matches('/').to_owned());
        let is_module = |path: &str| matches!(by_path(path, FileKind::Code), Role::Module);
        let named = program.filter(|program| files.contains_key(program) && is_module(program));
        // An image that starts nothing may still hold exactly one module.
        let mut modules = files.keys().filter(|path| is_module(path));
        let only = modules.next().filter(|_| modules.next().is_none()).cloned();
        let entry = named.or(only).ok_or(ArtifactError::NoEntryPoint { digest })?;

        let mut wanted: BTreeMap<Digest, Vec<PackedFile>> = BTreeMap::new();
        let mut module = None;
        let mut models = Vec::new();
        for (path, (layer, file)) in files {
            let role = by_path(&path, FileKind::Doc);
            if path == entry {
                module = Some(contained(&layer, media_type::WASM, &file));
            } else if matches!(role, Role::File(FileKind::Weight | FileKind::WeightConfig, _)) {
                models.push((contained(&layer, "application/octet-stream", &file), role));
            } else {
                continue;
            }
            wanted.entry(layer.digest).or_default().push(file);
        }
        for layer in manifest.layer_blobs() {
            if let Some(files) = wanted.get(&layer.digest) {
                self.copy_out(&layer, files)?;
            }
        }
        let module = module.ok_or(ArtifactError::NoEntryPoint { digest })?;
        if models.iter().any(|(_, role)| role.is_weight()) {
            return self.fat(manifest, module, models).map(Artifact::Bundle);
        }
        Ok(Artifact::Module(ModuleArtifact {
            descriptor: self.descriptor.clone(),
            os: self.detected_os(&module)?,
            module,
            models: ModelLink::list(&manifest)?,
            capabilities: Capabilities::of(&manifest)?,
            manifest,
        }))
    }

    /// The files that all layers make together, each with the layer that it comes from.
    fn file_system(
        &self,
        manifest: &Verified<Manifest>,
    ) -> Result<BTreeMap<String, (Verified<Descriptor>, PackedFile)>, ArtifactError> {
        let mut files = BTreeMap::new();
        for layer in manifest.layer_blobs() {
            for file in self.packed(&layer)? {
                let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
                let prefix = if folder.is_empty() {
                    String::new()
                } else {
                    format!("{folder}/")
                };
                if name == OPAQUE {
                    files.retain(|path: &String, _| !path.starts_with(&prefix));
                } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
                    let gone = format!("{prefix}{gone}");
                    files.retain(|path: &String, _| *path != gone && !path.starts_with(&format!("{gone}/")));
                } else {
                    files.insert(file.path.clone(), (layer.clone(), file));
                }
            }
        }
        Ok(files)
    }
}
