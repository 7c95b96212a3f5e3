//! [`LineSplitter`]: bytes to lines, with a bound on what it holds back.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use super::{GuestLine, GuestStream, InstanceId, LineRate, LineSink};

/// Longest line kept whole; log collectors cut at 16 KiB.
const MAX_LINE_BYTES: usize = 8 << 10;

/// Collects bytes and hands out whole lines; what is left goes out when it is dropped.
pub(super) struct LineSplitter {
    sink: Arc<dyn LineSink>,
    instance: InstanceId,
    stream: GuestStream,
    partial: Vec<u8>,
    rate: LineRate,
}

impl LineSplitter {
    pub(super) fn new(sink: Arc<dyn LineSink>, instance: InstanceId, stream: GuestStream, rate: LineRate) -> Self {
        Self {
            sink,
            instance,
            stream,
            partial: Vec::new(),
            rate,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.append(text);
            if ends {
                self.emit();
            }
        }
    }

    fn append(&mut self, mut text: &[u8]) {
        while self.partial.len() + text.len() > MAX_LINE_BYTES {
            let (head, tail) = text.split_at(MAX_LINE_BYTES - self.partial.len());
            self.partial.extend_from_slice(head);
            self.emit();
            text = tail;
        }
        self.partial.extend_from_slice(text);
    }

    fn emit(&mut self) {
        if !self.rate.admit(Instant::now()) {
            self.partial.clear();
            return;
        }
        let bytes = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        let text = printable(&String::from_utf8_lossy(bytes));
        self.sink.line(&GuestLine {
            instance: self.instance,
            stream: self.stream,
            text: &text,
        });
        self.partial.clear();
    }
}

impl Drop for LineSplitter {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            self.emit();
        }
    }
}

/// Escapes control characters but tabs, so that a guest cannot drive the operator's terminal.
fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && char != '\t' {
            // Writing to a String does not fail.
            let _ = write!(clean, "{}", char.escape_default());
        } else {
            clean.push(char);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Collected(Mutex<Vec<String>>);

    impl LineSink for Collected {
        fn line(&self, line: &GuestLine<'_>) {
            self.0.lock().unwrap().push(line.text.to_owned());
        }
    }

    fn lines(writes: &[&[u8]]) -> Vec<String> {
        let sink = Arc::new(Collected::default());
        let mut splitter = LineSplitter::new(
            Arc::clone(&sink) as _,
            InstanceId::next(),
            GuestStream::Stdout,
            LineRate::new(None, Arc::default()),
        );
        for write in writes {
            splitter.write(write);
        }
        drop(splitter);
        sink.0.lock().map(|lines| lines.clone()).unwrap()
    }

    #[test]
    fn lines_are_whole_whatever_the_writes() {
        assert_eq!(lines(&[b"a", b"b\nc\r\n\nd"]), ["ab", "c", "", "d"]);
        assert_eq!(lines(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn long_lines_are_split_and_nothing_is_lost() {
        let long = vec![b'x'; MAX_LINE_BYTES * 2 + 1];
        let split = lines(&[&long, b"\n"]);
        assert_eq!(
            split.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE_BYTES, MAX_LINE_BYTES, 1]
        );
    }

    #[test]
    fn terminals_are_not_driven() {
        assert_eq!(lines(&[b"\x1b[2Jok\t\xff\n"]), ["\\u{1b}[2Jok\t\u{fffd}"]);
    }
}
