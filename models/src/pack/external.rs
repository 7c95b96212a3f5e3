//! Files in which ONNX models keep tensors: found by the names that the models use, and packed with them.

use std::path::{Path, PathBuf};

use super::PackError;
use super::folder::Enclosure;
use super::metadata::summary;
use super::model::{ModelFile, ModelFileSpec};
use super::recognise::recognise;
use crate::artifact::{FileKind, is_safe};
use crate::format::ModelFormat;

/// Adds to `files` what the ONNX models among them refer to. A file that is among them already becomes weights, under the
/// path that its model looks for.
pub(super) fn add(files: &mut Vec<ModelFile>) -> Result<(), PackError> {
    let mut wanted = Vec::new();
    for file in files.iter() {
        if file.format == Some(ModelFormat::Onnx)
            && let Some(summary) = summary(file)
        {
            let locations = summary.external_files().map(str::to_owned).collect();
            wanted.push(Wanted::of(&file.spec, locations)?);
        }
    }
    for Wanted { folder, prefix, names } in wanted {
        for name in names {
            let (source, path) = (folder.join(&name), format!("{prefix}{name}"));
            let place = fs_err::canonicalize(&source).map_err(PackError::Read)?;
            let known = files.iter_mut().find(|file| {
                file.spec.path == path || fs_err::canonicalize(&file.spec.source).is_ok_and(|known| known == place)
            });
            if let Some(known) = known {
                known.kind = FileKind::Weight;
                known.spec.path = path;
                continue;
            }
            files.push(recognise(ModelFileSpec {
                source,
                path,
                kind: Some(FileKind::Weight),
            })?);
        }
    }
    Ok(())
}

/// What a model refers to.
struct Wanted {
    /// The model's folder.
    folder: PathBuf,
    /// The same inside the packed model, with the last `/`.
    prefix: String,
    /// Names of files from there, checked to be there and inside.
    names: Vec<String>,
}

impl Wanted {
    fn of(model: &ModelFileSpec, names: Vec<String>) -> Result<Self, PackError> {
        let folder = model.source.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let prefix = model.path.rsplit_once('/').map(|(prefix, _)| format!("{prefix}/"));
        if !names.is_empty() {
            let enclosure = Enclosure::of(&folder)?;
            for name in &names {
                if !is_safe(name) {
                    return Err(PackError::ExternalPath {
                        model: model.source.clone(),
                        location: name.clone(),
                    });
                }
                let source = folder.join(name);
                if !source.is_file() {
                    return Err(PackError::ExternalMissing {
                        model: model.source.clone(),
                        file: source,
                    });
                }
                enclosure.admit(&source)?;
            }
        }
        Ok(Self {
            folder,
            prefix: prefix.unwrap_or_default(),
            names,
        })
    }
}
