//! How much evidence a signature must bring along beside itself. The defaults are the strictest.

/// What a keyless signature must bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Requirements {
    /// Proof that the certificate was logged.
    pub sct: SctRequirement,
    /// Proof that the signature was logged.
    pub log: LogRequirement,
    /// Who says when it was made.
    pub time: TimeRequirement,
}

/// Whether the certificate's embedded signed certificate timestamp is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SctRequirement {
    /// It must be there and made by a CT log of the root.
    #[default]
    Required,
    /// It is not looked at: private instances without a CT log.
    Skipped,
}

/// Whether a transparency log entry is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogRequirement {
    /// At least one entry must be there; all must verify. In bundles of version 0.1 and legacy signatures a promise of
    /// Rekor v1 is enough; [`LogEntry::inclusion`](crate::LogEntry::inclusion) says what there was.
    #[default]
    Required,
    /// There may be none; those that are there must verify all the same.
    Optional,
}

/// Who must say when the signature was made. Without any verified time nothing is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeRequirement {
    /// A timestamp authority, or Rekor v1.
    #[default]
    Any,
    /// A timestamp authority, which is another party than the log.
    Authority,
}
