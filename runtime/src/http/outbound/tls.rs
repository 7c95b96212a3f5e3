//! [`Tls`]: the engine's TLS client: the system's roots, and those that the operator adds. Made at the first request to an
//! `https` address.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

/// Clones are the same.
#[derive(Clone)]
pub(crate) struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    extra_roots: Vec<CertificateDer<'static>>,
    connector: OnceLock<TlsConnector>,
}

impl Tls {
    /// `extra_roots` are certificates in DER.
    pub(crate) fn new(extra_roots: &[Vec<u8>]) -> Self {
        Self {
            shared: Arc::new(Shared {
                extra_roots: extra_roots.iter().cloned().map(CertificateDer::from).collect(),
                connector: OnceLock::new(),
            }),
        }
    }

    /// Fails when the system has no roots or an extra one is no certificate, and tries again the next time.
    pub(super) fn connector(&self) -> Result<TlsConnector, Error> {
        if let Some(connector) = self.shared.connector.get() {
            return Ok(connector.clone());
        }
        let connector = self.make().map_err(|error| {
            tracing::warn!(%error, "there is no TLS for guests' requests");
            Error::ConfigurationError
        })?;
        Ok(self.shared.connector.get_or_init(|| connector).clone())
    }

    fn make(&self) -> Result<TlsConnector, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = self.shared.extra_roots.iter().cloned();
        let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
