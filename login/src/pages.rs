//! What somebody sees whose login cannot go on: a page that leads back, because a browser is there and no program.

use crate::portal::page;
use crate::routes::Login;
use ::web::Problem;
use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

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
