//! Who a test certificate is issued to.

/// Subject alternative name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum San {
    /// An email address.
    Email(String),
    /// A URI, as workloads have.
    Uri(String),
    /// None at all: a fault.
    Absent,
}

/// What the identity provider said about the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Subject alternative name.
    pub san: San,
    /// Issuer of the identity token, written in both forms (`.1.1` and `.1.8`).
    pub issuer: String,
    /// Further claims: the last number of the object identifier under `1.3.6.1.4.1.57264.1`, and the value.
    pub claims: Vec<(u32, String)>,
}

impl Identity {
    /// A person, known by email.
    #[must_use]
    pub fn person() -> Self {
        Self {
            san: San::Email("dev@example.com".to_owned()),
            issuer: "https://issuer.example.com".to_owned(),
            claims: Vec::new(),
        }
    }

    /// A workflow of a forge, with the claims that such certificates carry.
    #[must_use]
    pub fn workflow() -> Self {
        let workflow = "https://forge.example.com/acme/models/.ci/release.yml@refs/heads/main";
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let claims = [
            (2, "push"),
            (3, commit),
            (4, "release"),
            (5, "acme/models"),
            (6, "refs/heads/main"),
            (9, workflow),
            (10, commit),
            (11, "forge-hosted"),
            (12, "https://forge.example.com/acme/models"),
            (13, commit),
            (14, "refs/heads/main"),
            (15, "4711"),
            (16, "https://forge.example.com/acme"),
            (17, "42"),
            (18, workflow),
            (19, commit),
            (20, "push"),
            (21, "https://forge.example.com/acme/models/runs/7/attempts/1"),
            (22, "public"),
        ];
        Self {
            san: San::Uri(workflow.to_owned()),
            issuer: "https://tokens.forge.example.com".to_owned(),
            claims: claims.map(|(number, value)| (number, value.to_owned())).to_vec(),
        }
    }
}
