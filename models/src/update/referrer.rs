//! The manifests of updates: [`Shortcut`], what one says, written and read.

use crate::annotation;
use crate::descriptor::{Annotations, Descriptor};
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::media_type;

/// A way to one blob of the subject that may cost less than the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// A delta, to whom has the base.
    Delta {
        /// The blob that it needs.
        base: Digest,
        /// The blob that it makes.
        target: Digest,
    },
    /// A list of chunks, to whom has some of them.
    Chunks {
        /// The blob that is made of them.
        target: Digest,
    },
}

impl Shortcut {
    /// `artifactType` and the layer's media type.
    fn types(self) -> (&'static str, &'static str) {
        match self {
            Self::Delta { .. } => (media_type::DELTA_MANIFEST, media_type::DELTA),
            Self::Chunks { .. } => (media_type::CHUNKS_MANIFEST, media_type::CHUNKS),
        }
    }

    /// The media type of its layer.
    pub(crate) fn layer_type(self) -> &'static str {
        self.types().1
    }

    /// The manifest with `layer` that refers to `subject`. `config` is the empty one.
    pub(crate) fn manifest(self, subject: &Descriptor, config: Descriptor, layer: Descriptor) -> Manifest {
        let mut manifest = Manifest::new(config, vec![layer]);
        manifest.artifact_type = Some(self.types().0.to_owned());
        manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest, subject.size));
        manifest.annotations = self.annotations();
        manifest
    }

    fn annotations(self) -> Annotations {
        let entries = match self {
            Self::Delta { base, target } => vec![
                (annotation::DELTA_BASE, base.to_string()),
                (annotation::DELTA_TARGET, target.to_string()),
            ],
            Self::Chunks { target } => vec![(annotation::CHUNKS_TARGET, target.to_string())],
        };
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    /// What `annotations` of a referrer of this `kind` say; `None` when they say no such thing.
    pub(crate) fn of(kind: &str, annotations: &Annotations) -> Option<Self> {
        let digest = |key| annotations.get(key)?.parse().ok();
        match kind {
            media_type::DELTA_MANIFEST => Some(Self::Delta {
                base: digest(annotation::DELTA_BASE)?,
                target: digest(annotation::DELTA_TARGET)?,
            }),
            media_type::CHUNKS_MANIFEST => Some(Self::Chunks {
                target: digest(annotation::CHUNKS_TARGET)?,
            }),
            _ => None,
        }
    }

    /// What `manifest` offers its subject, and the layer that does it; `None` when it is no update.
    pub(crate) fn read(manifest: &Manifest) -> Option<(Self, &Descriptor)> {
        let shortcut = Self::of(manifest.kind(), &manifest.annotations)?;
        let [layer] = manifest.layers.as_slice() else {
            return None;
        };
        (layer.media_type == shortcut.layer_type()).then_some((shortcut, layer))
    }

    /// Whether a listed referrer may be an update, and if its annotations tell, of what. Some registries list the config's
    /// type instead of the artifact's, or no annotations: such an entry may be anything.
    pub(crate) fn listed(entry: &Descriptor) -> Listed {
        let kind = entry.artifact_type.as_deref().unwrap_or_default();
        let untold = kind.is_empty() || kind == media_type::EMPTY;
        let kinds = [media_type::DELTA_MANIFEST, media_type::CHUNKS_MANIFEST];
        let mut possible = kinds.into_iter().filter(|known| kind == *known || untold);
        match possible.find_map(|kind| Self::of(kind, &entry.annotations)) {
            Some(shortcut) => Listed::Told(shortcut),
            None if kinds.contains(&kind) || (untold && entry.annotations.is_empty()) => Listed::Unknown,
            None => Listed::Other,
        }
    }
}

/// What a list of referrers says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It is this.
    Told(Shortcut),
    /// It may be an update.
    Unknown,
    /// It is something else.
    Other,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shortcuts() -> [Shortcut; 2] {
        let (base, target) = (Digest::of(b"base"), Digest::of(b"target"));
        [Shortcut::Delta { base, target }, Shortcut::Chunks { target }]
    }

    fn manifest(shortcut: Shortcut) -> Manifest {
        let layer = Descriptor::of(shortcut.layer_type(), b"layer");
        let config = Descriptor::of(media_type::EMPTY, b"{}");
        shortcut.manifest(&Descriptor::of(media_type::MANIFEST, b"subject"), config, layer)
    }

    #[test]
    fn what_is_written_is_read() {
        for shortcut in shortcuts() {
            let manifest = manifest(shortcut);
            let (read, layer) = Shortcut::read(&manifest).unwrap();
            assert_eq!((read, layer.digest), (shortcut, Digest::of(b"layer")));
            assert_eq!(manifest.subject.unwrap().digest, Digest::of(b"subject"));
        }
    }

    #[test]
    fn what_does_not_fit_is_no_update() {
        let good = manifest(shortcuts()[0]);
        let mut two = good.clone();
        two.layers.push(two.layers[0].clone());
        let mut other_layer = good.clone();
        other_layer.layers[0].media_type = media_type::CHUNKS.to_owned();
        let mut no_base = good.clone();
        no_base.annotations.remove(annotation::DELTA_BASE);
        let mut bad_base = good.clone();
        bad_base
            .annotations
            .insert(annotation::DELTA_BASE.to_owned(), "sha256:../..".to_owned());
        for wrong in [two, other_layer, no_base, bad_base] {
            assert_eq!(Shortcut::read(&wrong), None);
        }
    }

    #[test]
    fn lists_are_read_whatever_the_registry_leaves_out() {
        let [delta, chunks] = shortcuts();
        let listed = |kind: &str, annotations: Annotations| {
            let mut entry = Descriptor::of(media_type::MANIFEST, b"referrer");
            entry.artifact_type = (!kind.is_empty()).then(|| kind.to_owned());
            entry.annotations = annotations;
            Shortcut::listed(&entry)
        };
        assert_eq!(
            listed(media_type::DELTA_MANIFEST, delta.annotations()),
            Listed::Told(delta)
        );
        assert_eq!(listed(media_type::EMPTY, chunks.annotations()), Listed::Told(chunks));
        assert_eq!(listed("", delta.annotations()), Listed::Told(delta));
        assert_eq!(listed(media_type::CHUNKS_MANIFEST, Annotations::new()), Listed::Unknown);
        assert_eq!(listed("", Annotations::new()), Listed::Unknown);
        assert_eq!(listed(media_type::SIGSTORE_BUNDLE, Annotations::new()), Listed::Other);
        assert_eq!(listed(media_type::SIGSTORE_BUNDLE, delta.annotations()), Listed::Other);
        let signature = Annotations::from([(annotation::BUNDLE_CONTENT.to_owned(), "x".to_owned())]);
        assert_eq!(listed("", signature), Listed::Other);
    }
}
