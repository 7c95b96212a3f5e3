//! Export: equal stores and options give equal archives, bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write};
use std::path::Path;

use super::tape::{file_header, padding};
use super::{ArchiveError, POLICY, TRUSTED_ROOT};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::manifest::Index;
use crate::media_type;
use crate::reference::Reference;
use crate::store::graph::Graph;
use crate::store::tags::referrers_subject;
use crate::store::{Store, StoreError};

const READ_BYTES: usize = 1 << 20;
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// By which cosign finds the artifact in a layout.
const COSIGN_KIND: &str = "kind";
const COSIGN_IMAGE: &str = "dev.cosignproject.cosign/image";
const COSIGN_INDEX: &str = "dev.cosignproject.cosign/imageIndex";

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The artifacts; all tags when empty.
    pub references: Vec<Reference>,
    /// Content of `dunlin/trusted_root.json`.
    pub trusted_root: Option<Vec<u8>>,
    /// Content of `dunlin/policy.yaml`.
    pub policy: Option<Vec<u8>>,
}

/// What an export did.
#[derive(Debug, Clone, Default)]
pub struct ExportReport {
    /// Artifacts.
    pub artifacts: usize,
    /// Blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Linked models that the store does not have.
    pub missing_models: Vec<Digest>,
}

struct Contents {
    index: Vec<u8>,
    blobs: BTreeMap<Digest, u64>,
    extras: Vec<(&'static str, Vec<u8>)>,
    report: ExportReport,
}

impl Store {
    /// Writes an OCI image layout as a tar stream. `progress` gets the number of bytes of each step.
    ///
    /// # Errors
    /// When the store does not have all of an artifact, a blob is damaged, or `out` cannot be written.
    pub fn export_tar(
        &self,
        out: &mut dyn Write,
        options: &ExportOptions,
        progress: &dyn Fn(u64),
    ) -> Result<ExportReport, ArchiveError> {
        let _gate = self.share_gate()?;
        let contents = self.contents(options)?;
        let small = [("oci-layout", LAYOUT), ("index.json", contents.index.as_slice())];
        for (path, bytes) in small {
            member(out, path, bytes)?;
        }
        for (digest, size) in &contents.blobs {
            let path = format!("blobs/sha256/{}", digest.hex());
            let header = file_header(&path, *size).map_err(ArchiveError::Write)?;
            out.write_all(header.as_bytes()).map_err(ArchiveError::Write)?;
            self.pour(digest, *size, progress, &mut |bytes| {
                out.write_all(bytes).map_err(ArchiveError::Write)
            })?;
            out.write_all(&padding(*size)).map_err(ArchiveError::Write)?;
        }
        for (path, bytes) in &contents.extras {
            member(out, path, bytes)?;
        }
        out.write_all(&[0; 1024]).map_err(ArchiveError::Write)?;
        out.flush().map_err(ArchiveError::Write)?;
        Ok(contents.report)
    }

    /// Writes an OCI image layout as a folder, which must be empty or not there.
    ///
    /// # Errors
    /// As [`Store::export_tar`].
    pub fn export_layout(
        &self,
        folder: &Path,
        options: &ExportOptions,
        progress: &dyn Fn(u64),
    ) -> Result<ExportReport, ArchiveError> {
        let _gate = self.share_gate()?;
        let contents = self.contents(options)?;
        fs_err::create_dir_all(folder).map_err(ArchiveError::Layout)?;
        if fs_err::read_dir(folder).map_err(ArchiveError::Layout)?.next().is_some() {
            let path = folder.to_owned();
            return Err(ArchiveError::NotEmpty { path });
        }
        let target = Store::open(folder, true)?;
        for (digest, size) in &contents.blobs {
            let mut ingest = target.ingest(*size)?;
            self.pour(digest, *size, progress, &mut |bytes| Ok(ingest.write(bytes)?))?;
            ingest.finish(&Descriptor::new("", *digest, *size))?;
        }
        for (path, bytes) in &contents.extras {
            let path = folder.join(path);
            fs_err::create_dir_all(path.parent().unwrap_or(folder)).map_err(ArchiveError::Layout)?;
            fs_err::write(path, bytes).map_err(ArchiveError::Layout)?;
        }
        target.replace(&target.index_path(), &contents.index)?;
        // What only stores have. Others do not mind it if it stays.
        let _ = fs_err::remove_file(folder.join("index.json.lock"));
        let _ = fs_err::remove_dir(target.ingest_path());
        Ok(contents.report)
    }

    /// What belongs into the layout.
    fn contents(&self, options: &ExportOptions) -> Result<Contents, ArchiveError> {
        let index = self.read_index()?;
        let mut entries = Vec::new();
        for reference in &options.references {
            let entry = self.resolve(reference)?;
            entries.push(entry.annotated(annotation::REF_NAME, &reference.to_string()));
        }
        if options.references.is_empty() {
            let is_list = |entry: &Descriptor| {
                let name = entry.annotations.get(annotation::REF_NAME);
                name.is_some_and(|name| referrers_subject(name).is_some())
            };
            entries.extend(index.manifests.iter().filter(|entry| !is_list(entry)).cloned());
        }
        let mut report = ExportReport {
            artifacts: entries.len(),
            ..ExportReport::default()
        };
        let mut graph = Graph::new(self, &index);
        let needed = graph.closure(entries.iter().cloned())?;
        let blobs = self.sizes(&mut graph, &entries, &needed, &mut report)?;
        for entry in &mut entries {
            let kind = if matches!(entry.media_type.as_str(), media_type::INDEX | media_type::DOCKER_LIST) {
                COSIGN_INDEX
            } else {
                COSIGN_IMAGE
            };
            entry.annotations.insert(COSIGN_KIND.to_owned(), kind.to_owned());
        }
        let lists = index.manifests.iter().filter(|entry| {
            let subject = entry
                .annotations
                .get(annotation::REF_NAME)
                .and_then(|name| referrers_subject(name));
            subject.is_some_and(|subject| needed.contains(&subject))
        });
        entries.extend(lists.cloned());
        let name = |entry: &Descriptor| entry.annotations.get(annotation::REF_NAME).cloned();
        entries.sort_by_key(|entry| (!entry.annotations.contains_key(COSIGN_KIND), name(entry), entry.digest));
        let index = serde_json::to_vec(&Index::new(entries)).map_err(|source| StoreError::Encode {
            what: "the index of the export",
            source,
        })?;
        let extras = [(TRUSTED_ROOT, &options.trusted_root), (POLICY, &options.policy)];
        let extras = extras
            .into_iter()
            .filter_map(|(path, bytes)| Some((path, bytes.clone()?)));
        report.blobs = blobs.len();
        report.bytes = blobs.values().fold(0, |sum, size| sum.saturating_add(*size));
        Ok(Contents {
            index,
            blobs,
            extras: extras.collect(),
            report,
        })
    }

    /// The sizes of all that is needed. Linked models may be missing; nothing else may.
    fn sizes(
        &self,
        graph: &mut Graph<'_>,
        entries: &[Descriptor],
        needed: &BTreeSet<Digest>,
        report: &mut ExportReport,
    ) -> Result<BTreeMap<Digest, u64>, ArchiveError> {
        let mut linked = BTreeSet::new();
        for digest in needed {
            for part in graph.named_by(&Descriptor::new("", *digest, 0))? {
                if part.media_type.is_empty() {
                    linked.insert(part.digest);
                }
            }
        }
        // Files copied out of layers can be copied out again.
        let copies: BTreeSet<Digest> = needed.iter().flat_map(|digest| self.extracted_from(digest)).collect();
        let mut blobs = BTreeMap::new();
        for digest in needed {
            match self.blob_size(digest) {
                None if copies.contains(digest) => {}
                Some(size) => drop(blobs.insert(*digest, size)),
                None if linked.contains(digest) && entries.iter().all(|entry| entry.digest != *digest) => {
                    report.missing_models.push(*digest);
                }
                None => return Err(StoreError::BlobMissing { digest: *digest }.into()),
            }
        }
        Ok(blobs)
    }

    /// Gives the blob's bytes to `sink`, and fails at the end if they are not the right ones.
    fn pour(
        &self,
        digest: &Digest,
        size: u64,
        progress: &dyn Fn(u64),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let (file, path) = self.open_sized(&Descriptor::new("", *digest, size))?;
        let mut file = file.take(size);
        let mut buffer = vec![0; READ_BYTES];
        let mut hasher = Hasher::default();
        loop {
            let read = file.read(&mut buffer).map_err(StoreError::io("read blob"))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            sink(bytes)?;
            progress(u64::try_from(read).unwrap_or_default());
        }
        let found = hasher.finish();
        if found != *digest {
            let (digest, path) = (*digest, Some(path));
            return Err(StoreError::DigestMismatch { digest, found, path }.into());
        }
        Ok(())
    }
}

fn member(out: &mut dyn Write, path: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
    let size = u64::try_from(bytes.len()).unwrap_or_default();
    let header = file_header(path, size).map_err(ArchiveError::Write)?;
    for part in [header.as_bytes().as_slice(), bytes, &padding(size)] {
        out.write_all(part).map_err(ArchiveError::Write)?;
    }
    Ok(())
}
