//! [`Limits`]: how much of the host one instance may use. Breaking a limit is an error code or a refusal that the guest
//! can handle where its interface allows one; time limits stop it.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Bounds of one instance (one store). Every default is large enough for a small vision or text model on an edge box and
/// small enough for a hundred guests on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories together. `memory.grow` beyond gives -1, as the specification says.
    pub memory_bytes: u64,
    /// Elements of all tables together. `table.grow` beyond gives -1.
    pub table_elements: u64,
    /// Core instances; also bounds tables and memories in number. Components are made of several.
    pub instances: usize,
    /// Bytes of all tensors that the host holds for the guest; one more is `too-large`.
    pub host_tensor_bytes: u64,
    /// Tensors that the host holds for the guest; one more is `too-large`.
    pub host_tensors: usize,
    /// Execution contexts; one more is `too-large`.
    pub contexts: usize,
    /// Graphs open at once; one more is `too-large`.
    pub open_models: usize,
    /// Computes under way at once; one more is `too-large`. Only guests with several tasks reach it.
    pub computes: usize,
    /// Bytes of all models that the guest loads from its own memory; one more is `too-large`.
    pub load_bytes: u64,
    /// Component-model handles (streams, requests, tensors...) alive at once; one more is a trap.
    pub handles: usize,
    /// Time from start to end, waiting included: of a command's run, of one request. `None` for no bound.
    pub wall: Option<Duration>,
    /// Processor time of the guest itself, computes of models not included. `None` for no bound.
    pub cpu: Option<Duration>,
    /// Bytes written to standard output and error each, when they are not inherited; more is dropped.
    pub output_bytes: u64,
    /// Bytes of one request body; more is answered with 413.
    pub request_body_bytes: u64,
    /// Lines of output per second that are logged, with as many more in a burst; what is over it is dropped and counted.
    /// Only for output taken line by line. `None` for no bound.
    pub log_lines_per_second: Option<u32>,
    /// Requests that the guest sends at once; one more is `connection-limit-reached`.
    pub outbound_requests: usize,
    /// Bytes of one request's body that the guest sends; more is `HTTP-request-body-size`.
    pub outbound_request_bytes: u64,
    /// Bytes of one response's body that the guest gets; more is `HTTP-response-body-size`.
    pub outbound_response_bytes: u64,
    /// Longest wait for a connection, for a response's first byte, and between two parts of its body, each. A guest may
    /// ask for less.
    pub outbound_wait: Duration,
    /// Bytes that the guest may pass to the host in one call; more is a trap. Keep it at or above `host_tensor_bytes` so
    /// that a tensor too large is an error code instead.
    pub hostcall_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * MIB,
            table_elements: 100_000,
            instances: 64,
            host_tensor_bytes: 128 * MIB,
            host_tensors: 1024,
            contexts: 16,
            open_models: 16,
            computes: 16,
            load_bytes: 64 * MIB,
            handles: 16_384,
            wall: None,
            cpu: None,
            output_bytes: 16 * MIB,
            request_body_bytes: 32 * MIB,
            log_lines_per_second: Some(1000),
            outbound_requests: 16,
            outbound_request_bytes: 32 * MIB,
            outbound_response_bytes: 32 * MIB,
            outbound_wait: Duration::from_secs(30),
            hostcall_bytes: 128 << 20,
        }
    }
}
