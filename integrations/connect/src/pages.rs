//! The pages that browsers are shown where connecting cannot go on.

use crate::desk::Desk;
use ::web::{Problem, code, may_say_of_this};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

/// Runs nothing, loads nothing, is shown in no frame.
const POLICY: &str = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Why connecting cannot go on, and where it can.
pub struct Stopped {
    problem: Problem,
    ways_on: Vec<(String, String)>,
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self { problem, ways_on: vec![] }
    }
}

impl Stopped {
    /// It can go on at this address, with these words on the link.
    pub fn or(mut self, address: String, words: impl Into<String>) -> Self {
        self.ways_on.push((address, words.into()));
        self
    }

    /// The page, or the problem for a program that asks for one.
    pub fn answer(self, desk: &Desk, request: &HttpRequest) -> HttpResponse {
        let wanted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if wanted.contains("json") && !wanted.contains("text/html") {
            return self.problem.error_response();
        }
        let link = |(address, words): &(String, String)| {
            format!(r#"<p><a href="{}">{}</a></p>"#, escaped(address), escaped(words))
        };
        let back = (desk.app_url.clone(), "Back to the app".to_owned());
        let links: String = self.ways_on.iter().chain([&back]).map(link).collect();
        let detail = escaped(self.problem.detail());
        HttpResponse::build(self.problem.status())
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .content_type("text/html; charset=utf-8")
            .body(format!(
                r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>Connect</title></head><body><main><p>{detail}</p>{links}</main></body></html>"#
            ))
    }
}

/// What came back from a provider is of no use: why, for the log, and what the person is told.
pub fn refused(why: &str, told: &str) -> Problem {
    if may_say_of_this() {
        tracing::info!(why, "a provider was not connected");
    }
    Problem::new(&code::CONNECT_REFUSED, told)
}

/// Something of ours is away.
pub fn unavailable(error: &anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a provider cannot be connected");
    Problem::new(&code::UNAVAILABLE, "connecting is not possible at the moment; repeat in a moment")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
