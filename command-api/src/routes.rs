//! The two paths that every command goes through, and the table that says which command is meant.

use crate::respond;
use ::web::{Admission, BodyLimits, Caller, Problem, RequestInfo, code, expected_versions, read_json};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use credentials::{Refusal, Refusals, ShownKey, Who};
use event_store::{CommandBus, CommandInfo, Executed, IdempotencyKey, Request, Tell, fingerprint};
use kernel::{TellEntry, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Everything a request needs.
pub struct Api {
    bus: CommandBus,
    /// By collection path, then by the action as it stands in the URL; the empty action starts something.
    commands: HashMap<&'static str, HashMap<String, CommandInfo>>,
    limits: BodyLimits,
    admission: Admission,
    refusals: Refusals,
    /// Where query-api is, without a slash at the end; empty if it is where this is.
    records_at: String,
    /// Whoever knows what answers tell besides, by command.
    tells: HashMap<&'static str, Arc<dyn Tell>>,
}

/// What an answer tells besides, and who knows it.
type Telling = (TellEntry, Arc<dyn Tell>);

impl Api {
    /// Routes every command that is mounted on `bus`; `admission` says how many are in work at once.
    pub fn new(bus: CommandBus, limits: BodyLimits, admission: Admission) -> Self {
        let all: Vec<CommandInfo> = bus.commands().copied().collect();
        let mut commands: HashMap<&'static str, HashMap<String, CommandInfo>> = HashMap::new();
        for info in &all {
            commands.entry(info.path).or_default().insert(action_of(&all, info), *info);
        }
        Self {
            bus,
            commands,
            limits,
            admission,
            refusals: Refusals::default(),
            records_at: String::new(),
            tells: HashMap::new(),
        }
    }

    /// Says where clients find query-api, which shows what commands make: `https://query.example.com`.
    #[must_use]
    pub fn with_records_at(mut self, url: &str) -> Self {
        url.trim_end_matches('/').clone_into(&mut self.records_at);
        self
    }

    /// Says who knows what the answers to some commands tell besides. Without anybody who knows, such a command is refused before
    /// anything is done.
    #[must_use]
    pub fn telling(mut self, tell: Arc<dyn Tell>) -> Self {
        self.tells.extend(tell.commands().iter().map(|name| (*name, tell.clone())));
        self
    }

    /// Who was refused what, for whoever writes that down.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Notes for the audit trail that somebody was refused a change, if that is what the problem says. What the record's state
    /// forbids, what does not exist and what nobody can be blamed for are none of that.
    fn note(&self, request: &HttpRequest, who: Option<Who>, problem: &Problem) {
        let Some((info, id, _)) = self.route(request.match_info().query("path")) else { return };
        let audited = |code: &str| info.rejections.iter().any(|entry| entry.audited && entry.code == code);
        let about_rights = matches!(problem.code(), "forbidden" | "csrf-refused") || audited(problem.code());
        let (who, detail) = match problem.kept_out() {
            Some(kept_out) => kept_out,
            None if about_rights => match who {
                Some(who) => (who, problem.detail()),
                None => return,
            },
            None => return,
        };
        let about = request.extensions().get::<RequestInfo>().map(|about| (about.id, about.client));
        self.refusals.note(Refusal {
            who,
            permission: info.entry.name,
            aggregate_type: info.entry.stream,
            aggregate_id: id.and_then(|id| id.parse().ok()),
            reason: problem.code().to_owned(),
            detail: detail.to_owned(),
            correlation_id: about.map_or_else(Uuid::now_v7, |(id, _)| id),
            client_address: about.map(|(_, client)| client),
        });
    }

    /// What the answer to a command tells besides, and who knows it.
    fn tells(&self, info: &CommandInfo) -> Result<Option<Telling>, Problem> {
        let Some(entry) = info.entry.tells else { return Ok(None) };
        match self.tells.get(info.entry.name) {
            Some(tell) => Ok(Some((entry, tell.clone()))),
            None => {
                let detail = format!("nothing here can tell the {} of {}", entry.name, info.entry.name);
                Err(Problem::new(&code::NOT_SET_UP, detail))
            }
        }
    }

    /// The command at a path below `/v1/`, with the id that the path names.
    fn route<'p>(&self, path: &'p str) -> Option<(CommandInfo, Option<&'p str>, &'static str)> {
        let (context, rest) = path.split_once('/')?;
        let (collection, rest) =
            rest.split_once('/').map_or((rest, None), |(collection, rest)| (collection, Some(rest)));
        let commands = self.commands.get(&path[..context.len() + 1 + collection.len()])?;
        let (action, id, template) = match rest.map(|rest| rest.split_once('/').ok_or(rest)) {
            None => ("", None, "/v1/{context}/{collection}"),
            // The empty action has no slash before it.
            Some(Err("")) => return None,
            Some(Err(action)) => (action, None, "/v1/{context}/{collection}/{action}"),
            Some(Ok((id, action))) => (action, Some(id), "/v1/{context}/{collection}/{id}/{action}"),
        };
        let info = commands.get(action)?;
        (info.entry.creates == id.is_none()).then_some((*info, id, template))
    }
}

/// The part of the URL that names the command: empty for an aggregate's first creation.
pub(crate) fn action_of(all: &[CommandInfo], info: &CommandInfo) -> String {
    if info.entry.creates && first_creation(all, info) { String::new() } else { info.entry.action.replace('_', "-") }
}

/// The creation with the shortest name is the plain one: `create` before `create_from_template`.
fn first_creation(all: &[CommandInfo], info: &CommandInfo) -> bool {
    let creations = all.iter().filter(|other| other.path == info.path && other.entry.creates);
    creations.min_by_key(|other| other.entry.action.len()).is_some_and(|first| first.entry.name == info.entry.name)
}

/// Adds the routes to a service. The paths below are in a table of our own: one look-up each, where a router would try
/// one pattern after the other.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    config.app_data(api);
    config.service(
        web::resource("/v1/{path:.*}").route(web::post().to(command)).default_service(web::route().to(wrong_method)),
    );
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    if request.method() == Method::POST {
        return Problem::new(&code::NOT_FOUND, format!("no command at {}", request.path())).error_response();
    }
    let detail = format!("{} takes POST only; questions go to query-api", request.path());
    let mut response = Problem::new(&code::METHOD_NOT_ALLOWED, detail).error_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn command(
    api: Data<Api>,
    caller: Result<Caller, Problem>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let who = caller.as_ref().ok().map(Caller::who);
    let answer = match caller {
        Ok(caller) => perform(api.clone(), caller, &request, payload).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &answer {
        api.note(&request, who, problem);
    }
    answer
}

/// What costs little comes first: token, permission, headers and size are looked at before a place in work is asked for,
/// and nobody holds one whose body is still on its way.
async fn perform(
    api: Data<Api>,
    caller: Caller,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no command at {}", request.path()));
    let (info, id, template) = api.route(request.match_info().query("path")).ok_or_else(unknown)?;
    RequestInfo::set_route(request, template);
    // Whether it reaches this very record, the store says, which knows what the record belongs to.
    let reach = caller.reach(info.entry.name)?;
    // An id that is none cannot belong to anything.
    let id = match id {
        Some(id) => Some(id.parse::<Uuid>().map_err(|_| unknown())?),
        None => None,
    };
    let tells = api.tells(&info)?;
    let key = idempotency_key(request.headers())?;
    if key.is_none() && info.entry.creates {
        let detail = "send an Idempotency-Key header, so that a repeat creates nothing twice";
        return Err(Problem::new(&code::IDEMPOTENCY_KEY_REQUIRED, detail));
    }
    let expected_versions = expected_versions(request.headers())?;
    let body = read_json(request, payload, api.limits).await?.0;
    let permit = api.admission.admit(caller.tenant).await?;
    let idempotency = key.map(|key| IdempotencyKey {
        scope: caller.scope(),
        key,
        fingerprint: fingerprint(info.entry.name, id, &body),
    });
    let about = request.extensions().get::<RequestInfo>().cloned();
    let mut command = Request {
        idempotency,
        expected_versions,
        correlation_id: about.as_ref().map_or_else(Uuid::now_v7, |a| a.id),
        traceparent: about.and_then(|a| a.traceparent),
        permissions: Some(caller.permissions.clone()),
        ..Request::new(caller.tenant, caller.actor())
    };
    let mut shown = None;
    if let Some(prefix) = info.entry.mints {
        let (text, secret) = ShownKey::mint(prefix, caller.tenant, id.unwrap_or(command.command_id));
        (shown, command.secret) = (Some(text), Some(secret));
    }
    // Detached, so that a client that hangs up cannot leave a command half-way; the permit goes with the work.
    let span = tracing::Span::current();
    let at_work = api.clone();
    let tenant = caller.tenant;
    let work = async move {
        let executed = at_work.bus.execute(&info, id, body, command).await;
        drop(permit);
        let executed = executed?;
        let told = match tells {
            Some((entry, tell)) => Some((entry.name, told(&*tell, tenant, &info, &executed).await)),
            None => None,
        };
        Ok((executed, told))
    };
    let done = tokio::spawn(tracing::Instrument::instrument(work, span)).await;
    match done {
        Ok(Ok((executed, told))) => {
            let told = told.map(|(name, told)| told.map(|told| (name, told))).transpose()?;
            Ok(respond::done(&info, &executed, shown.as_deref(), told.as_ref(), &api.records_at))
        }
        Ok(Err(error)) => Err(respond::problem(&info, error, &reach)),
        Err(panic) => {
            tracing::error!(error = %panic, command = info.entry.name, "a command panicked");
            Err(Problem::new(&code::FAULT, "the command failed on our side"))
        }
    }
}

/// What the answer tells besides. The command is done whether or not that can be told now.
async fn told(
    tell: &dyn Tell,
    tenant: TenantId,
    info: &CommandInfo,
    executed: &Executed,
) -> Result<serde_json::Value, Problem> {
    tell.tell(tenant, executed).await.map_err(|error| {
        tracing::error!(command = info.entry.name, error = format!("{error:#}"), "an answer cannot be told whole");
        Problem::new(
            &code::UNAVAILABLE,
            "it is done, but the answer cannot be told; repeat with the same idempotency key",
        )
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.chars().all(|c| c.is_ascii_graphic()) => {
            Ok(Some(key.to_owned()))
        }
        _ => {
            let detail = "Idempotency-Key: expected 1 to 255 visible ASCII characters";
            Err(Problem::new(&code::INVALID_HEADER, detail))
        }
    }
}
