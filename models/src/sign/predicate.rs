//! The shapes of well-known predicates: enough to tell a document from another, not a schema.

use serde_json::Value;

/// SLSA provenance, version 1.
const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// CycloneDX, with or without a version behind it.
const CYCLONE_DX: &str = "https://cyclonedx.org/bom";

/// Checks that `predicate` is not something else than its type says.
pub(super) fn check(predicate_type: &str, predicate: &Value) -> Result<(), String> {
    if predicate_type.is_empty() || predicate_type.len() > 512 || predicate_type.chars().any(char::is_control) {
        return Err("the type is not a URI".to_owned());
    }
    let text = |pointer: &str| predicate.pointer(pointer).is_some_and(Value::is_string);
    let needs = |pointer: &str, is_there: bool| is_there.then_some(()).ok_or_else(|| format!("it has no {pointer}"));
    if predicate_type == SLSA_PROVENANCE {
        needs("/buildDefinition/buildType", text("/buildDefinition/buildType"))?;
        needs("/runDetails/builder/id", text("/runDetails/builder/id"))?;
    } else if predicate_type == CYCLONE_DX || predicate_type.starts_with("https://cyclonedx.org/bom/") {
        let format = predicate.pointer("/bomFormat").and_then(Value::as_str);
        needs("/bomFormat CycloneDX", format == Some("CycloneDX"))?;
        needs("/specVersion", text("/specVersion"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_types_have_their_shape() {
        let slsa = json!({"buildDefinition": {"buildType": "a"}, "runDetails": {"builder": {"id": "b"}}});
        let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6"});
        assert_eq!(check(SLSA_PROVENANCE, &slsa), Ok(()));
        assert_eq!(check(CYCLONE_DX, &bom), Ok(()));
        assert_eq!(check("https://example.com/any", &json!(null)), Ok(()));
        assert!(check(SLSA_PROVENANCE, &bom).is_err());
        assert!(check("https://cyclonedx.org/bom/v1.6", &slsa).is_err());
        assert!(check("", &slsa).is_err());
    }
}
