//! The files of a model's folder, as downloads of model hubs lay them out, and the [`Enclosure`] that links in it must not leave.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::PackError;
use super::model::ModelFileSpec;
use super::recognise::{is_claimed, kind_by_name};
use crate::artifact::FileKind;
use crate::manifest::MAX_ENTRIES;

/// Folders within folders.
const MAX_DEPTH: usize = 16;
/// Bytes of a file that are looked at to tell text from data.
const PROBE_BYTES: u64 = 8192;
/// Parts of a Hugging Face download cache: a folder for each revision, of links to files in another one.
const CACHE_REVISIONS: &str = "snapshots";
const CACHE_FILES: &str = "blobs";

/// See [`ModelFileSpec::of_folder`].
pub(super) fn files(folder: &Path) -> Result<Vec<ModelFileSpec>, PackError> {
    let enclosure = Enclosure::of(folder)?;
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(PackError::TooDeep {
                folder,
                limit: MAX_DEPTH,
            });
        }
        for entry in fs_err::read_dir(&folder).map_err(PackError::Read)? {
            let entry = entry.map_err(PackError::Read)?;
            let Ok(name) = entry.file_name().into_string() else {
                let path = entry.path().to_string_lossy().into_owned();
                return Err(PackError::Path { path });
            };
            if name.starts_with('.') {
                continue;
            }
            let (source, path) = (entry.path(), format!("{prefix}{name}"));
            let kind = entry.file_type().map_err(PackError::Read)?;
            if kind.is_dir() {
                folders.push((source, format!("{path}/"), depth + 1));
                continue;
            }
            let is_file = kind.is_file() || kind.is_symlink() && enclosure.admit(&source)?.is_file();
            if !is_file {
                return Err(PackError::NotAFile { path: source });
            }
            if files.len() == MAX_ENTRIES {
                return Err(PackError::TooManyFiles { limit: MAX_ENTRIES });
            }
            files.push(ModelFileSpec {
                kind: guess(&source, &path)?,
                source,
                path,
            });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// What a file is for whose name does not tell: text documents the model, everything else may be weights.
fn guess(source: &Path, path: &str) -> Result<Option<FileKind>, PackError> {
    if is_claimed(path) || kind_by_name(path).is_some() {
        return Ok(None);
    }
    let mut probe = Vec::new();
    let file = fs_err::File::open(source).map_err(PackError::Read)?;
    file.take(PROBE_BYTES)
        .read_to_end(&mut probe)
        .map_err(PackError::Read)?;
    let is_text = match std::str::from_utf8(&probe) {
        Ok(text) => !text.contains('\0'),
        // The probe may end within a character.
        Err(error) => error.error_len().is_none() && !probe.contains(&0),
    };
    Ok(Some(if is_text { FileKind::Doc } else { FileKind::Weight }))
}

/// The folders that a model's files may lie in once links are followed: its own, and where it belongs to a download cache
/// of Hugging Face, the cache's files of this model.
pub(super) struct Enclosure(Vec<PathBuf>);

impl Enclosure {
    pub(super) fn of(folder: &Path) -> Result<Self, PackError> {
        let folder = fs_err::canonicalize(folder).map_err(PackError::Read)?;
        let revisions = folder.ancestors().skip(1).find(|ancestor| {
            let name = ancestor.file_name();
            name.is_some_and(|name| name == CACHE_REVISIONS)
        });
        let blobs = revisions.map(|revisions| revisions.with_file_name(CACHE_FILES));
        Ok(Self([Some(folder), blobs].into_iter().flatten().collect()))
    }

    /// Where `path` leads.
    pub(super) fn admit(&self, path: &Path) -> Result<PathBuf, PackError> {
        let place = fs_err::canonicalize(path).map_err(PackError::Read)?;
        if self.0.iter().any(|folder| place.starts_with(folder)) {
            return Ok(place);
        }
        Err(PackError::Outside {
            file: path.to_owned(),
            place,
        })
    }
}
