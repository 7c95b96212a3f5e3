//! Import: every byte is hashed again, every artifact must be complete, and only then are names and signatures added.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::tape::Tape;
use super::{ArchiveError, POLICY, TRUSTED_ROOT};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index};
use crate::reference::Reference;
use crate::store::graph::{Graph, Role};
use crate::store::tags::referrers_subject;
use crate::store::{Store, StoreError};
use crate::verify::legacy_subject;

const READ_BYTES: usize = 256 << 10;
/// Largest `index.json` that is read.
const MAX_INDEX_BYTES: u64 = 32 << 20;
/// Largest of the other small members.
const MAX_EXTRA_BYTES: u64 = 4 << 20;
/// Bytes of members that mean nothing here, together.
const MAX_UNKNOWN_BYTES: u64 = 64 << 20;

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name of the one artifact in it, instead of those that the archive gives.
    pub name: Option<Reference>,
    /// Most bytes of the whole archive; `None` for what fits on the disk.
    pub max_bytes: Option<u64>,
}

/// What an import did. Nothing of it is trusted more than before: the policy judges when it is used.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// Artifacts with their names.
    pub tagged: Vec<(Reference, Descriptor)>,
    /// Artifacts whose names are none here; they can be used by digest.
    pub untagged: Vec<Descriptor>,
    /// Signatures and other referrers added.
    pub referrers: usize,
    /// Blobs written.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Content of `dunlin/trusted_root.json`.
    pub trusted_root: Option<Vec<u8>>,
    /// Content of `dunlin/policy.yaml`.
    pub policy: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl Store {
    /// Reads an OCI image layout from a tar stream into the store. `progress` gets the number of bytes of each step.
    ///
    /// # Errors
    /// When the archive is broken, hostile, incomplete or too large, or the store cannot take it. No tag is changed then;
    /// blobs that were whole stay until the next garbage collection.
    pub fn import_tar(
        &self,
        input: &mut dyn Read,
        options: &ImportOptions,
        progress: &dyn Fn(u64),
    ) -> Result<ImportReport, ArchiveError> {
        // Keeps the garbage collector out until tags name what came.
        let _gate = self.share_gate()?;
        let mut import = Import::new(self, options, progress);
        let mut tape = Tape::with_end(input);
        while let Some(member) = tape.next_member()? {
            import.member(&member.path, member.size, &mut tape)?;
        }
        import.finish()
    }

    /// The same from a folder.
    ///
    /// # Errors
    /// As [`Store::import_tar`], and when the folder is no image layout.
    pub fn import_layout(
        &self,
        folder: &Path,
        options: &ImportOptions,
        progress: &dyn Fn(u64),
    ) -> Result<ImportReport, ArchiveError> {
        let layout = Store::open_layout(folder)?;
        let _gate = self.share_gate()?;
        let mut import = Import::new(self, options, progress);
        let blobs = fs_err::read_dir(layout.blobs_path()).map_err(ArchiveError::Layout)?;
        let mut paths = vec!["oci-layout".to_owned(), "index.json".to_owned()];
        for blob in blobs {
            let name = blob.map_err(ArchiveError::Layout)?.file_name();
            paths.push(format!("blobs/sha256/{}", name.to_string_lossy()));
        }
        paths.extend([TRUSTED_ROOT, POLICY].map(str::to_owned));
        for path in paths {
            let file = crate::store::blob::open_plain(&folder.join(&path));
            let mut file = match file {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                file => file.map_err(ArchiveError::Layout)?,
            };
            let metadata = file.metadata().map_err(ArchiveError::Layout)?;
            if metadata.is_file() {
                import.member(&path, metadata.len(), &mut file)?;
            }
        }
        import.finish()
    }
}

struct Import<'a> {
    store: &'a Store,
    options: &'a ImportOptions,
    progress: &'a dyn Fn(u64),
    total: u64,
    unknown: u64,
    layout: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    report: ImportReport,
}

impl<'a> Import<'a> {
    fn new(store: &'a Store, options: &'a ImportOptions, progress: &'a dyn Fn(u64)) -> Self {
        Self {
            store,
            options,
            progress,
            total: 0,
            unknown: 0,
            layout: None,
            index: None,
            report: ImportReport::default(),
        }
    }

    fn member(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.total = self.total.saturating_add(size);
        if let Some(limit) = self.options.max_bytes.filter(|limit| self.total > *limit) {
            return Err(ArchiveError::TooLarge { limit });
        }
        if let Some(name) = path.strip_prefix("blobs/sha256/") {
            let digest = format!("sha256:{name}").parse::<Digest>();
            return match digest {
                Ok(digest) => self.blob(digest, size, content),
                Err(_) => self.skip(size),
            };
        }
        let slot = match path {
            "oci-layout" => &mut self.layout,
            "index.json" => &mut self.index,
            TRUSTED_ROOT => &mut self.report.trusted_root,
            POLICY => &mut self.report.policy,
            _ => return self.skip(size),
        };
        let limit = if path == "index.json" {
            MAX_INDEX_BYTES
        } else {
            MAX_EXTRA_BYTES
        };
        if size > limit {
            let member = path.to_owned();
            return Err(ArchiveError::MemberTooLarge { member, size, limit });
        }
        let mut bytes = Vec::new();
        content
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(ArchiveError::Layout)?;
        *slot = Some(bytes);
        Ok(())
    }

    fn skip(&mut self, size: u64) -> Result<(), ArchiveError> {
        self.unknown = self.unknown.saturating_add(size);
        let limit = MAX_UNKNOWN_BYTES;
        (self.unknown <= limit)
            .then_some(())
            .ok_or(ArchiveError::TooLarge { limit })
    }

    fn blob(&mut self, digest: Digest, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.store.check_space(size, 0)?;
        let mut ingest = self.store.ingest(size)?;
        let mut buffer = vec![0; READ_BYTES];
        let mut content = content.take(size);
        loop {
            let read = content.read(&mut buffer).map_err(ArchiveError::Layout)?;
            if read == 0 {
                break;
            }
            ingest.write(buffer.get(..read).unwrap_or_default())?;
            (self.progress)(u64::try_from(read).unwrap_or_default());
        }
        ingest
            .finish(&Descriptor::new("", digest, size))
            .map_err(|error| match error {
                StoreError::DigestMismatch { digest, found, .. } => ArchiveError::WrongBlob { digest, found },
                error => error.into(),
            })?;
        self.report.blobs += 1;
        self.report.bytes = self.report.bytes.saturating_add(size);
        Ok(())
    }

    fn finish(mut self) -> Result<ImportReport, ArchiveError> {
        let member = "oci-layout";
        let layout = self.layout.take().ok_or(ArchiveError::MissingMember { member })?;
        let layout: LayoutFile =
            serde_json::from_slice(&layout).map_err(|source| ArchiveError::Invalid { member, source })?;
        if layout.image_layout_version != "1.0.0" {
            let path = member.into();
            return Err(StoreError::LayoutVersion { path }.into());
        }
        let member = "index.json";
        let index = self.index.take().ok_or(ArchiveError::MissingMember { member })?;
        let index: Index = serde_json::from_slice(&index).map_err(|source| ArchiveError::Invalid { member, source })?;
        self.check_complete(&index)?;
        for entry in index.manifests {
            self.entry(entry)?;
        }
        Ok(self.report)
    }

    /// Every part of every artifact must be there; linked models need not.
    fn check_complete(&self, index: &Index) -> Result<(), ArchiveError> {
        let mut graph = Graph::new(self.store, index);
        let mut seen = std::collections::BTreeSet::new();
        let mut queue: Vec<_> = index
            .manifests
            .iter()
            .map(|entry| (entry.clone(), entry.digest))
            .collect();
        while let Some((part, needed_by)) = queue.pop() {
            let is_link = part.media_type.is_empty();
            match self.store.blob_size(&part.digest) {
                Some(size) if is_link || size == part.size => {}
                None if is_link => continue,
                _ => {
                    let digest = part.digest;
                    return Err(ArchiveError::Incomplete { digest, needed_by });
                }
            }
            if seen.insert((part.digest, Role::of(&part))) {
                let named = graph.named_by(&part)?.iter();
                queue.extend(named.map(|named| (named.clone(), part.digest)));
            }
        }
        Ok(())
    }

    fn entry(&mut self, mut entry: Descriptor) -> Result<(), ArchiveError> {
        let name = entry.annotations.remove(annotation::REF_NAME);
        // Said for other readers of the layout.
        entry.annotations.remove("kind");
        let bytes = self.store.read_document(&entry)?;
        let digest = entry.digest;
        let document = Document::parse(&bytes).map_err(|source| ArchiveError::NotADocument { digest, source })?;
        if let (Some(subject), Document::Index(list)) = (name.as_deref().and_then(referrers_subject), &document) {
            for referrer in &list.manifests {
                self.store.add_referrer(&subject, referrer)?;
                self.report.referrers += 1;
            }
            return Ok(());
        }
        if let Some(subject) = document.subject() {
            entry.artifact_type = document.artifact_type().map(str::to_owned);
            self.store.add_referrer(&subject.digest, &entry)?;
            self.report.referrers += 1;
            return Ok(());
        }
        if let Some((subject, tag)) = name.as_deref().and_then(legacy_subject) {
            let referrer = entry.annotated(annotation::LEGACY_TAG, tag);
            self.store.add_referrer(&subject, &referrer)?;
            self.report.referrers += 1;
            return Ok(());
        }
        let given = self.options.name.clone().filter(|_| self.report.tagged.is_empty());
        // A bare word is a tag of an artifact whose name the archive does not give.
        let stated = name
            .filter(|name| name.contains([':', '/']))
            .and_then(|name| name.parse().ok());
        let reference: Option<Reference> = if self.options.name.is_some() { given } else { stated };
        match reference.filter(|reference| reference.digest().is_none()) {
            Some(reference) => {
                self.store.tag(&reference, &entry)?;
                self.report.tagged.push((reference, entry));
            }
            None => self.report.untagged.push(entry),
        }
        Ok(())
    }
}
