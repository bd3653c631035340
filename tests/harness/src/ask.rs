//! Asking over HTTP, as whoever shows something.

use crate::{APP, Answer, Session, TestApp, send};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use uuid::Uuid;

/// What somebody shows so as to come in.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'s> {
    /// Nothing at all.
    Nothing,
    /// A token or a key.
    Bearer(&'s str),
    /// A session, on one of our pages.
    Session(&'s Session),
}

impl<'s> From<&'s str> for Shown<'s> {
    fn from(bearer: &'s str) -> Self {
        Self::Bearer(bearer)
    }
}

impl<'s> From<&'s String> for Shown<'s> {
    fn from(bearer: &'s String) -> Self {
        Self::Bearer(bearer)
    }
}

impl<'s> From<Option<&'s str>> for Shown<'s> {
    fn from(bearer: Option<&'s str>) -> Self {
        bearer.map_or(Self::Nothing, Self::Bearer)
    }
}

impl<'s> From<&'s Session> for Shown<'s> {
    fn from(session: &'s Session) -> Self {
        Self::Session(session)
    }
}

impl Shown<'_> {
    fn on(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Bearer(bearer) => request.bearer_auth(bearer),
            Self::Session(Session { cookie, csrf }) => {
                request.header("cookie", cookie).header("origin", APP).header(web::session::CSRF_HEADER, csrf)
            }
        }
    }
}

impl TestApp {
    /// A question, which may be given more headers; [`send`] asks it.
    pub fn question<'s>(&self, path: &str, shown: impl Into<Shown<'s>>) -> RequestBuilder {
        shown.into().on(self.http.get(format!("{}{path}", self.queries)))
    }

    /// A command without its body and its key; [`send`] gives it.
    pub fn order<'s>(&self, path: &str, shown: impl Into<Shown<'s>>) -> RequestBuilder {
        shown.into().on(self.http.post(format!("{}{path}", self.commands)))
    }

    /// What a question is answered.
    pub async fn get<'s>(&self, path: &str, shown: impl Into<Shown<'s>>) -> Answer {
        send(self.question(path, shown)).await
    }

    /// What a command is answered; its key is new.
    pub async fn post<'s>(&self, path: &str, shown: impl Into<Shown<'s>>, body: &(impl Serialize + ?Sized)) -> Answer {
        let key = Uuid::now_v7().to_string();
        send(self.order(path, shown).header("idempotency-key", key).json(body)).await
    }

    /// What an operation of whichever service is answered: questions take no body.
    pub async fn ask<'s>(
        &self,
        method: &Method,
        path: &str,
        shown: impl Into<Shown<'s>>,
        body: impl Serialize,
    ) -> (u16, serde_json::Value) {
        match *method == Method::GET {
            true => self.get(path, shown).await.told(),
            false => self.post(path, shown, &body).await.told(),
        }
    }
}
