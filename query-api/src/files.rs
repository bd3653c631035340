//! Where a file's bytes are fetched: at the store, with a request that is good for minutes.

use crate::api::{Api, Way};
use crate::given::{self, Given};
use crate::operation::{Operation, min_position, parameter, problems};
use crate::question::{Needs, Question, read};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, LOCATION, VARY};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use kernel::{FieldCode, InvalidValue, MediaType};
use objects::{Key, Presigned};
use serde_json::{Map, json};
use uuid::Uuid;

/// What is answered for a file whose name was erased.
const NAMELESS: &str = "file";

/// Whoever sees the file in the list may fetch it.
pub(crate) struct Download;

impl Question for Download {
    const PATH: &'static str = "/v1/files/files/{id}/download";
    const ID: &'static str = "files.file.download";
    const READ: Needs<'static> = Needs::Permission("files.file.read");
    const ABOUT: &'static str = "Where a file's bytes are fetched: by a redirect, or in JSON for whoever asks for that. What is in quarantine \
                                 or deleted is nowhere.";
    // A version of another file is none of this one's.
    const SQL: &'static str = "
        select r.name, found.id, found.content_type
        from files.files r cross join lateral (
            select v.id, v.content_type from files.file_versions v
            where v.tenant_id = t.tenant::uuid and v.id = coalesce($3, r.version_id) and v.file_id = r.id offset 0
        ) found
        where r.tenant_id = t.tenant::uuid and r.id = $2 and r.status = 'available'{only}";
    type Row = (String, Uuid, String);
}

/// Answers it: 303 to the store, or 200 with the same in JSON, where a page's own script follows no redirect to another origin.
pub(crate) async fn download(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (_, _, rows) = api.table("files", "files", Way::Record, &caller, &request).await?;
    RequestInfo::set_route(&request, Download::PATH);
    let version = version(&request)?;
    let unknown = || Problem::new(&code::NOT_FOUND, format!("nothing to fetch at {}", request.path()));
    let id: Uuid = path.parse().map_err(|_| unknown())?;
    let (objects, lasts) =
        api.objects().ok_or_else(|| Problem::new(&code::NOT_SET_UP, "no files are kept in this installation"))?;
    let _permit = api.admit(&caller).await?;
    let mut arguments: Vec<String> = vec![];
    let only = rows.sql(|ids| {
        arguments.push(ids.to_owned());
        format!("($4)[{}]", arguments.len())
    });
    let only: String = only.iter().map(|only| format!(" and {only}")).collect();
    let sql = Download::SQL.replace("{only}", &only);
    let given = !arguments.is_empty();
    let found = read::<<Download as Question>::Row>(&api, &caller, &sql, |asked| {
        let asked = asked.bind(id).bind(version);
        if given { asked.bind(arguments) } else { asked }
    });
    let (name, version, content_type) = found.await?.into_iter().next().ok_or_else(unknown)?;
    let name = if name.is_empty() { NAMELESS } else { name.as_str() };
    let media_type: MediaType = content_type.parse().map_err(|_| unknown())?;
    let key = Key::of(caller.tenant, "files", "file", id, version);
    let Presigned { method, url, good_until, .. } = objects.get(&key, name, &media_type, *lasts);
    let wants_json = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_json = wants_json.is_some_and(|accept| accept.contains("application/json"));
    let mut response = if wants_json { HttpResponse::Ok() } else { HttpResponse::SeeOther() };
    // Whoever has the URL has the file.
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, "accept"));
    if !wants_json {
        return Ok(response.insert_header((LOCATION, url.as_str())).finish());
    }
    Ok(response.json(json!({
        "method": method, "url": url, "good_until": good_until, "file_name": name, "content_type": content_type,
        "version_id": version,
    })))
}

/// The version that is asked for; the current one if none is.
fn version(request: &HttpRequest) -> Result<Option<Uuid>, Problem> {
    let mut given = Given::of(&given::pairs(request)?);
    let version = given.read("version_id", |text| {
        text.parse::<Uuid>().map_err(|_| InvalidValue::new(FieldCode::NotAnId, "expected the id of a version"))
    });
    given.nothing_else("there is only version_id here")?;
    Ok(version)
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let properties = json!({
        "method": text("`GET`"),
        "url": text("Where; whoever knows it may fetch the file, without showing anything else."),
        "good_until": { "type": "string", "format": "date-time", "description": "So long it is good." },
        "file_name": text("What the file is called where it is saved."),
        "content_type": text("What it is."),
        "version_id": { "type": "string", "format": "uuid", "description": "Which version it is." },
    });
    let required: Vec<&str> = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let about = "Where a file is fetched.";
    let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    let schema = document.component("FileDownload", schema);
    let location = json!({ "description": "Where it is fetched.", "schema": { "type": "string" } });
    let headers = Map::from_iter([("Location".to_owned(), location), openapi::request_id()]);
    let mut responses =
        crate::operation::found("Where, if JSON is asked for.", Map::from_iter([openapi::request_id()]), &schema);
    responses.insert("303".to_owned(), json!({ "description": "It is fetched there.", "headers": headers }));
    const OWN: &[&ProblemCode] = &[
        &code::INVALID_PARAMETER,
        &code::NOT_FOUND,
        &code::NOT_SET_UP,
        &code::POSITION_UNKNOWN,
        &code::PROJECTION_BEHIND,
    ];
    responses.extend(problems(document, "FileDownload", OWN));
    let uuid = json!({ "type": "string", "format": "uuid" });
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "The file.", "schema": uuid });
    let parameters =
        vec![id, parameter("version_id", "Which version; the current one unless given.", uuid), min_position()];
    document.operation(Download::PATH, "get", Operation::of::<Download>(parameters).answered(responses));
}
