//! Which blob of an older version a new blob comes after: the one under the same path, else at the same place.

use crate::annotation;
use crate::descriptor::Descriptor;
use crate::manifest::Manifest;

/// The manifests of one artifact: of a bundle several, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version(pub(crate) Vec<Manifest>);

/// The blob of `older` that layer `layer` of manifest `manifest` of `newer` comes after. Of manifests of the same kind, the
/// one at the same place is looked at first.
pub(crate) fn counterpart<'a>(
    newer: &Version,
    manifest: usize,
    layer: usize,
    older: &'a Version,
) -> Option<&'a Descriptor> {
    let new = newer.0.get(manifest)?;
    let wanted = new.layers.get(layer)?;
    let ordinal = newer
        .0
        .iter()
        .take(manifest)
        .filter(|other| other.kind() == new.kind())
        .count();
    let of_kind = || older.0.iter().filter(|other| other.kind() == new.kind());
    let at_place = of_kind().nth(ordinal);
    let by_path = path(wanted).and_then(|wanted| {
        let mut layers = at_place.into_iter().chain(of_kind()).flat_map(|other| &other.layers);
        layers.find(|candidate| path(candidate) == Some(wanted))
    });
    by_path.or_else(|| {
        let candidate = at_place?.layers.get(layer)?;
        (candidate.media_type == wanted.media_type).then_some(candidate)
    })
}

/// The path of the file that a layer is.
fn path(layer: &Descriptor) -> Option<&str> {
    let keys = [
        annotation::MODEL_FILEPATH,
        annotation::MODEL_FILEPATH_OLD,
        annotation::TITLE,
    ];
    keys.into_iter()
        .find_map(|key| layer.annotations.get(key))
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type;

    fn layer(kind: &str, path: Option<&str>, content: &[u8]) -> Descriptor {
        let layer = Descriptor::of(kind, content);
        match path {
            Some(path) => layer.annotated(annotation::MODEL_FILEPATH, path),
            None => layer,
        }
    }

    fn manifest(kind: &str, layers: Vec<Descriptor>) -> Manifest {
        let mut manifest = Manifest::new(Descriptor::of(media_type::EMPTY, b"{}"), layers);
        manifest.artifact_type = Some(kind.to_owned());
        manifest
    }

    #[test]
    fn paths_come_before_places() {
        let older = Version(vec![manifest(
            "m",
            vec![
                layer("w", Some("b"), b"1"),
                layer("w", Some("a"), b"2"),
                layer("w", None, b"3"),
            ],
        )]);
        let newer = Version(vec![manifest(
            "m",
            vec![
                layer("w", Some("a"), b"4"),
                layer("w", Some("c"), b"5"),
                layer("x", None, b"6"),
            ],
        )]);
        let content = |place| counterpart(&newer, 0, place, &older).map(|found| found.digest);
        assert_eq!(content(0), Some(crate::Digest::of(b"2")));
        assert_eq!(content(1), Some(crate::Digest::of(b"2")));
        assert_eq!(content(2), None, "another media type");
        assert_eq!(content(3), None, "no such layer");
    }

    #[test]
    fn manifests_of_a_bundle_are_paired_by_kind() {
        let older = Version(vec![
            manifest("wasm", vec![layer("w", None, b"0")]),
            manifest("m", vec![layer("w", Some("a"), b"1")]),
            manifest("m", vec![layer("w", Some("a"), b"2")]),
        ]);
        let newer = Version(vec![
            manifest("m", vec![layer("w", Some("a"), b"3")]),
            manifest("m", vec![layer("w", Some("a"), b"4")]),
            manifest("m", vec![layer("w", Some("a"), b"5")]),
            manifest("other", vec![layer("w", Some("a"), b"6")]),
        ]);
        let content = |manifest| counterpart(&newer, manifest, 0, &older).map(|found| found.digest);
        let expected = [b"1", b"2", b"1"].map(|content| Some(crate::Digest::of(content)));
        assert_eq!([content(0), content(1), content(2)], expected);
        assert_eq!(content(3), None);
    }
}
