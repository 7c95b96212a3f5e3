//! What a user named: a file, an OCI layout folder, or a reference to an artifact.

use std::path::{Path, PathBuf};

use dunlin_models::{Reference, reference::ReferenceError};
use thiserror::Error;

/// Where an artifact or a model lies, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A name in the store, or in a registry from where it is pulled.
    Reference(Reference),
    /// An OCI image layout folder made by any tool, and the tag or digest in it (`FOLDER[:TAG]`).
    Layout {
        /// The folder.
        folder: PathBuf,
        /// The tag; `None` where the layout has one artifact only.
        tag: Option<String>,
    },
    /// A bare file: `.wasm`, `.wat`, `.onnx`, ...
    File(PathBuf),
}

/// Why a text names nothing.
#[derive(Debug, Error)]
pub enum TargetError {
    /// It looks like a path, and nothing is there.
    #[error("there is no file or OCI layout at {}", path.display())]
    NoSuchPath {
        /// The path.
        path: PathBuf,
    },
    /// The folder is no OCI layout.
    #[error("the folder {} is no OCI layout: it has no file `oci-layout`", path.display())]
    NoLayout {
        /// The folder.
        path: PathBuf,
    },
    /// It is neither a path nor a reference.
    #[error("`{text}` is neither a file nor a reference")]
    Reference {
        /// What was written.
        text: String,
        /// What is wrong with it as a reference.
        #[source]
        source: ReferenceError,
    },
}

impl TargetError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchPath { .. } => Some("`dunlin ls` lists what the store has".to_owned()),
            Self::NoLayout { .. } => {
                Some("name a file, a reference, or a folder that `skopeo copy ... oci:FOLDER` made".to_owned())
            }
            Self::Reference { source, .. } => source.hint(),
        }
    }
}

impl Target {
    /// Reads what a user wrote. What exists as a path is a path; `./x`, `/x` and `../x` are always paths.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if let Some(target) = existing(Path::new(text))? {
            return Ok(target);
        }
        if let Some((folder, tag)) = text.rsplit_once(':')
            && Path::new(folder).is_dir()
            && !tag.contains('/')
        {
            return match existing(Path::new(folder))? {
                Some(Self::Layout { folder, .. }) => Ok(Self::Layout {
                    folder,
                    tag: Some(tag.to_owned()),
                }),
                _ => Err(TargetError::NoLayout { path: folder.into() }),
            };
        }
        if text.starts_with(['/', '.', '~']) {
            return Err(TargetError::NoSuchPath { path: text.into() });
        }
        text.parse()
            .map(Self::Reference)
            .map_err(|source| TargetError::Reference {
                text: text.chars().take(200).collect(),
                source,
            })
    }
}

fn existing(path: &Path) -> Result<Option<Target>, TargetError> {
    if path.is_file() {
        return Ok(Some(Target::File(path.to_owned())));
    }
    if !path.is_dir() {
        return Ok(None);
    }
    if path.join("oci-layout").is_file() {
        return Ok(Some(Target::Layout {
            folder: path.to_owned(),
            tag: None,
        }));
    }
    // A folder named like a reference is no reason to refuse the reference.
    match path.to_str().and_then(|text| text.parse::<Reference>().ok()) {
        Some(_) => Ok(None),
        None => Err(TargetError::NoLayout { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_missing_paths_are_told_apart() {
        assert!(matches!(Target::parse("demo/embed:1"), Ok(Target::Reference(_))));
        assert!(matches!(
            Target::parse("./no-such.wasm"),
            Err(TargetError::NoSuchPath { .. })
        ));
        assert!(matches!(
            Target::parse("Not A Reference"),
            Err(TargetError::Reference { .. })
        ));
    }

    #[test]
    fn layouts_and_files_are_recognised_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        fs_err::create_dir(&layout).unwrap();
        let text = layout.to_str().unwrap();
        assert!(matches!(Target::parse(text), Err(TargetError::NoLayout { .. })));
        fs_err::write(layout.join("oci-layout"), "{}").unwrap();
        assert_eq!(
            Target::parse(text).unwrap(),
            Target::Layout {
                folder: layout.clone(),
                tag: None
            }
        );
        let tagged = Target::parse(&format!("{text}:v1")).unwrap();
        assert_eq!(
            tagged,
            Target::Layout {
                folder: layout.clone(),
                tag: Some("v1".into())
            }
        );
        let file = layout.join("oci-layout");
        assert_eq!(Target::parse(file.to_str().unwrap()).unwrap(), Target::File(file));
    }
}
