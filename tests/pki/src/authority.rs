//! Certificate authorities: a root and an intermediate that issues, for signers (Fulcio) and for time stamps.

use der::oid::ObjectIdentifier;
use jiff::Timestamp;

use crate::certificate::{Template, authority_extensions};
use crate::key::Key;

/// A root and the intermediate below it.
#[derive(Debug)]
pub struct Authority {
    pub(crate) name: String,
    pub(crate) key: Key,
    /// Intermediate first, root last: DER.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Authority {
    /// Authorities that are valid from 2020 to 2040. `usage` restricts what the intermediate may certify.
    pub(crate) fn new(organisation: &str, usage: ObjectIdentifier) -> Self {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let (not_before, not_after) = (time("2020-01-01T00:00:00Z"), time("2040-01-01T00:00:00Z"));
        let root_name = format!("CN={organisation} root,O={organisation}");
        let name = format!("CN={organisation} intermediate,O={organisation}");
        let (root_key, key) = (Key::p256(), Key::p256());
        let root = Template {
            serial: 1,
            subject: &root_name,
            issuer: &root_name,
            not_before,
            not_after,
            spki: root_key.spki(),
            extensions: authority_extensions(1, None),
        };
        let intermediate = Template {
            serial: 2,
            subject: &name,
            issuer: &root_name,
            not_before,
            not_after,
            spki: key.spki(),
            extensions: authority_extensions(0, Some(usage)),
        };
        let chain = vec![intermediate.sign(&root_key), root.sign(&root_key)];
        Self { name, key, chain }
    }
}
