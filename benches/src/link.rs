//! [`Link`]: a proxy that makes loopback a long thin link, where the kernel has no emulation of one: each byte arrives half
//! a round trip after it was sent, and each stream carries no more than TCP does under that round trip and loss.

use std::{
    io::{Read, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

const ROUND_TRIP: Duration = Duration::from_millis(100);
const LOSS: f64 = 0.01;
const SEGMENT: f64 = 1460.0;
/// Parts in which bytes travel.
const PART: usize = 8 << 10;
/// Parts that may be on the way: more than a round trip's worth.
const ON_THE_WAY: usize = 64;

/// A running link. It carries until the process ends.
pub(crate) struct Link {
    address: String,
}

impl Link {
    /// A link to `host:port`.
    pub(crate) fn to(upstream: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // The handshake takes a round trip before the first byte goes.
                let upstream = upstream.clone();
                thread::spawn(move || {
                    thread::sleep(ROUND_TRIP);
                    let Ok(server) = TcpStream::connect(upstream) else {
                        return;
                    };
                    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else {
                        return;
                    };
                    thread::spawn(move || carry(from, to));
                    carry(server, client);
                });
            }
        });
        Ok(Self { address })
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Bytes per second of one stream in the steady state: Mathis, Semke, Mahdavi and Ott, "The macroscopic behavior of the TCP
/// congestion avoidance algorithm" (1997).
fn rate() -> f64 {
    SEGMENT / ROUND_TRIP.as_secs_f64() * (1.5 / LOSS).sqrt()
}

/// One direction of one stream.
fn carry(mut from: impl Read, mut to: TcpStream) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let arrival = thread::spawn(move || {
        for (due, part) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Write));
    });
    let mut free = Instant::now();
    let mut buffer = vec![0; PART];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        #[allow(clippy::cast_precision_loss, reason = "a part is small")]
        let takes = Duration::from_secs_f64(read as f64 / rate());
        free = free.max(Instant::now()) + takes;
        thread::sleep(free.saturating_duration_since(Instant::now()));
        if sender.send((free + ROUND_TRIP / 2, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    drop(arrival.join());
}
