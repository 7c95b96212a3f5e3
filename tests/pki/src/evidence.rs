//! The evidence that goes with a signature: log entries and time stamps, right or wrong as the case wants them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::body::{Logged, Verifier};
use crate::case::Case;
use crate::flaw::Flaw;
use crate::key::{Key, sha256};
use crate::log::Generation;
use crate::stamp::Style;

impl Case<'_> {
    pub(crate) fn entries(&self, logged: &Logged) -> Vec<Value> {
        let Some(generation) = self.generation else {
            return Vec::new();
        };
        let authorities = if self.is(Flaw::ForeignLog) {
            &self.pki.foreign
        } else {
            &self.pki.own
        };
        let mut logged = logged.clone();
        match self.flaw {
            Some(Flaw::EntryOtherCertificate) => {
                logged.verifier = Verifier::Certificate(self.certificate(&Key::p256()));
            }
            Some(Flaw::EntryOtherSignature) => logged.signature = Key::p256().sign(b"something else"),
            Some(Flaw::EntryOtherDigest) => {
                logged.digest = sha256(b"something else");
                logged.payload = logged.payload.map(|_| b"something else".to_vec());
            }
            _ => {}
        }
        let (kind, body) = logged.body(generation);
        let integrated = match self.flaw {
            Some(Flaw::IntegratedTimeInFuture) => Timestamp::now() + SignedDuration::from_hours(1),
            _ => self.pki.signed_at,
        };
        let log = authorities.log(generation);
        let v1 = generation == Generation::V1;
        let mut entry = log.entry(kind, &body, v1.then(|| integrated.as_second()), !self.is(Flaw::NoTime));
        if self.is(Flaw::SetOverOtherBody) {
            let set = log.signed_entry_timestamp(b"{}", integrated.as_second(), 1_005);
            entry["inclusionPromise"]["signedEntryTimestamp"] = json!(STANDARD.encode(set));
        }
        vec![entry]
    }

    pub(crate) fn stamps(&self, signature: &[u8]) -> Vec<Value> {
        let wanted = self.stamped || self.is(Flaw::IntegratedTimeAfterCertificate);
        if !wanted || self.is(Flaw::NoTime) {
            return Vec::new();
        }
        let at = self.pki.signed_at;
        let inside = self.not_before() + SignedDuration::from_mins(5);
        let times = match self.flaw {
            Some(Flaw::StampAfterCertificate) => vec![at],
            Some(Flaw::StampAfterAuthorityCertificate) => vec![Timestamp::now()],
            Some(Flaw::SecondStampAfterCertificate) => vec![inside, at],
            Some(Flaw::IntegratedTimeAfterCertificate) => vec![inside],
            _ => vec![at],
        };
        let tsa = match self.flaw {
            Some(Flaw::StampByForeignAuthority) => &self.pki.foreign.tsa,
            Some(Flaw::StampWrongUsage) => &self.pki.own.wrong_usage,
            Some(Flaw::StampAfterAuthorityCertificate) => &self.pki.own.expired,
            _ if self.expired_tsa => &self.pki.own.expired,
            _ => &self.pki.own.tsa,
        };
        let style = if self.is(Flaw::FractionalStamp) {
            Style::Fractional
        } else {
            self.style
        };
        let over = if self.is(Flaw::StampOfOtherSignature) {
            b"something else"
        } else {
            signature
        };
        times
            .into_iter()
            .map(|at| tsa.stamp(over, at, style))
            .map(|token| json!({ "signedTimestamp": STANDARD.encode(token) }))
            .collect()
    }
}
