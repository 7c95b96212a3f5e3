//! The catalogue of ways in which a signature, its evidence or the trusted root can be wrong. Each is one change to an
//! otherwise right bundle; everything that can be signed anew after the change is signed anew.

use crate::log::Generation;

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// One thing that is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Flaw { $($(#[$doc])* $name),* }

        impl Flaw {
            /// All of them.
            pub const ALL: &'static [Flaw] = &[$(Flaw::$name),*];
        }
    };
}

flaws! {
    /// The certificate had expired when the signature was made.
    ExpiredCertificate,
    /// The certificate was not yet valid when the signature was made.
    NotYetValidCertificate,
    /// The certificate comes from an authority that the root does not know.
    ForeignAuthority,
    /// The certificate is for TLS servers.
    WrongUsage,
    /// The certificate names nobody.
    NoIdentity,
    /// The certificate belongs to another signature.
    SwappedCertificate,
    /// The bundle has no certificate bytes.
    EmptyCertificate,
    /// A bundle of version 0.3 with a chain instead of a certificate.
    ChainInV03,
    /// The certificate is not in the CT log.
    NoSct,
    /// The SCT comes from a log that the root does not know.
    ForeignCtLog,
    /// The SCT's signature is for a certificate of another issuer.
    SctForOtherIssuer,
    /// The root knows no CT log.
    RootWithoutCtLog,
    /// The root's CT key ended before the SCT was made.
    CtKeyEnded,
    /// The root's certificate authority ended before the signature.
    AuthorityEnded,
    /// The root knows no certificate authority.
    RootWithoutAuthority,
    /// There is no log entry.
    NoLogEntry,
    /// The same log entry twice.
    DuplicateLogEntry,
    /// The log entry belongs to another signature by the same signer.
    ReplayedLogEntry,
    /// The logged certificate is another one.
    EntryOtherCertificate,
    /// The logged signature is another one.
    EntryOtherSignature,
    /// The logged digest is another one.
    EntryOtherDigest,
    /// The entry has a kind that nobody defined.
    UnknownEntryKind,
    /// The entry is of a log that the root does not know.
    ForeignLog,
    /// The entry names another log of the root than the one that has it.
    EntryNamesOtherLog,
    /// The root's log key ended before the entry (Rekor v1).
    LogKeyEnded,
    /// The root's log key has a window without a start.
    LogKeyWithoutStart,
    /// The entry's place is negative.
    NegativeLogIndex,
    /// The entry's place lies outside the tree.
    LogIndexOutsideTree,
    /// There is no inclusion proof.
    NoInclusionProof,
    /// One hash of the inclusion proof is flipped.
    BrokenInclusionProof,
    /// The inclusion proof has one hash too few.
    ShortInclusionProof,
    /// The proof's root is not the checkpoint's (Rekor v1).
    WrongRootHash,
    /// There is no checkpoint.
    NoCheckpoint,
    /// The checkpoint has no lines for size and root.
    MalformedCheckpoint,
    /// The checkpoint's signature names another key.
    CheckpointBadKeyHint,
    /// The checkpoint's signature is flipped.
    CheckpointForged,
    /// The checkpoint is signed, but of another tree.
    CheckpointOtherTree,
    /// The signed entry timestamp is flipped.
    SetForged,
    /// The signed entry timestamp is over another body.
    SetOverOtherBody,
    /// The integrated time is not the one that was signed.
    IntegratedTimeMoved,
    /// The integrated time, duly signed, lies in the future.
    IntegratedTimeInFuture,
    /// The integrated time, duly signed, lies after the certificate's end.
    IntegratedTimeAfterCertificate,
    /// Nothing says when the signature was made.
    NoTime,
    /// The token is for another signature.
    StampOfOtherSignature,
    /// The token's signature is flipped.
    StampForged,
    /// The token comes from an authority that the root does not know.
    StampByForeignAuthority,
    /// The token's signer is not certified for time stamps.
    StampWrongUsage,
    /// The token's time lies after the end of the timestamp authority's own certificate.
    StampAfterAuthorityCertificate,
    /// The token's time lies after the certificate's end.
    StampAfterCertificate,
    /// The root's timestamp authority ended before the token.
    StampAuthorityEnded,
    /// A second token lies after the certificate's end.
    SecondStampAfterCertificate,
    /// A token that RFC 3161 allows and the dependency cannot read: fractions of a second.
    FractionalStamp,
    /// The signature is flipped.
    FlippedSignature,
    /// One byte of the payload is flipped.
    FlippedPayload,
    /// The signature is not base64.
    SignatureNotBase64,
    /// The envelope has two signatures.
    TwoSignatures,
    /// The envelope has no signature.
    NoSignature,
    /// The envelope's payload, duly signed, is not an in-toto statement.
    WrongPayloadType,
    /// The statement, duly signed, is about nothing.
    StatementWithoutSubject,
    /// The statement, duly signed, is about another artifact.
    StatementAboutOther,
    /// The statement, duly signed, is of an unknown type.
    StatementOfUnknownType,
    /// The statement, duly signed, has no type.
    StatementWithoutType,
    /// The bundle says a digest that is not the artifact's.
    WrongMessageDigest,
    /// The bundle says a version that nobody defined.
    UnknownBundleVersion,
    /// The bundle names a key where a certificate is wanted.
    KeyInsteadOfCertificate,
}

impl Flaw {
    /// Whether the flaw concerns a message signature rather than an envelope.
    #[must_use]
    pub fn of_message(self) -> bool {
        self == Self::WrongMessageDigest
    }

    /// The generation of log in which the flaw can occur, or v2 where both can have it.
    #[must_use]
    pub fn generation(self) -> Generation {
        match self {
            Self::LogKeyEnded
            | Self::WrongRootHash
            | Self::SetForged
            | Self::SetOverOtherBody
            | Self::IntegratedTimeMoved
            | Self::IntegratedTimeInFuture
            | Self::IntegratedTimeAfterCertificate => Generation::V1,
            _ => Generation::V2,
        }
    }
}
