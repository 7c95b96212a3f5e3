//! Every flaw of the test PKI's catalogue is refused, each by the reason that belongs to it, and each by a test of its own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use dunlin_sigstore::{Refusal, Requirements, RootError, Sha256, Signer, TrustRoot, verify};
use dunlin_test_pki::{Flaw, Pki};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

/// What the verifier says of the usual signature with `flaw`.
fn verdict(flaw: Flaw) -> Result<Signer, Refusal> {
    let signed = PKI.flawed(flaw).sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    let subject = Sha256::from(signed.subject);
    verify::keyless(&signed.bundle_json(), &subject, &root, &Requirements::default())
}

macro_rules! refused {
    ($($flaw:ident => $reason:pat),* $(,)?) => {
        $(
            #[test]
            #[allow(non_snake_case, reason = "a test per flaw, by its name")]
            fn $flaw() {
                let verdict = verdict(Flaw::$flaw);
                assert!(matches!(verdict, Err($reason)), "{verdict:?}");
            }
        )*

        /// Those with a test above, and the one that concerns the root alone.
        const TESTED: &[Flaw] = &[$(Flaw::$flaw),*, Flaw::LogKeyWithoutStart];
    };
}

refused! {
    ExpiredCertificate => Refusal::Certificate { .. },
    NotYetValidCertificate => Refusal::Certificate { .. },
    ForeignAuthority => Refusal::Certificate { .. },
    WrongUsage => Refusal::Certificate { .. },
    NoIdentity => Refusal::Anonymous { .. },
    SwappedCertificate => Refusal::Signature { .. },
    EmptyCertificate => Refusal::Certificate { .. },
    ChainInV03 => Refusal::Unsupported { .. },
    NoSct => Refusal::Certificate { .. },
    ForeignCtLog => Refusal::Certificate { .. },
    SctForOtherIssuer => Refusal::Certificate { .. },
    RootWithoutCtLog => Refusal::Certificate { .. },
    CtKeyEnded => Refusal::Certificate { .. },
    AuthorityEnded => Refusal::Certificate { .. },
    RootWithoutAuthority => Refusal::Certificate { .. },
    NoLogEntry => Refusal::Log { .. },
    DuplicateLogEntry => Refusal::DuplicateEntry { .. },
    ReplayedLogEntry => Refusal::OtherSubject { .. },
    EntryOtherCertificate => Refusal::Log { .. },
    EntryOtherSignature => Refusal::Log { .. },
    EntryOtherDigest => Refusal::OtherSubject { .. },
    UnknownEntryKind => Refusal::Malformed { .. },
    ForeignLog => Refusal::Log { .. },
    EntryNamesOtherLog => Refusal::Log { .. },
    LogKeyEnded => Refusal::Log { .. },
    NegativeLogIndex => Refusal::Malformed { .. },
    LogIndexOutsideTree => Refusal::Log { .. },
    NoInclusionProof => Refusal::Log { .. },
    BrokenInclusionProof => Refusal::Log { .. },
    ShortInclusionProof => Refusal::Log { .. },
    WrongRootHash => Refusal::Log { .. },
    NoCheckpoint => Refusal::Log { .. },
    MalformedCheckpoint => Refusal::Malformed { .. },
    CheckpointBadKeyHint => Refusal::Log { .. },
    CheckpointForged => Refusal::Log { .. },
    CheckpointOtherTree => Refusal::Log { .. },
    SetForged => Refusal::Log { .. },
    SetOverOtherBody => Refusal::Log { .. },
    IntegratedTimeMoved => Refusal::Log { .. },
    IntegratedTimeInFuture => Refusal::Log { .. },
    IntegratedTimeAfterCertificate => Refusal::Certificate { .. },
    NoTime => Refusal::Time { .. },
    StampOfOtherSignature => Refusal::Time { .. },
    StampForged => Refusal::Time { .. },
    StampByForeignAuthority => Refusal::Time { .. },
    StampWrongUsage => Refusal::Time { .. },
    StampAfterAuthorityCertificate => Refusal::Time { .. },
    StampAfterCertificate => Refusal::Certificate { .. },
    StampAuthorityEnded => Refusal::Time { .. },
    SecondStampAfterCertificate => Refusal::Certificate { .. },
    FractionalStamp => Refusal::FractionalTime { .. },
    FlippedSignature => Refusal::Time { .. },
    FlippedPayload => Refusal::Signature { .. },
    SignatureNotBase64 => Refusal::Malformed { .. },
    TwoSignatures => Refusal::Malformed { .. },
    NoSignature => Refusal::Malformed { .. },
    WrongPayloadType => Refusal::Unsupported { .. },
    StatementWithoutSubject => Refusal::Malformed { .. },
    StatementAboutOther => Refusal::OtherSubject { .. },
    StatementOfUnknownType => Refusal::StatementType { .. },
    StatementWithoutType => Refusal::Malformed { .. },
    WrongMessageDigest => Refusal::OtherSubject { .. },
    UnknownBundleVersion => Refusal::Malformed { .. },
    KeyInsteadOfCertificate => Refusal::Malformed { .. },
}

#[test]
fn a_log_window_without_a_start_spoils_the_root() {
    let root = TrustRoot::from_json(&PKI.flawed(Flaw::LogKeyWithoutStart).sign().root_json());
    assert!(matches!(root, Err(RootError::Malformed { .. })), "{root:?}");
}

#[test]
fn the_catalogue_is_covered() {
    for flaw in Flaw::ALL {
        assert!(TESTED.contains(flaw), "{flaw:?} has no test");
    }
    assert_eq!(TESTED.len(), Flaw::ALL.len());
}

#[test]
fn flaws_of_both_generations_are_refused_in_both() {
    use dunlin_test_pki::Generation::V1;
    for flaw in [
        Flaw::ExpiredCertificate,
        Flaw::ForeignAuthority,
        Flaw::NoSct,
        Flaw::ForeignLog,
        Flaw::ReplayedLogEntry,
        Flaw::DuplicateLogEntry,
        Flaw::EntryOtherCertificate,
        Flaw::EntryOtherSignature,
        Flaw::EntryOtherDigest,
        Flaw::BrokenInclusionProof,
        Flaw::CheckpointForged,
        Flaw::CheckpointBadKeyHint,
        Flaw::CheckpointOtherTree,
        Flaw::NoTime,
        Flaw::FlippedSignature,
        Flaw::FlippedPayload,
        Flaw::StatementAboutOther,
    ] {
        let case = PKI.case().log(V1).flaw(flaw);
        let mut cases = vec![case.clone()];
        if !matches!(flaw, Flaw::FlippedPayload | Flaw::StatementAboutOther) {
            cases.push(case.message());
        }
        for case in cases {
            let signed = case.sign();
            let root = TrustRoot::from_json(&signed.root_json()).unwrap();
            let subject = Sha256::from(signed.subject);
            let verdict = verify::keyless(&signed.bundle_json(), &subject, &root, &Requirements::default());
            assert!(verdict.is_err(), "{flaw:?}: {verdict:?}");
        }
    }
}
