//! `signing-config.json`: which services sign, in the form `application/vnd.dev.sigstore.signingconfig.v0.2+json` that
//! cosign reads.

use std::collections::BTreeSet;

use sigstore_verify::trust_root::{ServiceConfiguration, ServiceEndpoint, ServiceSelector, SigningConfig as Document};

use crate::fence::fenced;
use crate::json::{JsonFault, admit};
use crate::limits::{CONFIGURATION_BYTES, JSON_DEPTH};
use crate::refusal::{Cause, cause};

/// Most services of one kind that one signature is sent to.
const SERVICES: usize = 8;

/// A service to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Without a slash at the end.
    pub(super) url: String,
    /// Major version of its API.
    pub(super) version: u32,
}

/// The services that one signature needs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fulcio: Service,
    pub(super) logs: Vec<Service>,
    pub(super) timestamps: Vec<Service>,
}

/// A signing configuration, read and checked.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    document: Document,
}

impl SigningConfig {
    /// Reads a `signing-config.json`.
    ///
    /// # Errors
    /// When it is too large, too deep, or not a signing configuration of version 0.2.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SigningConfigError> {
        let malformed = |source: Cause| SigningConfigError::Malformed { source };
        let text = admit(bytes, CONFIGURATION_BYTES, JSON_DEPTH).map_err(|fault| match fault {
            JsonFault::TooLarge { bytes, cap } => SigningConfigError::TooLarge { bytes, cap },
            fault => malformed(cause(fault)),
        })?;
        let document = fenced(|| Document::from_json(text))
            .map_err(|_| malformed("it broke the parser".into()))?
            .map_err(|error| malformed(cause(error)))?;
        Ok(Self { document })
    }

    /// Chooses services: Fulcio's best, and logs and timestamp authorities as their selectors say.
    pub(super) fn plan(&self) -> Result<Plan, SigningConfigError> {
        let document = &self.document;
        let fulcio = document.eligible_fulcio_urls();
        let fulcio = fulcio.first().ok_or(SigningConfigError::None { what: "Fulcio" })?;
        let logs = choose("Rekor", document.eligible_rekor_urls(None), &document.rekor_tlog_config)?;
        if logs.is_empty() {
            return Err(SigningConfigError::None { what: "Rekor" });
        }
        let timestamps = choose(
            "timestamp authority",
            document.eligible_tsa_urls(),
            &document.tsa_config,
        )?;
        if timestamps.is_empty() && logs.iter().all(|log| log.version >= 2) {
            return Err(SigningConfigError::None {
                what: "timestamp authority, which logs of Rekor v2 need,",
            });
        }
        Ok(Plan {
            fulcio: service(fulcio)?,
            logs,
            timestamps,
        })
    }
}

/// One service per operator at its highest version, as many as the selector says.
fn choose(
    what: &'static str,
    mut eligible: Vec<&ServiceEndpoint>,
    config: &ServiceConfiguration,
) -> Result<Vec<Service>, SigningConfigError> {
    eligible.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.major_api_version));
    let mut operators = BTreeSet::new();
    eligible.retain(|endpoint| match &endpoint.operator {
        Some(operator) if !operator.is_empty() => operators.insert(operator.clone()),
        _ => true,
    });
    let wanted = match config.selector {
        ServiceSelector::Any => eligible.len().min(1),
        ServiceSelector::All => eligible.len(),
        ServiceSelector::Exact => {
            let count = usize::try_from(config.count.unwrap_or(0)).unwrap_or(usize::MAX);
            if count == 0 || count > eligible.len() {
                let there = eligible.len();
                return Err(SigningConfigError::TooFew { what, count, there });
            }
            count
        }
        _ => return Err(SigningConfigError::Selector { what }),
    };
    if wanted > SERVICES {
        return Err(SigningConfigError::TooMany { what, cap: SERVICES });
    }
    eligible.into_iter().take(wanted).map(service).collect()
}

fn service(endpoint: &ServiceEndpoint) -> Result<Service, SigningConfigError> {
    let url = endpoint.url.trim_end_matches('/');
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains(char::is_whitespace) {
        return Err(SigningConfigError::Url {
            url: url.chars().take(256).collect(),
        });
    }
    Ok(Service {
        url: url.to_owned(),
        version: endpoint.major_api_version,
    })
}

/// A signing configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// It is larger than any honest one.
    #[error("the signing configuration has {bytes} bytes, more than the {cap} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        cap: usize,
    },
    /// It cannot be read.
    #[error("cannot read the signing configuration")]
    Malformed {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// It names no service of a kind that is needed, is valid now and has a known version.
    #[error("the signing configuration names no usable {what}")]
    None {
        /// Which kind.
        what: &'static str,
    },
    /// It asks for more services than it names.
    #[error("the signing configuration wants {count} of {what} and names {there} that are usable")]
    TooFew {
        /// Which kind.
        what: &'static str,
        /// How many it wants.
        count: usize,
        /// How many there are.
        there: usize,
    },
    /// It asks for more services than one signature is sent to.
    #[error("the signing configuration wants more than {cap} of {what}")]
    TooMany {
        /// Which kind.
        what: &'static str,
        /// The most allowed.
        cap: usize,
    },
    /// It does not say how services are chosen.
    #[error("the signing configuration does not say how many of {what} to use")]
    Selector {
        /// Which kind.
        what: &'static str,
    },
    /// It names something that is not a URL.
    #[error("the signing configuration names {url:?}, which is not an http or https URL")]
    Url {
        /// What it names.
        url: String,
    },
}

impl SigningConfigError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("give the instance's signing-config.json (`cosign signing-config create`)".to_owned())
    }
}
