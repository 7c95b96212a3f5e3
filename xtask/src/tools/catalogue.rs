//! What can be built: [`CATALOGUE`], one [`Tool`] per folder of `tests/tools/`. Versions stand in the folders, not here.

/// Tools that are needed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Group {
    /// Clients, registries and the parts of a Sigstore, for the tests of distribution and trust.
    Interop,
    /// containerd at the versions that Debian does not have.
    Containerd,
}

impl Group {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Interop => "interop",
            Self::Containerd => "containerd",
        }
    }
}

/// How a tool is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `go.mod` and `go.sum`, with a `main.go` where the program is ours.
    Go,
    /// `requirements.txt`, complete and exact.
    Python,
}

/// A program of a tool.
#[derive(Debug)]
pub(super) struct Program {
    /// Its file in `bin/`.
    pub(super) file: &'static str,
    /// The Go package that it is built from: `.` for a `main.go` of ours, nothing for Python.
    pub(super) package: &'static str,
}

/// A folder of `tests/tools/`.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) source: Source,
    pub(super) programs: &'static [Program],
    pub(super) about: &'static str,
}

const fn program(file: &'static str, package: &'static str) -> Program {
    Program { file, package }
}

const fn go(name: &'static str, group: Group, programs: &'static [Program], about: &'static str) -> Tool {
    Tool {
        name,
        group,
        source: Source::Go,
        programs,
        about,
    }
}

/// All of them, the quick ones first.
pub(super) const CATALOGUE: &[Tool] = &[
    go(
        "oras",
        Group::Interop,
        &[program("oras", "oras.land/oras/cmd/oras")],
        "client of OCI registries",
    ),
    go(
        "crane",
        Group::Interop,
        &[program("crane", "github.com/google/go-containerregistry/cmd/crane")],
        "client of OCI registries",
    ),
    go(
        "referrers-registry",
        Group::Interop,
        &[program("referrers-registry", ".")],
        "two registries with the referrers API",
    ),
    Tool {
        name: "oras-py",
        group: Group::Interop,
        source: Source::Python,
        programs: &[program("python", "")],
        about: "client library of OCI registries, with its Python",
    },
    go(
        "distribution",
        Group::Interop,
        &[program(
            "registry",
            "github.com/distribution/distribution/v3/cmd/registry",
        )],
        "registry with TLS, passwords and tokens",
    ),
    go(
        "timestamp",
        Group::Interop,
        &[program(
            "timestamp-server",
            "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
        )],
        "RFC 3161 timestamp authority",
    ),
    go(
        "rekor",
        Group::Interop,
        &[program(
            "rekor-server",
            "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
        )],
        "transparency log, version 2",
    ),
    go(
        "fulcio",
        Group::Interop,
        &[program("fulcio", "github.com/sigstore/fulcio")],
        "certificate authority for keyless signing",
    ),
    go(
        "cosign",
        Group::Interop,
        &[program("cosign", "github.com/sigstore/cosign/v3/cmd/cosign")],
        "signer and verifier of OCI artifacts",
    ),
    go(
        "containerd-1.7",
        Group::Containerd,
        &[
            program("containerd", "github.com/containerd/containerd/cmd/containerd"),
            program("ctr", "github.com/containerd/containerd/cmd/ctr"),
            program(
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/cmd/containerd-shim-runc-v2",
            ),
        ],
        "containerd 1.7",
    ),
    go(
        "containerd-2.4",
        Group::Containerd,
        &[
            program("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
            program("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
            program(
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            ),
        ],
        "containerd 2.4",
    ),
];
