//! The pages of a login in the OpenAPI document.

use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use serde_json::{Map, Value, json};

/// Adds the operations.
pub fn describe(document: &mut Document) {
    let query = |name: &str, required: bool, about: &str| json!({ "name": name, "in": "query", "required": required, "description": about, "schema": { "type": "string" } });
    let start = json!([
        query("tenant", false, "The firm's id; without it the one that knows the person, or a choice."),
        query("provider", true, "Its name in the settings."),
        query("redirect_to", false, "A path of the app to come back to."),
    ]);
    const START: &[&ProblemCode] = &[&code::INVALID_PARAMETER];
    let operation = Page { id: "login.start", summary: "Sends a browser to a provider." };
    let start = operation.of(document, start, to("303", "To the provider.", &["Location", "Set-Cookie"]), &[START]);
    document.operation("/v1/login/start", "get", start);

    let back = json!([
        query("state", false, "What the provider was given."),
        query("code", false, "What the provider gave."),
        query("iss", false, "Which provider it was."),
        query("error", false, "Why there is no code."),
    ]);
    const BACK: &[&ProblemCode] = &[&code::LOGIN_REFUSED, &code::FORBIDDEN];
    let operation = Page { id: "login.callback", summary: "Where a provider sends the browser back to." };
    let answer = to("303", "To the app, with a session.", &["Location", "Set-Cookie"]);
    let back = operation.of(document, back, answer, &[BACK]);
    document.operation("/v1/login/callback", "get", back);

    sessions(document);
    portal(document);
}

/// One operation.
struct Page {
    id: &'static str,
    summary: &'static str,
}

/// Where a browser is by itself, without a program that would read a problem.
const WITH_PAGES: [&str; 3] = ["login.start", "login.callback", "login.choice"];

impl Page {
    fn about(&self) -> String {
        match WITH_PAGES.contains(&self.id) {
            true => format!("{} What goes wrong is shown as a page, unless `Accept` asks for JSON.", self.summary),
            false => self.summary.to_owned(),
        }
    }

    /// What anybody may ask for.
    fn of(
        &self,
        document: &mut Document,
        parameters: Value,
        ok: Map<String, Value>,
        own: &[&[&'static ProblemCode]],
    ) -> Value {
        let name: String = self.id.split(['.', '_']).map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let kinds: Vec<&&ProblemCode> =
            [openapi::EVERYWHERE, openapi::AT_WORK].into_iter().chain(own.iter().copied()).flatten().collect();
        let mut responses = ok;
        responses.extend(document.problems(&name, kinds, &[]));
        json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": self.about(),
            "tags": ["login"],
            "security": [],
            "parameters": parameters,
            "responses": responses,
        })
    }
}

/// An answer without a body, and what it carries.
fn to(status: &str, about: &str, headers: &[&str]) -> Map<String, Value> {
    let mut carried = Map::from_iter([openapi::request_id()]);
    for name in headers {
        let about = if *name == "Location" { "Where to." } else { "The session, or its end." };
        carried.insert((*name).to_owned(), json!({ "description": about, "schema": { "type": "string" } }));
    }
    Map::from_iter([(status.to_owned(), json!({ "description": about, "headers": carried }))])
}

fn with_content(mut answer: Map<String, Value>, media_type: &str, schema: &Value) -> Map<String, Value> {
    for response in answer.values_mut() {
        response["content"] = json!({ media_type: { "schema": schema } });
    }
    answer
}

fn sessions(document: &mut Document) {
    let uuid = |about: &str| json!({ "type": "string", "format": "uuid", "description": about });
    let schema = document.component("LoginSession", json!({
        "type": "object",
        "description": "Whom a browser's session speaks for: a user or a portal user.",
        "required": ["id", "tenant_id", "ends_at", "csrf_token"],
        "properties": {
            "id": uuid("the session"),
            "tenant_id": uuid("the firm"),
            "user_id": uuid("the user, if it is one"),
            "portal_user_id": uuid("the portal user, if it is one"),
            "ends_at": { "type": ["string", "null"], "format": "date-time", "description": "when it ends at the latest" },
            "csrf_token": { "type": "string", "description": "what a page shows in X-CSRF-Token when it asks for a change" },
        },
    }));
    const KNOWN: &[&ProblemCode] = &[&code::UNAUTHENTICATED, &code::FORBIDDEN];
    let operation = Page { id: "login.session", summary: "Whom the browser's session speaks for." };
    let answer = with_content(to("200", "The session.", &[]), "application/json", &schema);
    let mut current = operation.of(document, json!([]), answer, &[KNOWN]);
    current["security"] = openapi::in_session(false);
    document.operation("/v1/login/session", "get", current);

    let operation = Page { id: "login.logout", summary: "Ends the browser's session." };
    let mut logout =
        operation.of(document, json!([]), to("204", "It is over.", &["Set-Cookie"]), &[openapi::WHERE_ONE_IS_KNOWN]);
    logout["security"] = openapi::in_session(true);
    document.operation("/v1/login/logout", "post", logout);

    let choice = form(
        document,
        "LoginChoice",
        "Which firm.",
        json!({
            "choice": { "type": "string", "description": "what the page holds" },
            "tenant": uuid("the firm"),
        }),
    );
    let operation = Page {
        id: "login.choice",
        summary: "What the page does that asks which firm somebody wants to go to who is known to several.",
    };
    const CHOICE: &[&ProblemCode] = &[&code::LOGIN_REFUSED, &code::FORBIDDEN, &code::INVALID_INPUT];
    let answer = to("303", "To the app, with a session.", &["Location", "Set-Cookie"]);
    let mut chosen = operation.of(document, json!([]), answer, &[CHOICE]);
    chosen["requestBody"] = choice;
    document.operation("/v1/login/choice", "post", chosen);
}

fn form(document: &mut Document, name: &str, about: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    let schema = document.component(name, schema);
    json!({ "required": true, "content": { "application/x-www-form-urlencoded": { "schema": schema } } })
}

fn portal(document: &mut Document) {
    let schema = document.component(
        "MagicLinkRequest",
        json!({
            "type": "object",
            "description": "Who asks for a link.",
            "required": ["tenant", "email"],
            "additionalProperties": false,
            "properties": {
                "tenant": { "type": "string", "format": "uuid", "description": "the firm" },
                "email": { "type": "string", "format": "idn-email", "description": "the person's address" },
            },
        }),
    );
    let noted = document.component(
        "MagicLinkNoted",
        json!({
            "type": "object", "description": "Nothing is said about whether there is such a person.", "properties": {},
        }),
    );
    let operation = Page {
        id: "login.magic_link",
        summary: "Sends a portal user a link to come in, if there is one with this address; answered the same if not.",
    };
    let answer = with_content(to("202", "Noted.", &[]), "application/json", &noted);
    let mut ask = operation.of(document, json!([]), answer, &[openapi::WITH_BODY]);
    ask["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    document.operation("/v1/login/portal/link", "post", ask);

    let text = json!({ "type": "string" });
    let html = |status: &str, about: &str| with_content(to(status, about, &[]), "text/html", &text);
    let link = json!([{ "name": "link", "in": "query", "required": true, "description": "What the letter holds.", "schema": text }]);
    let operation = Page {
        id: "login.portal_page",
        summary: "Where the link leads: a page with a button. Opening it uses nothing up.",
    };
    let mut answers = html("200", "The page.");
    answers.extend(html("410", "This is no link."));
    let open = operation.of(document, link, answers, &[]);
    document.operation("/v1/login/portal", "get", open);

    let pressed = form(
        document,
        "MagicLinkPressed",
        "What the page holds.",
        json!({
            "link": { "type": "string", "description": "the link" }, "page": { "type": "string", "description": "which page it is" },
        }),
    );
    let operation =
        Page { id: "login.portal", summary: "What the button does: uses the link up, and lets its person in." };
    let mut answers = to("303", "To the portal, with a session.", &["Location", "Set-Cookie"]);
    answers.extend(html("410", "The link is of no use, or not any more."));
    let mut press = operation.of(document, json!([]), answers, &[&[&code::INVALID_INPUT]]);
    press["requestBody"] = pressed;
    document.operation("/v1/login/portal", "post", press);
}
