//! From an allowed host to an open connection: one lookup, addresses filtered, the first that answers, TLS where asked.

use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use wasmtime_wasi_http::Error;

use super::{address::is_public, tls::Tls};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Where a request goes, after the list was asked.
pub(super) struct Destination {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encrypted: bool,
    /// Whether addresses that are not public are meant.
    pub(super) private: bool,
}

/// A connection, plain or encrypted.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects within `limit`, lookup and handshake included.
///
/// # Cancel safety
/// Nothing is left open when it is dropped.
pub(super) async fn connect(to: &Destination, tls: &Tls, limit: Duration) -> Result<Box<dyn Stream>, Error> {
    let connected = timeout(limit, async {
        let stream = open(&resolve(to).await?).await?;
        // A guest's small writes are its own to gather.
        stream.set_nodelay(true).map_err(Error::Connect)?;
        if to.encrypted {
            return encrypt(to, tls, stream).await;
        }
        Ok(Box::new(stream) as Box<dyn Stream>)
    });
    connected.await.unwrap_or(Err(Error::ConnectionTimeout))
}

/// The addresses of the host that may be connected to.
async fn resolve(to: &Destination) -> Result<Vec<SocketAddr>, Error> {
    let found = lookup_host((to.host.as_str(), to.port)).await.map_err(|error| {
        tracing::debug!(host = to.host, %error, "a guest's host was not resolved");
        Error::DnsError {
            rcode: None,
            info_code: None,
        }
    })?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    let allowed = found
        .into_iter()
        .filter(|address| to.private || is_public(address.ip()));
    let allowed: Vec<SocketAddr> = allowed.take(MAX_ADDRESSES).collect();
    if allowed.is_empty() {
        return Err(Error::DestinationIpProhibited);
    }
    Ok(allowed)
}

async fn open(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        Some(error) => Error::Connect(error),
        None => Error::DestinationUnavailable,
    })
}

async fn encrypt(to: &Destination, tls: &Tls, stream: TcpStream) -> Result<Box<dyn Stream>, Error> {
    let name = ServerName::try_from(to.host.clone()).map_err(|_not_a_name| Error::HttpRequestUriInvalid)?;
    let encrypted = tls.connector()?.connect(name, stream).await.map_err(|error| {
        tracing::debug!(host = to.host, %error, "TLS with a guest's host failed");
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
            _ => Error::TlsProtocolError,
        }
    })?;
    Ok(Box::new(encrypted))
}
