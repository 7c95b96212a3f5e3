//! Who signs: options that `sign` and `attest` share, and the key or the token behind them.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;
use dunlin_models::{
    key::KeyPair,
    registry::SigningHttp,
    sign::{Signer, SigningConfig, TrustRoot},
};

use super::{Site, read_key};
use crate::report::Failure;

/// A token, password or configuration larger than this is none, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Who signs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signer")]
pub(crate) struct SignerArgs {
    /// The private key (PEM: PKCS#8, or encrypted as cosign does it)
    #[arg(long, value_name = "FILE", required_unless_present = "identity_token")]
    key: Option<PathBuf>,
    /// A file with the password of an encrypted key (default: COSIGN_PASSWORD)
    #[arg(long, value_name = "FILE", requires = "key")]
    password_file: Option<PathBuf>,
    /// Sign without a key: a file with an OpenID token of who signs, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "key", requires = "signing_config")]
    identity_token: Option<PathBuf>,
    /// The Sigstore instance that signs without a key: its signing-config.json
    #[arg(long, value_name = "FILE", requires = "identity_token")]
    signing_config: Option<PathBuf>,
    /// Check the new signature against this trusted_root.json before it is kept
    #[arg(long, value_name = "FILE", requires = "identity_token")]
    trusted_root: Option<PathBuf>,
}

/// What signing takes, read and checked.
pub(crate) enum Material {
    /// A key.
    Key(KeyPair),
    /// An identity.
    Keyless(Box<Keyless>),
}

/// What signing without a key takes.
pub(crate) struct Keyless {
    token: String,
    config: SigningConfig,
    http: SigningHttp,
    root: Option<TrustRoot>,
}

impl SignerArgs {
    /// Reads the key, or the token and what goes with it.
    pub(crate) fn material(&self, site: &Site) -> Result<Material, Failure> {
        if let Some(path) = &self.key {
            return Ok(Material::Key(key_pair(path, self.password_file.as_deref())?));
        }
        let (Some(token), Some(config)) = (&self.identity_token, &self.signing_config) else {
            return Err(Failure::usage("name a --key, or an --identity-token".to_owned()));
        };
        let token = String::from_utf8(read(token)?)
            .map_err(|_| Failure::usage("the identity token is no text".to_owned()))?
            .trim()
            .to_owned();
        Ok(Material::Keyless(Box::new(Keyless {
            token,
            config: SigningConfig::from_json(&read(config)?)?,
            http: site.node.signing_http()?,
            root: match &self.trusted_root {
                Some(path) => Some(TrustRoot::from_json(&read(path)?)?),
                None => None,
            },
        })))
    }
}

impl Material {
    /// It as the library wants it.
    pub(crate) fn signer(&self) -> Signer<'_> {
        match self {
            Self::Key(pair) => Signer::Key(pair),
            Self::Keyless(keyless) => Signer::Keyless {
                identity_token: &keyless.token,
                config: &keyless.config,
                http: &keyless.http,
                trust_root: keyless.root.as_ref(),
            },
        }
    }

    /// What a report says of it: a key's fingerprint, or that there was none.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Key(pair) => Some(pair.public().fingerprint()),
            Self::Keyless(_) => None,
        }
    }
}

/// Reads a private key, with its password where it is encrypted.
fn key_pair(path: &Path, password_file: Option<&Path>) -> Result<KeyPair, Failure> {
    let pem = read_key(path)?;
    if !KeyPair::is_encrypted(&pem) {
        return Ok(KeyPair::from_pem(&pem)?);
    }
    Ok(KeyPair::from_encrypted_pem(&pem, password(password_file)?.as_bytes())?)
}

/// The password of a key: from a file, or from the variable that cosign reads.
pub(crate) fn password(file: Option<&Path>) -> Result<String, Failure> {
    match file {
        Some(path) => {
            let text = String::from_utf8(read(path)?);
            let text = text.map_err(|_| Failure::usage(format!("{} is no text", path.display())))?;
            Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        }
        None => dunlin_node::environment::variable(dunlin_node::environment::KEY_PASSWORD_VARIABLE).ok_or_else(|| {
            Failure::usage("the key is encrypted: set COSIGN_PASSWORD, or name a --password-file".to_owned())
        }),
    }
}

/// A small file, or standard input.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes)?
    } else {
        fs_err::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?
    };
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(Failure::usage(format!(
            "{} has more than {MAX_FILE} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
