//! [`Grpc`]: single calls to containerd's services over its socket, without streams, retries or reflection. A client of some
//! hundred crates would be the alternative.

use std::{io, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::UnixStream, task::JoinSet};

/// containerd answers from its database.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records of containers and images are a few KiB; specifications with them at most some hundred.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// One byte says whether the message is compressed, four how long it is.
const PREFIX_BYTES: usize = 5;

/// A connection.
#[derive(Debug)]
pub(crate) struct Grpc {
    sender: SendRequest<Full<Bytes>>,
    namespace: String,
    _connection: JoinSet<()>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrpcError {
    /// Nobody answers there.
    #[error("cannot connect to containerd at {address}")]
    Connect {
        /// The socket.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The call did not get through.
    #[error("calling {method} failed")]
    Transport {
        /// The method.
        method: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// containerd refused.
    #[error("{method} answers with status {status}: {message}")]
    Status {
        /// The method.
        method: String,
        /// gRPC's number.
        status: String,
        /// containerd's words.
        message: String,
    },
    /// The answer is not understood.
    #[error("{method} answers with something else")]
    Answer {
        /// The method.
        method: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Grpc {
    pub(crate) async fn connect(address: &str, namespace: &str) -> Result<Self, GrpcError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| GrpcError::Connect {
            address: address.to_owned(),
            source,
        };
        let path = address.strip_prefix("unix://").unwrap_or(address);
        let stream = UnixStream::connect(path).await.map_err(|error| failed(error.into()))?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.into()))?;
        let mut owner = JoinSet::new();
        owner.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to containerd ended");
            }
        });
        Ok(Self {
            sender,
            namespace: namespace.to_owned(),
            _connection: owner,
        })
    }

    /// One request, one answer.
    pub(crate) async fn call<Answer: Message + Default>(
        &mut self,
        service: &str,
        method: &str,
        request: &impl Message,
    ) -> Result<Answer, GrpcError> {
        let method = format!("{service}/{method}");
        let timed_out = || GrpcError::Transport {
            method: method.clone(),
            source: Box::new(io::Error::from(io::ErrorKind::TimedOut)),
        };
        tokio::time::timeout(PATIENCE, self.exchange(&method, request))
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    async fn exchange<Answer: Message + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Result<Answer, GrpcError> {
        let transport = |source: Box<dyn std::error::Error + Send + Sync>| GrpcError::Transport {
            method: method.to_owned(),
            source,
        };
        let request = Request::post(format!("http://containerd/{method}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("containerd-namespace", &self.namespace)
            .body(Full::new(frame(request)))
            .map_err(|error| transport(error.into()))?;
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(|error| transport(error.into()))?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(transport(format!("HTTP status {}", head.status).into()));
        }
        let body = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(transport)?;
        // An error without a message comes in the first headers, another in the last.
        let trailers = body.trailers().cloned().unwrap_or_default();
        let field = |name: &str| {
            let value = trailers.get(name).or_else(|| head.headers.get(name))?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        match field("grpc-status").as_deref() {
            Some("0") | None => {}
            Some(status) => {
                return Err(GrpcError::Status {
                    method: method.to_owned(),
                    status: status.to_owned(),
                    message: field("grpc-message").unwrap_or_default(),
                });
            }
        }
        unframe(&body.to_bytes()).map_err(|source| GrpcError::Answer {
            method: method.to_owned(),
            source,
        })
    }
}

fn frame(message: &impl Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + body.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    framed.put_slice(&body);
    framed.freeze()
}

fn unframe<Answer: Message + Default>(bytes: &[u8]) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (prefix, body) = bytes
        .split_first_chunk::<PREFIX_BYTES>()
        .ok_or("the answer has no message")?;
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 || usize::try_from(u32::from_be_bytes(length))? != body.len() {
        return Err("the answer is not one plain message".into());
    }
    Ok(Answer::decode(body)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::bootstrap::RuntimeOptions;

    #[test]
    fn messages_survive_their_frames() {
        let message = RuntimeOptions {
            config_path: "/x".to_owned(),
            ..RuntimeOptions::default()
        };
        assert_eq!(unframe::<RuntimeOptions>(&frame(&message)).unwrap(), message);
    }

    #[test]
    fn broken_frames_are_refused() {
        for hostile in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\0\x05ab",
            b"\x01\0\0\0\0",
            b"\0\xff\xff\xff\xffx",
            b"\0\0\0\0\x01\xff",
        ] {
            assert!(unframe::<RuntimeOptions>(hostile).is_err(), "{hostile:?}");
        }
    }
}
