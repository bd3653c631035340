//! A connection that gives up on clients who let it wait.
//!
//! The server below limits how long the first request of a connection may take to arrive, and how long a connection is idle
//! between requests, but not how long a further request may trickle in nor how slowly an answer may be read.

use super::lines::Lines;
use super::peers::Place;
use crate::problem::{Problem, code};
use crate::security_headers;
use crate::work::Work;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, DATE, HeaderValue};
use actix_web::rt::net::TcpStream;
use actix_web::{HttpResponse, ResponseError};
use metrics::counter;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What the server says to `Expect: 100-continue`.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a connection waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From an answer to the whole head of the next request.
    pub request: Duration,
    /// For the client to take a byte of an answer.
    pub answer: Duration,
}

/// What is read from and written to.
pub(super) struct Connection {
    stream: TcpStream,
    patience: Patience,
    work: Work,
    /// Runs while no request is at work; reset only when it fires, because most requests come long before.
    waiting: Option<Pin<Box<Sleep>>>,
    /// How many requests were done when the wait began, and when that was.
    waits_since: (u64, Instant),
    /// Runs while the client takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    /// An answer of ours in place of the server's bare one, and how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
    /// The server would say `100 Continue` before anybody has looked at the request. How much of it is said by us, if it is
    /// owed.
    owed: Option<usize>,
    lines: Lines,
    /// The server is being stopped.
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Place,
}

impl Connection {
    pub fn new(stream: TcpStream, place: Place, patience: Patience, closing: &CancellationToken) -> Self {
        Self {
            stream,
            patience,
            work: Work::default(),
            waiting: None,
            waits_since: (0, Instant::now()),
            stuck: None,
            instead: None,
            owed: None,
            lines: Lines::default(),
            // A child, because all connections would share the lock of one.
            closing: Box::pin(closing.child_token().cancelled_owned()),
            _place: place,
        }
    }

    pub fn work(&self) -> Work {
        self.work.clone()
    }

    /// Ready when a client has let us wait for a request for too long, or when the server is being stopped meanwhile.
    fn poll_impatience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let done = self.work.done();
        if self.work.is_on() {
            return Poll::Pending;
        }
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if self.waits_since.0 != done {
            self.waits_since = (done, Instant::now());
        }
        let until = self.waits_since.1 + self.patience.request;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            ready!(waiting.as_mut().poll(context));
            if Instant::now() >= until {
                counter!("http_connections_given_up_total", "waited_for" => "request").increment(1);
                return Poll::Ready(());
            }
            waiting.as_mut().reset(until);
        }
    }

    /// Tells the client that its body is wanted, once somebody reads it.
    fn poll_owed(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.owed.is_none() {
            return Ok(());
        }
        self.work.wakes(context.waker());
        while let Some(said) = self.owed
            && self.work.is_body_wanted()
        {
            match Pin::new(&mut self.stream).poll_write(context, &CONTINUE[said..])? {
                Poll::Pending => break,
                Poll::Ready(more) => self.owed = Some(said + more).filter(|said| *said < CONTINUE.len()),
            }
        }
        if self.owed.is_none() {
            self.work.body_is_settled();
        }
        Ok(())
    }

    /// Writes what is left of our answer.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((answer, written)) = &mut self.instead {
            if *written == answer.len() {
                break;
            }
            *written += ready!(Pin::new(&mut self.stream).poll_write(context, &answer[*written..]))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        connection.poll_owed(context)?;
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut connection.stream).poll_read(context, buffer) {
            connection.lines.watch(&mut buffer.filled_mut()[before..]);
            return Poll::Ready(read);
        }
        // As if the client had hung up.
        connection.poll_impatience(context).map(Ok)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        if connection.instead.is_none() && bytes.starts_with(CONTINUE) {
            connection.owed = Some(0);
            connection.poll_owed(context)?;
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        // Whoever is answered need not be told to go on, unless that is half said.
        if connection.owed.is_some_and(|said| said > 0) {
            connection.poll_owed(context)?;
            if connection.owed.is_some() {
                return Poll::Pending;
            }
        }
        connection.owed = None;
        // What the next request of the connection wants is its own.
        connection.work.body_is_settled();
        if connection.instead.is_none() {
            connection.instead = bare(bytes).map(|answer| (answer, 0));
        }
        let wrote = match &connection.instead {
            // Whatever was meant to be said is said.
            Some(_) => connection.poll_instead(context).map_ok(|()| bytes.len()),
            None => Pin::new(&mut connection.stream).poll_write(context, bytes),
        };
        if wrote.is_ready() {
            connection.stuck = None;
            return wrote;
        }
        let stuck = connection.stuck.get_or_insert_with(|| Box::pin(sleep(connection.patience.answer)));
        ready!(stuck.as_mut().poll(context));
        counter!("http_connections_given_up_total", "waited_for" => "answer").increment(1);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Our answer instead of the server's to a head that it could not read: the same status, as a problem and with the headers
/// that every answer carries. An answer of ours has a request id.
fn bare(bytes: &[u8]) -> Option<Vec<u8>> {
    let (kind, detail) = match bytes.get(..12)? {
        b"HTTP/1.1 400" => (&code::INVALID_REQUEST, "expected a request as RFC 9112 has it; the connection ends here"),
        b"HTTP/1.1 408" => (&code::REQUEST_TIMEOUT, "expected the headers sooner; the connection ends here"),
        b"HTTP/1.1 431" => (&code::HEADERS_TOO_LARGE, "expected fewer and shorter headers; the connection ends here"),
        _ => return None,
    };
    let text = String::from_utf8_lossy(bytes);
    if text.contains("request-id: ") || !text.ends_with("\r\n\r\n") {
        return None;
    }
    counter!("http_heads_refused_total", "status" => kind.status.to_string()).increment(1);
    Some(written(Problem::new(kind, detail).error_response()))
}

fn written(mut response: HttpResponse) -> Vec<u8> {
    let headers = response.headers_mut();
    security_headers::add(headers, "", None);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(DATE, httpdate());
    let status: StatusCode = response.status();
    let mut text = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    text.push_str(&format!("content-length: {}\r\n\r\n{}", body.len(), String::from_utf8_lossy(&body)));
    text.into_bytes()
}

/// IMF-fixdate (RFC 9110 §5.6.7).
fn httpdate() -> HeaderValue {
    let now = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&now).unwrap_or(HeaderValue::from_static(""))
}
