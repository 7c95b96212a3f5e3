//! [`CountingProxy`]: passes connections on to a server, and counts the bytes that come back.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// A running proxy; accepts no more once it is dropped.
#[derive(Debug)]
pub struct CountingProxy {
    address: String,
    received: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl CountingProxy {
    /// Starts one before `upstream`, a `host:port`.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let received = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let (counter, stop, upstream) = (Arc::clone(&received), Arc::clone(&stopped), upstream.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&upstream)) else {
                    continue;
                };
                let (Ok(mut up_from), Ok(mut up_to)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                thread::spawn(move || {
                    drop(std::io::copy(&mut up_from, &mut up_to));
                    drop(up_to.shutdown(Shutdown::Both));
                });
                let counter = Arc::clone(&counter);
                thread::spawn(move || count(server, client, &counter));
            }
        });
        Self {
            address,
            received,
            stopped,
        }
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Bytes that have come back so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(&self.address));
    }
}

/// Counts what reached the client, so that bytes on their way to a dead one do not.
fn count(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        counter.fetch_add(read as u64, Ordering::Relaxed);
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
