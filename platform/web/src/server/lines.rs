//! Lines end with CR LF (RFC 9112 §2.2).
//!
//! The server below takes a bare LF for the end of a line too, and some proxies do not: what they pass on as one header would
//! be two here. So the bytes of heads are looked at as they come, and a line that ends otherwise is spoilt, which the
//! server refuses. Bodies hold what they like; how long they are is followed as far as that is needed to find the next head.

/// A line that says how long the body is is no longer than this.
const FRAMING_LINE_MAX: usize = 128;
/// What is written over a byte that must not be there: no head may hold it.
const SPOILT: u8 = 0;

/// Follows the bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Lines {
    at: At,
    /// The line so far, as much of it as may matter.
    line: Vec<u8>,
    length: u64,
    is_chunked: bool,
    /// Has this head any line yet?
    is_begun: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// The line that says how long a chunk is.
    ChunkSize,
    /// So many bytes of a chunk are to come, with the end of its line.
    Chunk(u64),
    /// The empty line behind the last chunk.
    LastChunk,
    /// The server refuses what was here, and ends the connection.
    Refused,
}

impl Lines {
    /// Looks at what was read, and spoils what must not be.
    pub fn watch(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match self.at {
                At::Refused => return,
                At::Body(left) | At::Chunk(left) => {
                    let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    self.skip(left, taken as u64);
                    taken
                }
                At::Head | At::ChunkSize | At::LastChunk => match bytes.iter().position(|byte| *byte == b'\n') {
                    None => {
                        self.keep(bytes);
                        bytes.len()
                    }
                    Some(end) => {
                        self.keep(&bytes[..end]);
                        let is_good = self.end_of_line();
                        self.line.clear();
                        if !is_good {
                            bytes[end] = SPOILT;
                            self.at = At::Refused;
                        }
                        end + 1
                    }
                },
            };
            bytes = &mut bytes[taken..];
        }
    }

    fn skip(&mut self, left: u64, taken: u64) {
        self.at = match (self.at, left - taken) {
            (At::Body(_), 0) => At::Head,
            (At::Body(_), left) => At::Body(left),
            (_, 0) => At::ChunkSize,
            (_, left) => At::Chunk(left),
        };
    }

    /// Keeps the beginning of a line, and its last byte, which is to be CR.
    fn keep(&mut self, bytes: &[u8]) {
        let room = FRAMING_LINE_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if let (Some(last), true) = (bytes.last(), bytes.len() > room) {
            self.line.truncate(FRAMING_LINE_MAX);
            self.line.push(*last);
        }
    }

    /// Goes on behind a line; is it one?
    fn end_of_line(&mut self) -> bool {
        let Some((b'\r', line)) = self.line.split_last() else { return false };
        match self.at {
            At::ChunkSize => {
                let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let size =
                    std::str::from_utf8(&line[..digits]).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
                self.at = match size {
                    Some(0) => At::LastChunk,
                    Some(size) => size.checked_add(2).map_or(At::Refused, At::Chunk),
                    None => At::Refused,
                };
                true
            }
            // Trailers are refused by the server.
            At::LastChunk => {
                self.at = if line.is_empty() { At::Head } else { At::Refused };
                true
            }
            _ if line.is_empty() => {
                // Before a request there may be empty lines.
                if std::mem::take(&mut self.is_begun) {
                    let (length, is_chunked) = (std::mem::take(&mut self.length), std::mem::take(&mut self.is_chunked));
                    self.at = match (is_chunked, length) {
                        (true, _) => At::ChunkSize,
                        (false, 0) => At::Head,
                        (false, length) => At::Body(length),
                    };
                }
                true
            }
            _ => {
                self.is_begun = true;
                match framing(line) {
                    None => true,
                    // Longer than it may be: who knows what is said in the rest.
                    Some(_) if line.len() >= FRAMING_LINE_MAX => false,
                    Some(Framing::Chunked) => {
                        self.is_chunked = true;
                        true
                    }
                    Some(Framing::Length(length)) => {
                        self.length = length.unwrap_or_default();
                        length.is_some()
                    }
                }
            }
        }
    }
}

enum Framing {
    /// Content-Length; none if it is no number.
    Length(Option<u64>),
    /// Transfer-Encoding, of which the server takes this alone.
    Chunked,
}

fn framing(line: &[u8]) -> Option<Framing> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii();
    if name.eq_ignore_ascii_case(b"transfer-encoding") {
        return Some(Framing::Chunked);
    }
    if !name.eq_ignore_ascii_case(b"content-length") {
        return None;
    }
    let value = line[colon + 1..].trim_ascii();
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    Some(Framing::Length(std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server sees of these bytes, however they are cut.
    fn seen(bytes: &str) -> String {
        let mut whole = bytes.as_bytes().to_vec();
        Lines::default().watch(&mut whole);
        for size in 1..7 {
            let (mut lines, mut pieces) = (Lines::default(), bytes.as_bytes().to_vec());
            pieces.chunks_mut(size).for_each(|piece| lines.watch(piece));
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
        String::from_utf8(whole).unwrap()
    }

    const NEXT: &str = "GET /b HTTP/1.1\r\nhost: x\n\r\n";

    #[test]
    fn a_bare_lf_is_spoilt_wherever_a_line_ends() {
        for line in [
            "GET / HTTP/1.1\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\n\n",
            "\nGET",
        ] {
            let spoilt = seen(line);
            assert_eq!(spoilt.matches('\0').count(), 1, "{line:?}");
            assert_eq!(
                spoilt.find('\0'),
                line.match_indices('\n').find(|(at, _)| !line[..*at].ends_with('\r')).map(|(at, _)| at)
            );
        }
    }

    #[test]
    fn bodies_hold_what_they_like_and_the_next_head_is_looked_at() {
        for good in [
            "POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\na\nb\n\n",
            "POST /a HTTP/1.1\r\nContent-Length:\t5 \r\n\r\na\nb\n\n",
            "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\na\nb\n\n\r\nA\r\n\n\n\n\n\n\n\n\n\n\n\r\n0\r\n\r\n",
            "\r\n\r\nGET /a HTTP/1.1\r\nx-a: b\r\n\r\n",
            "POST /a HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert_eq!(seen(good), good);
            let (both, spoilt) = (format!("{good}{NEXT}"), format!("{good}{}", NEXT.replacen("x\n", "x\0", 1)));
            assert_eq!(seen(&both), spoilt);
        }
    }

    #[test]
    fn a_length_that_cannot_be_followed_is_spoilt() {
        let padded = format!("POST / HTTP/1.1\r\ncontent-length: {}5\r\n\r\n", " ".repeat(200));
        assert!(seen(&padded).contains('\0'));
        assert!(seen("POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n").contains('\0'));
        let long = format!("GET / HTTP/1.1\r\nx-a: {}\r\n\r\n", "b".repeat(5_000));
        assert_eq!(seen(&long), long);
        assert!(seen(&format!("GET / HTTP/1.1\r\nx-a: {}\n\r\n", "b".repeat(5_000))).contains('\0'));
    }
}
