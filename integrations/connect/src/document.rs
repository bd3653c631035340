//! The pages and the door in the OpenAPI document.

use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use serde_json::{Map, Value, json};

/// What providers sign what they say with.
const SIGNATURES: &[(&str, &str, &str)] = &[
    ("docusignSignature", "X-DocuSign-Signature-1", "The HMAC-SHA256 of the body, with the key of DocuSign Connect."),
    ("intuitSignature", "intuit-signature", "The HMAC-SHA256 of the body, with the verifier token of QuickBooks' app."),
    ("xeroSignature", "x-xero-signature", "The HMAC-SHA256 of the body, with the key of the app's webhooks."),
];

/// Adds the operations.
pub fn describe(document: &mut Document) {
    let parameter = |name: &str, place: &str, required: bool, about: &str, format: Option<&str>| {
        let schema =
            format.map_or_else(|| json!({ "type": "string" }), |format| json!({ "type": "string", "format": format }));
        json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
    };
    const IN_SESSION: &[&ProblemCode] = &[&code::UNAUTHENTICATED, &code::FORBIDDEN, &code::NOT_FOUND];

    let start = json!([
        parameter("connection", "query", true, "Which connection; it was created before.", Some("uuid")),
        parameter("redirect_to", "query", false, "A path of the app to come back to.", None),
        parameter(
            "account",
            "query",
            false,
            "The provider's id of the account that is meant, where several can be agreed to.",
            None
        ),
    ]);
    let page = Page {
        id: "connect.start",
        summary: "Sends a browser to the provider of a connection.",
        about: "Needs a user's session and the permission `connections.connection.begin_authorisation`. What goes wrong is shown as a page, unless `Accept` asks for JSON.",
    };
    let mut operation =
        page.of(document, start, redirect("To the provider."), &[IN_SESSION, &[&code::INVALID_PARAMETER]]);
    operation["security"] = openapi::in_session(false);
    document.operation("/v1/connect/start", "get", operation);

    let back = json!([
        parameter("state", "query", false, "What the provider was given.", None),
        parameter("code", "query", false, "What the provider gave.", None),
        parameter("error", "query", false, "Why there is no code.", None),
        parameter("realmId", "query", false, "Which company at QuickBooks somebody agreed for.", None),
    ]);
    let page = Page {
        id: "connect.callback",
        summary: "Where a provider sends the browser back to.",
        about: "Only the session that went to the provider comes back. What goes wrong is shown as a page, unless `Accept` asks for JSON.",
    };
    const BACK: &[&ProblemCode] = &[&code::CONNECT_REFUSED, &code::REJECTED, &code::TAKEN];
    let mut operation = page.of(document, back, redirect("To the app; the connection works."), &[IN_SESSION, BACK]);
    operation["security"] = openapi::in_session(false);
    document.operation("/v1/connect/callback", "get", operation);

    let whose = json!([
        parameter("provider", "path", true, "The provider's name: `xero`, `quickbooks`, `docusign`.", None),
        parameter("connection", "path", true, "The connection that the message is for.", Some("uuid")),
    ]);
    let page = Page {
        id: "connect.webhook",
        summary: "Takes in what a provider says by itself.",
        about: "For providers, which sign what they say. What they say is a hint: how things are is asked at the provider.",
    };
    const DOOR: &[&ProblemCode] = &[
        &code::UNAUTHENTICATED,
        &code::NOT_FOUND,
        &code::BODY_TOO_LARGE,
        &code::REQUEST_TIMEOUT,
        &code::INVALID_REQUEST,
    ];
    let answer = Map::from_iter([answered("200", "Taken in, now or before.", Map::new())]);
    let mut operation = page.of(document, whose, answer, &[DOOR]);
    operation["security"] = document.signed(SIGNATURES);
    operation["requestBody"] = json!({
        "required": true,
        "content": { "application/json": {
            "schema": { "type": "object", "description": "Whatever the provider says." },
            "example": { "events": [], "firstEventSequence": 0, "lastEventSequence": 0 },
        } },
    });
    document.operation("/v1/webhooks/{provider}/{connection}", "post", operation);
}

/// One operation.
struct Page {
    id: &'static str,
    summary: &'static str,
    about: &'static str,
}

impl Page {
    fn of(
        &self,
        document: &mut Document,
        parameters: Value,
        mut responses: Map<String, Value>,
        own: &[&[&'static ProblemCode]],
    ) -> Value {
        let name: String = self.id.split(['.', '_']).map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let mut kinds: Vec<&&ProblemCode> =
            [openapi::EVERYWHERE, openapi::AT_WORK].into_iter().chain(own.iter().copied()).flatten().collect();
        kinds.sort_by_key(|kind| kind.code);
        kinds.dedup_by_key(|kind| kind.code);
        responses.extend(document.problems(&name, kinds, &[]));
        json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": format!("{} {}", self.summary, self.about),
            "tags": ["connect"],
            "parameters": parameters,
            "responses": responses,
        })
    }
}

fn redirect(about: &str) -> Map<String, Value> {
    let to = json!({ "description": "Where to.", "schema": { "type": "string" } });
    Map::from_iter([answered("303", about, Map::from_iter([("Location".to_owned(), to)]))])
}

fn answered(status: &str, about: &str, mut headers: Map<String, Value>) -> (String, Value) {
    headers.extend([openapi::request_id()]);
    (status.to_owned(), json!({ "description": about, "headers": headers }))
}
