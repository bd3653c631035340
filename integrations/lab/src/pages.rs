//! What all have in common who collect signatures: a page on which somebody signs or does not, and papers.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use serde::Deserialize;

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What somebody decides on the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    answer: String,
    #[serde(default)]
    reason: String,
}

impl Decision {
    /// Why they will not sign.
    pub fn declined(&self) -> Option<&str> {
        (self.answer == "decline").then_some(self.reason.as_str())
    }
}

/// The page on which somebody signs.
pub(crate) fn signing_page(subject: &str, status: &str, recipient: &str) -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign</title><style>body{{font:16px system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}}button,input{{font:inherit;padding:.5rem 1rem;margin:.25rem}}</style></head><body><h1>{subject}</h1><p>The envelope is {status}. You are recipient {recipient}.</p><form method="post"><button name="answer" value="sign">Sign</button><input name="reason" placeholder="why not"><button name="answer" value="decline">Decline</button></form></body></html>"#,
        subject = escaped(subject), status = escaped(status), recipient = escaped(recipient),
    ))
}

/// Back to the page, or why not.
pub(crate) fn decided(done: Result<(), String>, page: String) -> HttpResponse {
    match done {
        Ok(()) => HttpResponse::SeeOther().insert_header((LOCATION, page)).finish(),
        Err(why) => HttpResponse::Conflict().body(why),
    }
}

/// A paper of one page with one line.
pub(crate) fn pdf(text: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 720 Td ({}) Tj ET", text.replace(['(', ')', '\\'], " "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let (mut file, mut places) = ("%PDF-1.4\n".to_owned(), vec![]);
    for (index, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let start = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    places.iter().for_each(|place| file.push_str(&format!("{place:010} 00000 n \n")));
    file.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
    file.into_bytes()
}
