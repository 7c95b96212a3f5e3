//! Executing a plan: behind the closed gate, what is needed is marked once more, and only what the plan names and nobody
//! needs is removed.

use std::collections::BTreeSet;

use super::plan::roots;
use super::{GcPlan, GcReport};
use crate::annotation;
use crate::manifest::Index;
use crate::store::graph::Graph;
use crate::store::{Store, StoreError, partial};

impl Store {
    /// Does what `plan` says, as far as it is still true. Leases and tags made meanwhile are respected; whoever makes one
    /// waits until this is over.
    ///
    /// # Errors
    /// When something that is needed cannot be read, or a file cannot be removed.
    pub fn execute_gc(&self, plan: &GcPlan) -> Result<GcReport, StoreError> {
        let _gate = self.close_gate()?;
        let _lock = self.lock_index()?;
        let mut report = GcReport::default();
        let holds = self.holds()?;
        let mut index = self.read_index()?;
        let before = index.manifests.len();
        index.manifests.retain(|entry| {
            let name = entry.annotations.get(annotation::REF_NAME).cloned().unwrap_or_default();
            let is_planned = plan
                .evict
                .iter()
                .any(|(evicted, digest)| *evicted == name && *digest == entry.digest);
            let goes = is_planned && !holds.pins.contains_key(&name);
            if goes {
                report.evicted.push(name);
            }
            !goes
        });
        let mut graph = Graph::new(self, &index);
        let kept = graph.closure(roots(&index, &holds, &BTreeSet::new()))?;
        drop_lists(&mut index, plan, &kept);
        if index.manifests.len() != before {
            self.write_index(&index)?;
        }
        let files = self.blob_files(plan.options.grace)?;
        for (digest, _) in &plan.blobs {
            let Some(found) = files
                .get(digest)
                .filter(|found| !found.is_young && !kept.contains(digest))
            else {
                continue;
            };
            fs_err::remove_file(self.blob_path(digest)).map_err(StoreError::io("remove blob"))?;
            report.blobs += 1;
            report.freed_bytes = report.freed_bytes.saturating_add(found.size);
        }
        for path in &plan.files {
            self.remove_other(path, &mut report)?;
        }
        Ok(report)
    }

    /// Removes a file that is no blob, unless somebody holds it.
    fn remove_other(&self, path: &std::path::Path, report: &mut GcReport) -> Result<(), StoreError> {
        let is_ours = path.starts_with(self.root());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(file) = crate::store::blob::open_plain(path) else {
            return Ok(());
        };
        // The journal goes with its blob, whose lock stands for both.
        let blob = name
            .strip_suffix(partial::JOURNAL_SUFFIX)
            .filter(|_| name.starts_with(partial::PREFIX));
        let holder = blob.and_then(|blob| crate::store::blob::open_plain(&path.with_file_name(blob)).ok());
        let is_free = holder.as_ref().unwrap_or(&file).file().try_lock().is_ok();
        if !is_ours || !is_free {
            return Ok(());
        }
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        fs_err::remove_file(path).map_err(StoreError::io("remove file"))?;
        report.files += 1;
        report.freed_bytes = report.freed_bytes.saturating_add(size);
        Ok(())
    }
}

/// Forgets lists of referrers whose subject nobody needs.
fn drop_lists(index: &mut Index, plan: &GcPlan, kept: &BTreeSet<crate::digest::Digest>) {
    index.manifests.retain(|entry| {
        let name = entry.annotations.get(annotation::REF_NAME);
        let subject = name.and_then(|name| crate::store::tags::referrers_subject(name));
        let is_planned = name.is_some_and(|name| plan.lists.contains(name));
        !(is_planned && subject.is_some_and(|subject| !kept.contains(&subject)))
    });
}
