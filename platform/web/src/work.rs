//! Which requests of a connection are at work.

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures::Stream;
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Kept with a connection, where each of its requests finds it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: Cell<u64>,
    done: Cell<u64>,
    /// Somebody reads a body whose client waits to be told that it is wanted.
    is_body_wanted: Cell<bool>,
    /// Who tells it.
    connection: RefCell<Option<Waker>>,
}

/// A request is at work until this is dropped.
#[derive(Debug)]
pub(crate) struct AtWork(Work);

impl Work {
    /// A request has arrived.
    pub fn begin(&self) -> AtWork {
        self.0.begun.set(self.0.begun.get() + 1);
        AtWork(self.clone())
    }

    /// A body is read whose client may wait for `100 Continue`.
    pub fn want_body(&self) {
        self.0.is_body_wanted.set(true);
        if let Some(connection) = self.0.connection.take() {
            connection.wake();
        }
    }

    /// Is a body read whose client may wait?
    pub fn is_body_wanted(&self) -> bool {
        self.0.is_body_wanted.get()
    }

    /// Its client was told, or need not be.
    pub fn body_is_settled(&self) {
        self.0.is_body_wanted.set(false);
    }

    /// Who is to be woken when a body is wanted.
    pub fn wakes(&self, waker: &Waker) {
        *self.0.connection.borrow_mut() = Some(waker.clone());
    }

    /// Is any request at work?
    pub fn is_on(&self) -> bool {
        self.0.begun.get() != self.0.done.get()
    }

    /// How many requests were answered.
    pub fn done(&self) -> u64 {
        self.0.done.get()
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let done = &self.0.0.done;
        done.set(done.get() + 1);
    }
}

/// A body that says when it is first asked for.
pub(crate) struct Asks {
    body: Payload,
    work: Work,
    has_asked: Rc<Cell<bool>>,
}

impl Asks {
    /// Also answers where it is told that it has asked.
    pub fn around(body: Payload, work: Work) -> (Payload, Rc<Cell<bool>>) {
        let has_asked = Rc::new(Cell::new(false));
        let asks = Self { body, work, has_asked: has_asked.clone() };
        (Payload::Stream { payload: Box::pin(asks) }, has_asked)
    }
}

impl Stream for Asks {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.has_asked.replace(true) {
            self.work.want_body();
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}

pin_project! {
    /// An answer whose request is at work until its last byte is handed over, which for a stream may take for ever.
    #[derive(Debug)]
    pub struct Working<B> {
        #[pin]
        pub(crate) body: B,
        pub(crate) at_work: Option<AtWork>,
    }
}

impl<B: MessageBody> MessageBody for Working<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, at_work } = self;
        body.try_into_bytes().map_err(|body| Self { body, at_work })
    }
}
