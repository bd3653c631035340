//! The pages that browsers are shown: where a login cannot go on, one that leads back, because no program is there.

use crate::login::Login;
use ::web::Problem;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};

/// Why a login cannot go on, and where it begins again, if that is known.
pub struct Stopped {
    problem: Problem,
    again: Option<String>,
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self { problem, again: None }
    }
}

impl Stopped {
    /// The same login can be begun at this address.
    pub fn again(mut self, address: String) -> Self {
        self.again = Some(address);
        self
    }

    /// The page, or the problem for a program that asks for one.
    pub fn answer(self, login: &Login, request: &HttpRequest) -> HttpResponse {
        let wanted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if wanted.contains("json") && !wanted.contains("text/html") {
            return self.problem.error_response();
        }
        let link = |address: &str, text: &str| format!(r#"<p><a href="{}">{text}</a></p>"#, escaped(address));
        let again = self.again.iter().map(|address| link(address, "Log in again")).collect::<String>();
        let text =
            format!("<p>{}</p>{again}{}", escaped(self.problem.detail()), link(&login.app_url, "Back to the app"));
        page(HttpResponse::build(self.problem.status()), "Log in", &text, "")
    }
}

/// As text in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page that runs nothing, loads nothing and is shown in no frame; its form leads to us and on to this origin.
pub(crate) fn page(mut response: HttpResponseBuilder, title: &str, body: &str, onward: &str) -> HttpResponse {
    let policy = format!("default-src 'none'; form-action 'self' {onward}; frame-ancestors 'none'; base-uri 'none'");
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, policy.trim().to_owned()));
    response.content_type("text/html; charset=utf-8").body(format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>{title}</title></head><body><main>{body}</main></body></html>"#
    ))
}

/// What a browser shows under this name.
pub(crate) fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    Some(request.cookie(name)?.value().to_owned())
}
