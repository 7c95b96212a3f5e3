//! All authorities together, twice: the trusted ones, and a foreign set that nobody trusts.

use jiff::{SignedDuration, Timestamp};
use x509_cert::ext::Extension;

use crate::authority::Authority;
use crate::case::Case;
use crate::certificate::{CODE_SIGNING, SERVER_AUTH, TIME_STAMPING, Template, identity_extensions, leaf_extensions};
use crate::ct::CtLog;
use crate::flaw::Flaw;
use crate::identity::Identity;
use crate::key::Key;
use crate::log::{Generation, Log};
use crate::stamp::TimestampAuthority;

/// How a certificate is issued.
#[derive(Debug, Default)]
pub(crate) struct Issue<'a> {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) foreign: Option<&'a Authorities>,
    pub(crate) sct_extensions: &'a [u8],
}

/// One set of authorities.
#[derive(Debug)]
pub struct Authorities {
    /// Issues certificates to signers.
    pub fulcio: Authority,
    /// Logs those certificates.
    pub ct: CtLog,
    /// Logs signatures, with times.
    pub rekor_v1: Log,
    /// Logs signatures.
    pub rekor_v2: Log,
    /// Stamps times.
    pub tsa: TimestampAuthority,
    /// Would, were it certified for it.
    pub(crate) wrong_usage: TimestampAuthority,
    /// Stamped times until a minute ago, when its certificate expired.
    pub(crate) expired: TimestampAuthority,
}

impl Authorities {
    fn new(organisation: &str) -> Self {
        let far = "2040-01-01T00:00:00Z".parse().expect("a time");
        let tsa = |usage, not_after| TimestampAuthority::new(organisation, usage, not_after);
        Self {
            fulcio: Authority::new(organisation, CODE_SIGNING),
            ct: CtLog::new(),
            rekor_v1: Log::v1(&format!("rekor.{organisation}.test - 4711")),
            rekor_v2: Log::v2(&format!("log.{organisation}.test")),
            tsa: tsa(TIME_STAMPING, far),
            wrong_usage: tsa(SERVER_AUTH, far),
            expired: tsa(TIME_STAMPING, Timestamp::now() - SignedDuration::from_mins(1)),
        }
    }

    pub(crate) fn log(&self, generation: Generation) -> &Log {
        match generation {
            Generation::V1 => &self.rekor_v1,
            Generation::V2 => &self.rekor_v2,
        }
    }

    /// A certificate for the key `spki`, valid for ten minutes from `not_before`, with an embedded SCT.
    #[must_use]
    pub fn certify(&self, spki: &[u8], identity: &Identity, not_before: Timestamp) -> Vec<u8> {
        self.issue(spki, identity, not_before, &Issue::default())
    }

    pub(crate) fn issue(&self, spki: &[u8], identity: &Identity, not_before: Timestamp, how: &Issue<'_>) -> Vec<u8> {
        let flaw = how.flaw;
        let usage = if flaw == Some(Flaw::WrongUsage) {
            SERVER_AUTH
        } else {
            CODE_SIGNING
        };
        let mut extensions: Vec<Extension> = leaf_extensions(usage, false);
        extensions.extend(identity_extensions(identity));
        let mut template = Template {
            serial: 4711,
            subject: "",
            issuer: &self.fulcio.name,
            not_before,
            not_after: not_before + SignedDuration::from_mins(10),
            spki: spki.to_vec(),
            extensions,
        };
        let foreign = how.foreign.unwrap_or(self);
        let ct = if flaw == Some(Flaw::ForeignCtLog) {
            &foreign.ct
        } else {
            &self.ct
        };
        let issuer = if flaw == Some(Flaw::SctForOtherIssuer) {
            &foreign.fulcio
        } else {
            &self.fulcio
        };
        if flaw != Some(Flaw::NoSct) {
            let sct = ct.sct(
                &template,
                &self.fulcio.key,
                &issuer.key.spki(),
                not_before,
                how.sct_extensions,
            );
            template.extensions.push(sct);
        }
        template.sign(&self.fulcio.key)
    }
}

/// The test PKI. Making one takes about a dozen key pairs; tests of one file share it.
#[derive(Debug)]
pub struct Pki {
    /// What the trusted root names.
    pub own: Authorities,
    /// What it does not name.
    pub foreign: Authorities,
    pub(crate) signed_at: Timestamp,
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Pki {
    /// Fresh keys throughout. Signatures are made five minutes ago.
    #[must_use]
    pub fn new() -> Self {
        let seconds = Timestamp::now().as_second() - 300;
        Self {
            own: Authorities::new("dunlin"),
            foreign: Authorities::new("foreign"),
            signed_at: Timestamp::from_second(seconds).expect("a time"),
        }
    }

    /// When signatures are made, in whole seconds.
    #[must_use]
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// `trusted_root.json`.
    #[must_use]
    pub fn root_json(&self) -> Vec<u8> {
        crate::root::trusted_root(&self.own, None).to_string().into_bytes()
    }

    /// A signature to be made: keyless by [`Identity::workflow`], an in-toto statement, logged in Rekor v2 and stamped.
    #[must_use]
    pub fn case(&self) -> Case<'_> {
        Case::new(self)
    }

    /// The usual signature with one flaw, in the generation and form that can have it.
    #[must_use]
    pub fn flawed(&self, flaw: Flaw) -> Case<'_> {
        let case = self.case().flaw(flaw).log(flaw.generation());
        if flaw.of_message() { case.message() } else { case }
    }

    /// A key that belongs to nobody.
    #[must_use]
    pub fn stray_key(&self) -> Key {
        Key::p256()
    }
}
