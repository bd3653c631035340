//! The command half of the OpenAPI document, from the catalogue of commands.

use crate::routes::action_of;
use ::web::openapi::{self, Document, OwnCode};
use ::web::{ProblemCode, code};
use event_store::CommandInfo;
use kernel::{CommandEntry, Flag, PartEntry};
use serde_json::{Map, Value, json};

/// These commands as operations, and what `more` adds.
pub fn openapi(commands: &[CommandInfo], more: impl FnOnce(&mut Document)) -> Value {
    let mut document = describe(commands);
    more(&mut document);
    document.finish(
        "UBOS commands",
        "Every way to change something. A command answers with a position; a query that waits for it sees the effect.",
    )
}

fn describe(commands: &[CommandInfo]) -> Document {
    let mut document = Document::of_requests();
    let answers = Answers::of(&mut document);
    for info in commands {
        let action = action_of(commands, info);
        let path = match (info.entry.creates, action.is_empty()) {
            (true, true) => format!("/v1/{}", info.path),
            (true, false) => format!("/v1/{}/{action}", info.path),
            (false, _) => format!("/v1/{}/{{id}}/{action}", info.path),
        };
        let operation = operation(&mut document, info, &answers);
        document.operation(&path, "post", operation);
    }
    document
}

/// What commands answer.
struct Answers {
    plain: Value,
    with_secret: Value,
}

impl Answers {
    fn of(document: &mut Document) -> Self {
        let mut with_secret = answer("What a command did that made a secret.");
        let about = "shown this once; the answer to a repeat with the same Idempotency-Key has none";
        with_secret["properties"]["secret"] = json!({ "type": "string", "description": about });
        Self {
            plain: document.component("CommandAnswer", answer("What a command did.")),
            with_secret: document.component("CommandAnswerWithSecret", with_secret),
        }
    }
}

fn answer(about: &str) -> Value {
    let number = |least: u32, about: &str| json!({ "type": "integer", "format": "int64", "minimum": least, "description": about });
    json!({
        "type": "object",
        "description": about,
        "required": ["id", "version", "position"],
        "properties": {
            "id": { "type": "string", "format": "uuid", "description": "the record" },
            "version": number(1, "the record's version after the command"),
            "position": number(0, "for the Min-Position header of a query"),
        },
    })
}

/// What a command answers that makes parts of the record.
fn with_parts(makes: &[PartEntry]) -> Value {
    let mut answer = answer("What a command did, and the ids of the parts that it made.");
    for part in makes {
        answer["properties"][part.name] = if part.is_list() {
            let id = json!({ "type": "string", "format": "uuid" });
            json!({ "type": "array", "items": id, "description": "the parts that were made with it, in order" })
        } else {
            json!({ "type": "string", "format": "uuid", "description": "the part that was made, now or at an earlier time" })
        };
        if let Some(required) = answer["required"].as_array_mut() {
            required.extend(part.always.then(|| json!(part.name)));
        }
    }
    answer
}

fn operation(document: &mut Document, info: &CommandInfo, answers: &Answers) -> Value {
    let entry = info.entry;
    let mut parameters = vec![openapi::header(
        "Idempotency-Key",
        entry.creates,
        "The same key with the same body gets the stored answer.",
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
    )];
    if !entry.creates {
        let id = json!({ "type": "string", "format": "uuid" });
        parameters
            .push(json!({ "name": "id", "in": "path", "required": true, "description": "The record.", "schema": id }));
        let about = "Tags of the record as it was read, or of commands: another version is answered 412.";
        parameters.push(openapi::header("If-Match", false, about, json!({ "type": "string", "examples": ["\"3\""] })));
    }
    let body = (entry.component)(document.generator()).to_value();
    // Who leaves the body out sends `{}`, which a body with required members is not.
    let is_required = (entry.schema)().get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    let mut headers = Map::from_iter([
        ("ETag".to_owned(), text("The record's version, for If-Match.")),
        ("Idempotency-Replayed".to_owned(), text("`true` if this is the stored answer.")),
        openapi::request_id(),
    ]);
    if entry.creates {
        headers.insert("Location".to_owned(), text("Where query-api shows the record."));
    }
    let schema = match (entry.mints, entry.makes, entry.tells) {
        (Some(_), ..) => answers.with_secret.clone(),
        (None, [], None) => answers.plain.clone(),
        (None, makes, tells) => {
            let mut answer = with_parts(makes);
            if let Some(tells) = tells {
                answer["properties"][tells.name] = (tells.component)(document.generator()).to_value();
                if let Some(required) = answer["required"].as_array_mut() {
                    required.push(json!(tells.name));
                }
            }
            document.component(&format!("{}Answer", named(entry)), answer)
        }
    };
    let mut responses = Map::new();
    responses.insert(
        if entry.creates { "201" } else { "200" }.to_owned(),
        json!({
            "description": if entry.creates { "It is there." } else { "It is done, or was so already." },
            "headers": headers,
            "content": { "application/json": { "schema": schema } },
        }),
    );
    responses.extend(document.problems(&named(entry), kinds(entry), &own(info)));
    let context = entry.stream.split('.').next().unwrap_or_default();
    json!({
        "operationId": entry.name,
        "summary": entry.summary,
        "description": format!("{} Needs the permission `{}`.", entry.summary, entry.name),
        "tags": [context],
        "x-permission": entry.name,
        "parameters": parameters,
        "requestBody": { "required": is_required, "content": { "application/json": { "schema": body } } },
        "responses": responses,
    })
}

/// `crm.client.change_status` as generated clients call it: `ClientChangeStatus`.
fn named(entry: &CommandEntry) -> String {
    let words = entry.name.split(['.', '_']).skip(1).map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}

fn kinds(entry: &CommandEntry) -> Vec<&'static &'static ProblemCode> {
    let of_all: [&'static [&'static ProblemCode]; 5] = [
        openapi::EVERYWHERE,
        openapi::WHERE_ONE_IS_KNOWN,
        openapi::WITH_BODY,
        openapi::AT_WORK,
        &[&code::IDEMPOTENCY_KEY_REUSED, &code::CONFLICT],
    ];
    let own: &'static [&'static ProblemCode] = match entry.creates {
        true => &[&code::IDEMPOTENCY_KEY_REQUIRED, &code::ALREADY_EXISTS],
        false => &[&code::NOT_FOUND, &code::VERSION_MISMATCH],
    };
    let told: &'static [&'static ProblemCode] = if entry.tells.is_some() { &[&code::NOT_SET_UP] } else { &[] };
    of_all.into_iter().flatten().chain(own).chain(told).collect()
}

/// The command's own codes: rejections, claims that others may hold, flags that others may have put up.
fn own(info: &CommandInfo) -> Vec<OwnCode> {
    let own = info.entry.refusals.iter().map(|code| {
        if let Some(rejection) = info.rejections.iter().find(|rejection| rejection.code == *code) {
            let status = if rejection.invalid.is_some() { code::INVALID_INPUT.status } else { code::REJECTED.status };
            return OwnCode { status, code, about: rejection.message.to_owned() };
        }
        if let Some(flag) = Flag::named(code) {
            return OwnCode { status: code::REJECTED.status, code, about: flag.message.to_owned() };
        }
        let what = code.trim_end_matches(".taken").rsplit('.').next().unwrap_or_default();
        OwnCode { status: code::TAKEN.status, code, about: format!("Another record of the firm holds this {what}.") }
    });
    own.collect()
}
