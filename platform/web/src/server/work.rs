//! Which requests of a connection are at work.

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Kept with a connection, where each of its requests finds it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: Cell<u64>,
    done: Cell<u64>,
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
