//! [`Recipe`]: what goes into an artifact, from flags or from a `dunlin.toml`; [`pack()`](crate::Node::pack) turns it into one.
//!
//! A recipe is read in two stages, as written and then checked; it names files and reads none of them, though it can list folders.

mod error;
mod written;

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use dunlin_models::{
    Reference,
    artifact::{Capabilities, ModelDescription, ModelParameters},
    pack::{ModelFileSpec, PackError},
};

pub use error::RecipeError;

/// Name of the recipe file in a project's folder.
pub const RECIPE_FILE: &str = "dunlin.toml";
/// A recipe larger than this is none, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What goes into an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Name in the store.
    pub tag: Option<Reference>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// A module with what it links, or a model.
    pub content: Content,
}

/// The two things that are packed.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A WebAssembly module or component.
    Module(Box<ModuleRecipe>),
    /// The files of a model.
    Model(Box<ModelRecipe>),
}

/// A module.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleRecipe {
    /// The `.wasm` file.
    pub file: PathBuf,
    /// The shell command that makes the file, run in the recipe's folder; `None` for a file that is just there.
    pub build: Option<String>,
    /// The folder in which `build` runs.
    pub folder: PathBuf,
    /// What the module asks its host for.
    pub capabilities: Capabilities,
    /// The models that it opens by name.
    pub models: Vec<LinkedModel>,
    /// The form of the artifact.
    pub form: Form,
}

/// Forms of an artifact with a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The module alone; its models are artifacts of their own.
    #[default]
    Module,
    /// An index of the module and its models: signed, copied and deployed as one.
    Bundle,
    /// One manifest with the module and the files of its one model.
    Fat,
    /// A container image with tar layers, for containerd 1.6 and image volumes; its models are files in it.
    Image,
}

/// A model that a module opens by name.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkedModel {
    /// The name that the guest opens.
    pub name: String,
    /// Where the model is.
    pub source: ModelSource,
    /// wasi-nn encoding; `None` leaves it to the model's format.
    pub encoding: Option<String>,
    /// Whether the module runs without it.
    pub optional: bool,
}

/// Where a linked model is.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// Packed before, in the store.
    Packed(Reference),
    /// Packed now; with a name of its own in the store, if there is one.
    Files(Box<ModelRecipe>, Option<Reference>),
}

/// A model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelRecipe {
    /// Its files, or folders with them: a file goes under its name, those of a folder under their paths in it.
    pub files: Vec<PathBuf>,
    /// Who made what.
    pub description: ModelDescription,
    /// How it is built; what is not said is read from the weights.
    pub parameters: ModelParameters,
}

impl ModelRecipe {
    /// The files to pack, folders read. A folder's own recipe is no part of the model.
    ///
    /// # Errors
    /// A folder cannot be read, or holds what cannot be packed.
    pub fn listed(&self) -> Result<Vec<ModelFileSpec>, PackError> {
        let mut files = Vec::new();
        for file in &self.files {
            if file.is_dir() {
                let listed = ModelFileSpec::of_folder(file)?;
                files.extend(listed.into_iter().filter(|file| file.path != RECIPE_FILE));
            } else {
                files.push(ModelFileSpec::new(file));
            }
        }
        Ok(files)
    }
}

impl Recipe {
    /// Bytes of the model files that will be packed; what is not there counts nothing.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let models: Vec<&ModelRecipe> = match &self.content {
            Content::Model(model) => vec![model],
            Content::Module(module) => {
                let sources = module.models.iter().map(|linked| &linked.source);
                sources
                    .filter_map(|source| match source {
                        ModelSource::Files(model, _) => Some(model.as_ref()),
                        ModelSource::Packed(_) => None,
                    })
                    .collect()
            }
        };
        let files = models.iter().flat_map(|model| model.listed().unwrap_or_default());
        let sizes = files.filter_map(|file| fs_err::metadata(file.source).ok());
        sizes.fold(0, |total, file| total.saturating_add(file.len()))
    }

    /// Reads the recipe at `path`; with a folder, its `dunlin.toml`. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// The file is missing, unreadable or not valid.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let path = if path.is_dir() {
            path.join(RECIPE_FILE)
        } else {
            path.to_owned()
        };
        let mut text = String::new();
        let file = fs_err::File::open(&path).map_err(RecipeError::Read)?;
        let read = file
            .take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(RecipeError::Read)?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
            return Err(RecipeError::TooLarge { path });
        }
        Self::parse(&text, &path)
    }

    /// Checks the text of the recipe at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let written: written::File = toml::from_str(text).map_err(|error| RecipeError::Syntax {
            path: path.to_owned(),
            message: crate::config::position(text, &error),
        })?;
        let mut faults = Vec::new();
        let folder = path.parent().unwrap_or(Path::new(""));
        match written.check(folder, &mut faults) {
            Some(recipe) if faults.is_empty() => Ok(recipe),
            _ => Err(RecipeError::Faults {
                path: path.to_owned(),
                faults,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Recipe, RecipeError> {
        Recipe::parse(text, Path::new("/project/dunlin.toml"))
    }

    #[test]
    fn a_bundle_is_read() {
        let recipe = parse(
            r#"
            tag = "demo/embed:1"
            [annotations]
            "org.opencontainers.image.source" = "https://example/embed"
            [module]
            file = "target/embed.wasm"
            build = "cargo build --release"
            form = "bundle"
            memory = "64M"
            instance_reuse = 100
            hosts = ["api.example:443"]
            env = ["TOKEN"]
            dirs = [{ guest = "/data", writable = true }]
            [models.default]
            files = ["model.onnx", "tokenizer.json"]
            name = "minilm"
            licenses = ["Apache-2.0"]
            [models.extra]
            ref = "registry.example/models/extra:1"
            optional = true
            "#,
        )
        .unwrap();
        assert_eq!(recipe.tag.unwrap().to_string(), "demo/embed:1");
        let Content::Module(module) = recipe.content else {
            panic!("no module")
        };
        assert_eq!(module.file, Path::new("/project/target/embed.wasm"));
        assert_eq!(module.form, Form::Bundle);
        assert_eq!(module.capabilities.memory_mib, Some(64));
        assert!(module.capabilities.dirs[0].writable);
        assert_eq!(module.models.len(), 2);
        let ModelSource::Files(model, None) = &module.models[0].source else {
            panic!("no files")
        };
        assert_eq!(model.files[1], Path::new("/project/tokenizer.json"));
        assert_eq!(model.description.name.as_deref(), Some("minilm"));
        assert!(module.models[1].optional);
    }

    #[test]
    fn a_model_alone_is_read() {
        let recipe = parse("[model]\nfiles = [\"m.gguf\"]\nversion = \"2\"").unwrap();
        let Content::Model(model) = recipe.content else {
            panic!("no model")
        };
        assert_eq!(model.description.version.as_deref(), Some("2"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let Err(RecipeError::Faults { faults, .. }) = parse(
            r#"
            tag = "Not A Reference"
            [module]
            file = "a.wasm"
            form = "zip"
            memory = "much"
            [models.both]
            files = ["a.onnx"]
            ref = "demo/a:1"
            [models.none]
            optional = true
            "#,
        ) else {
            panic!("faults passed")
        };
        for field in ["tag", "module.form", "module.memory", "models.both", "models.none"] {
            assert!(
                faults.iter().any(|fault| fault.starts_with(&format!("{field}:"))),
                "{field} is not among {faults:?}"
            );
        }
    }

    #[test]
    fn a_recipe_is_for_one_thing() {
        for text in [
            "",
            "[module]\nfile = \"a.wasm\"\n[model]\nfiles = [\"a.onnx\"]",
            "[model]\nfiles = []",
            "[models.a]\nref = \"demo/a:1\"\n[model]\nfiles = [\"a.onnx\"]",
        ] {
            assert!(matches!(parse(text), Err(RecipeError::Faults { .. })), "{text}");
        }
        assert!(matches!(
            parse("[module]\nfil = \"a\""),
            Err(RecipeError::Syntax { .. })
        ));
    }
}
