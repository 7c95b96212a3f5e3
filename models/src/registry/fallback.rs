//! The list of referrers under the tag `sha256-<hex>` (distribution-spec, "Referrers Tag Schema"): read, added to, and
//! written back. Entries of others are kept byte for byte in meaning, fields that are not known here included.

use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{MAX_DOCUMENT_BYTES, MAX_ENTRIES};
use crate::media_type;

/// Times that the list is written again because somebody else has written it in between.
const ATTEMPTS: usize = 4;

impl Remote {
    /// Adds what is missing of `referrers` to the list of `subject`. There is no lock at a registry: afterwards the list
    /// is read again, and written again if entries were lost.
    pub(super) async fn list_referrers(
        &self,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), TransportError> {
        let tag = subject.referrers_tag();
        for _ in 0..ATTEMPTS {
            let mut list = self.fallback_list(&tag).await?;
            if !add(&mut list, referrers).map_err(|reason| self.unusable(&tag, reason))? {
                return Ok(());
            }
            let bytes = serde_json::to_vec(&list).map_err(|error| self.unusable(&tag, error.to_string()))?;
            if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_DOCUMENT_BYTES) {
                return Err(self.unusable(&tag, "the list of referrers is full".to_owned()));
            }
            self.put_manifest(&tag, media_type::INDEX, &bytes).await?;
        }
        Err(self.unusable(&tag, "others keep overwriting the list of referrers".to_owned()))
    }

    async fn fallback_list(&self, tag: &str) -> Result<Map<String, Value>, TransportError> {
        let bytes = match self.manifest(tag, MAX_DOCUMENT_BYTES).await {
            Ok(fetched) => fetched.bytes,
            Err(error) if error.status() == Some(404) => return Ok(empty()),
            Err(error) => return Err(error),
        };
        let parsed = serde_json::from_slice::<Map<String, Value>>(&bytes);
        let list = parsed.map_err(|error| self.unusable(tag, error.to_string()))?;
        match list.get("manifests") {
            Some(Value::Array(_) | Value::Null) => Ok(list),
            _ => Err(self.unusable(tag, "it is not a list of referrers".to_owned())),
        }
    }

    fn unusable(&self, tag: &str, reason: String) -> TransportError {
        TransportError::Protocol {
            url: format!("{}{}/manifests/{tag}", self.endpoint.base, self.repository),
            reason,
        }
    }
}

fn empty() -> Map<String, Value> {
    let mut list = Map::new();
    list.insert("schemaVersion".to_owned(), json!(2));
    list.insert("mediaType".to_owned(), json!(media_type::INDEX));
    list.insert("manifests".to_owned(), json!([]));
    list
}

/// Adds those of `referrers` that are not listed; returns whether there were any.
fn add(list: &mut Map<String, Value>, referrers: &[Descriptor]) -> Result<bool, String> {
    let entry = list.entry("manifests").or_insert_with(|| json!([]));
    if entry.is_null() {
        *entry = json!([]);
    }
    let entries = entry.as_array_mut().ok_or("it is not a list of referrers")?;
    let before = entries.len();
    for referrer in referrers {
        let digest = referrer.digest.to_string();
        let is_listed = |entry: &Value| entry.get("digest").and_then(Value::as_str) == Some(&digest);
        if !entries.iter().any(is_listed) {
            entries.push(serde_json::to_value(referrer).map_err(|error| error.to_string())?);
        }
    }
    if entries.len() > before && entries.len() > MAX_ENTRIES {
        return Err(format!("the list of referrers is full: it has {before} entries"));
    }
    Ok(entries.len() > before)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn entries_of_others_stay_as_they_are() {
        let foreign = json!({"mediaType": "a/b", "digest": "sha512:ff", "size": 1, "data": "e30=",
            "annotations": {"k": "v"}, "urls": ["https://registry.example"]});
        let mut list = empty();
        list.insert("manifests".to_owned(), json!([foreign]));
        list.insert("annotations".to_owned(), json!({"kept": "yes"}));
        let ours = Descriptor::of(media_type::MANIFEST, b"x").annotated("a", "b");
        assert!(add(&mut list, std::slice::from_ref(&ours)).unwrap());
        assert!(!add(&mut list, std::slice::from_ref(&ours)).unwrap());
        assert_eq!(list["manifests"][0], foreign);
        assert_eq!(list["manifests"][1]["annotations"]["a"], "b");
        assert_eq!(list["annotations"]["kept"], "yes");
    }

    #[test]
    fn full_lists_are_not_added_to() {
        let mut list = empty();
        list.insert("manifests".to_owned(), json!(vec![json!({}); MAX_ENTRIES]));
        assert!(add(&mut list, &[Descriptor::of("a/b", b"x")]).is_err());
        let mut none = Map::new();
        none.insert("manifests".to_owned(), Value::Null);
        assert!(add(&mut none, &[Descriptor::of("a/b", b"x")]).unwrap());
    }
}
