//! [`ExternalData`]: tensors whose data lies in files beside the model. Only files that came with the model are read, by
//! exact name; the file system is never touched.

use std::collections::BTreeMap;

use tract_onnx::pb::{self, tensor_proto::DataLocation};

use super::PrepareError;
use crate::backend::ModelBytes;

/// The files that came with a model.
pub(super) struct ExternalData<'a> {
    files: Option<&'a BTreeMap<String, ModelBytes>>,
}

impl<'a> ExternalData<'a> {
    pub(super) fn new(files: &'a BTreeMap<String, ModelBytes>) -> Self {
        Self { files: Some(files) }
    }

    /// Refuses every reference: for tensors that stand alone.
    pub(super) fn refused() -> Self {
        Self { files: None }
    }

    /// The bytes of `tensor`, when they lie in another file.
    pub(super) fn resolve(&self, tensor: &pb::TensorProto) -> Result<Option<&'a [u8]>, PrepareError> {
        if tensor.data_location != Some(DataLocation::External as i32) {
            return Ok(None);
        }
        let name = || tensor.name.clone();
        let files = self
            .files
            .ok_or_else(|| PrepareError::ExternalRefused { tensor: name() })?;
        let entry = |key: &str| {
            tensor
                .external_data
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &*entry.value)
        };
        let location = entry("location").unwrap_or_default();
        if !is_plain_relative(location) {
            return Err(PrepareError::ExternalName {
                tensor: name(),
                location: location.chars().take(256).collect(),
            });
        }
        let plain = location.strip_prefix("./").unwrap_or(location);
        let file: &[u8] = match files.get(plain) {
            Some(file) => (**file).as_ref(),
            None => {
                return Err(PrepareError::ExternalMissing {
                    tensor: name(),
                    location: plain.to_owned(),
                });
            }
        };
        let outside = || PrepareError::ExternalRange {
            tensor: name(),
            location: plain.to_owned(),
            file_bytes: file.len(),
        };
        let number = |key: &str| entry(key).map(str::parse::<usize>).transpose().map_err(|_| outside());
        let tail = file.get(number("offset")?.unwrap_or(0)..).ok_or_else(outside)?;
        match number("length")? {
            Some(length) => tail.get(..length).map(Some).ok_or_else(outside),
            None => Ok(Some(tail)),
        }
    }
}

/// The file that `tensor` lies in, where it is another one and has a name that may be looked up.
pub(super) fn location(tensor: &pb::TensorProto) -> Option<&str> {
    if tensor.data_location != Some(DataLocation::External as i32) {
        return None;
    }
    let entry = tensor.external_data.iter().find(|entry| entry.key == "location")?;
    is_plain_relative(&entry.value).then(|| entry.value.strip_prefix("./").unwrap_or(&entry.value))
}

fn is_plain_relative(location: &str) -> bool {
    let location = location.strip_prefix("./").unwrap_or(location);
    !location.is_empty()
        && location.len() <= 256
        && !location.contains(['\\', '\0', ':'])
        && location.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;

    fn tensor(entries: &[(&str, &str)]) -> pb::TensorProto {
        let entry = |&(key, value): &(&str, &str)| pb::StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        pb::TensorProto {
            name: "w".into(),
            data_location: Some(DataLocation::External as i32),
            external_data: entries.iter().map(entry).collect(),
            ..Default::default()
        }
    }

    fn files() -> BTreeMap<String, ModelBytes> {
        BTreeMap::from([("w.bin".to_owned(), Arc::new(vec![1_u8, 2, 3, 4]) as ModelBytes)])
    }

    #[test]
    fn ranges_are_cut_from_the_named_file() {
        let files = files();
        let external = ExternalData::new(&files);
        let bytes = |entries: &[(&str, &str)]| external.resolve(&tensor(entries)).unwrap().unwrap().to_vec();
        assert_eq!(bytes(&[("location", "w.bin")]), [1, 2, 3, 4]);
        assert_eq!(
            bytes(&[("location", "./w.bin"), ("offset", "1"), ("length", "2")]),
            [2, 3]
        );
        assert_eq!(bytes(&[("location", "w.bin"), ("offset", "4")]), [] as [u8; 0]);
        assert!(external.resolve(&pb::TensorProto::default()).unwrap().is_none());
    }

    #[test]
    fn places_outside_the_model_are_refused() {
        let files = files();
        let external = ExternalData::new(&files);
        let error = |entries: &[(&str, &str)]| external.resolve(&tensor(entries)).unwrap_err();
        for location in [
            "",
            "/etc/passwd",
            "../w.bin",
            "a/../w.bin",
            "a//b",
            "C:\\w.bin",
            ".",
            "./",
        ] {
            assert!(
                matches!(error(&[("location", location)]), PrepareError::ExternalName { .. }),
                "{location}"
            );
        }
        assert!(matches!(error(&[]), PrepareError::ExternalName { .. }));
        assert!(matches!(
            error(&[("location", "other.bin")]),
            PrepareError::ExternalMissing { .. }
        ));
        for (key, value) in [("offset", "5"), ("length", "5"), ("offset", "-1"), ("length", "x")] {
            let error = error(&[("location", "w.bin"), (key, value)]);
            assert!(
                matches!(error, PrepareError::ExternalRange { file_bytes: 4, .. }),
                "{key}={value}"
            );
        }
        let huge = usize::MAX.to_string();
        assert!(matches!(
            error(&[("location", "w.bin"), ("offset", "1"), ("length", &huge)]),
            PrepareError::ExternalRange { .. }
        ));
        let alone = ExternalData::refused().resolve(&tensor(&[("location", "w.bin")]));
        assert!(matches!(alone, Err(PrepareError::ExternalRefused { .. })));
    }
}
