//! Who asks, and what they may do: what a client needs to show the right buttons, and no others.

use crate::api::Api;
use crate::operation::{Operation, found, min_position, problems};
use crate::portal;
use crate::question::{Needs, Question, read};
use crate::reply::unreadable;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use kernel::{Permissions, Principal, Reach, Resource};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

/// Finds the firm's time zone; null until the read model has the firm.
pub(crate) const TIME_ZONE: &str = "
    select (select r.time_zone from identity.tenants r where r.tenant_id = t.tenant::uuid and r.id = t.tenant::uuid)";

/// Who asks.
pub(crate) struct Me;

impl Question for Me {
    const PATH: &'static str = "/v1/identity/me";
    const ID: &'static str = "identity.me.read";
    const READ: Needs<'static> = Needs::Otherwise("Everybody who comes in may ask.");
    const ABOUT: &'static str = "Who the caller is, for which firm, with which roles and permissions.";
    // What the read models say of the caller, each null where they say nothing: $2 is the principal's id, $3 the key's.
    const SQL: &'static str = "
        select json_build_object(
            'firm', (select r.name from identity.tenants r where r.tenant_id = t.tenant::uuid and r.id = t.tenant::uuid),
            'user', (select json_build_object('name', r.name, 'email', r.email, 'roles', r.roles) from identity.users r
                     where r.tenant_id = t.tenant::uuid and r.id = $2),
            'service_account', (select json_build_object('name', r.name, 'roles', r.roles) from identity.service_accounts r
                                where r.tenant_id = t.tenant::uuid and r.id = $2),
            'owner', exists (select from identity.tenants r where r.tenant_id = t.tenant::uuid and r.owners ? ($2::uuid)::text),
            'api_key', (select json_build_object('name', r.name, 'scopes', r.scopes, 'expires_at', r.expires_at)
                        from identity.api_keys r where r.tenant_id = t.tenant::uuid and r.id = $3)
        )";
    type Row = (Json<Value>,);
}

/// A permission that does not reach everything.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Limited {
    permission: &'static str,
    /// It reaches what is the caller's own.
    own: bool,
    /// It reaches what belongs to one of these.
    resources: Vec<Resource>,
}

/// What the caller may do with everything of the firm, and with some of it.
fn effective<'n>(
    permissions: &Permissions,
    names: impl IntoIterator<Item = &'n &'static str>,
) -> (Vec<&'static str>, Vec<Limited>) {
    let (mut everything, mut limited) = (vec![], vec![]);
    for permission in names {
        match permissions.reach(permission) {
            Reach::Everything => everything.push(*permission),
            Reach::Only(limits) => {
                limited.push(Limited { permission, own: limits.own, resources: limits.resources });
            }
            Reach::Nothing => {}
        }
    }
    (everything, limited)
}

/// Everybody may ask who they are.
pub async fn me(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Me::PATH);
    crate::given::none(&request)?;
    let (kind, id) = match caller.principal {
        Principal::User { id } => ("user", id.0),
        Principal::ServiceAccount { id } => ("service_account", id.0),
        Principal::PortalUser { id } => ("portal_user", id.0),
    };
    api.has_seen("identity", &request).await?;
    if kind == "portal_user" {
        api.has_seen("portal", &request).await?;
    }
    let _permit = api.admit(&caller).await?;
    let mut known = said_of(&api, &caller, id, Me::SQL).await?;
    if kind == "portal_user" {
        known[kind] = said_of(&api, &caller, id, portal::KNOWN).await?;
    }
    let mut roles = known[kind]["roles"].as_array().cloned().unwrap_or_default();
    if kind == "user" && known["owner"] == true {
        roles.insert(0, json!("owner"));
    }
    roles.extend(caller.vouched_roles.iter().map(|role| json!(role)));
    let api_key = caller.api_key.map(|key| {
        let key_of = &known["api_key"];
        json!({
            "id": key, "name": key_of["name"], "scopes": key_of["scopes"].as_array().cloned().unwrap_or_default(),
            "expires_at": key_of["expires_at"],
        })
    });
    let (permissions, limited) = effective(&caller.permissions, api.permissions());
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({
        "tenant": { "id": caller.tenant, "name": known["firm"] },
        "principal": { "kind": kind, "id": id },
        "name": known[kind]["name"],
        "email": known[kind]["email"],
        "client_id": known[kind]["client_id"],
        "roles": roles,
        "api_key": api_key,
        "permissions": permissions,
        "limited_permissions": limited,
    })))
}

async fn said_of(api: &Api, caller: &Caller, id: Uuid, sql: &str) -> Result<Value, Problem> {
    let key = caller.api_key.map_or(Uuid::nil(), |key| key.0);
    let found: Vec<(Json<Value>,)> = read(api, caller, sql, |asked| asked.bind(id).bind(key)).await?;
    let (Json(known),) = found.into_iter().next().ok_or_else(|| unreadable(&sqlx::Error::RowNotFound))?;
    Ok(known)
}

/// Adds the operation to the OpenAPI document.
pub fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let maybe = |about: &str| json!({ "type": ["string", "null"], "description": about });
    let id = |about: &str| json!({ "type": "string", "format": "uuid", "description": about });
    let list = |about: &str, items: Value| json!({ "type": "array", "items": items, "description": about });
    let mut object = |name: &str, about: &str, properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|p| p.keys()).collect();
        let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
        document.component(name, schema)
    };
    let kind = |names: &[&str], about: &str| json!({ "type": "string", "enum": names, "description": about });
    let kinds = kind(&["client", "engagement", "project"], "What it is.");
    let reached = object("Reached", "What a right is for.", json!({ "kind": kinds, "id": id("Which one.") }));
    let own = json!({ "type": "boolean", "description": "It reaches what is the caller's own." });
    let properties = json!({
        "permission": text("Its dotted name."),
        "own": own,
        "resources": list("It reaches what belongs to one of these.", reached),
    });
    let limited = object("LimitedPermission", "A permission that does not reach everything.", properties);
    let properties = json!({
        "id": id("The key."),
        "name": maybe("What it is called."),
        "scopes": list("What it is limited to; nothing if the list is empty.", text("A pattern.")),
        "expires_at": { "type": ["string", "null"], "format": "date-time", "description": "When it ends." },
    });
    let key = object("KeyShown", "The API key that was shown.", properties);
    let properties = json!({ "id": id("Which one."), "name": maybe("What it is called, once it is registered.") });
    let firm = object("FirmOfCaller", "The firm that the caller came in for.", properties);
    let kinds = kind(&["user", "service_account", "portal_user"], "What the caller is.");
    let who = object("PrincipalOfCaller", "Who asks.", json!({ "kind": kinds, "id": id("Which one.") }));
    let roles = "The roles that the caller has, by name; what the token says while the firm is not registered.";
    let everything = "What the caller may do with everything of the firm, within the key's scopes.";
    let properties = json!({
        "tenant": firm,
        "principal": who,
        "name": maybe("What the caller is called, if that is known here."),
        "email": maybe("The caller's address; none for a service account."),
        "client_id": { "type": ["string", "null"], "format": "uuid", "description": "A portal user's client." },
        "roles": list(roles, text("A role.")),
        "api_key": { "anyOf": [key, { "type": "null" }], "description": "Null for a token or a session." },
        "permissions": list(everything, text("Its dotted name.")),
        "limited_permissions": list("What the caller may do with some of it.", limited),
    });
    let me = object("Me", "The caller.", properties);
    let mut responses = found("The caller.", Map::from_iter([openapi::request_id()]), &me);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "Me", OWN));
    document.operation(Me::PATH, "get", Operation::of::<Me>(vec![min_position()]).answered(responses));
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{ClientId, Grant};

    #[test]
    fn what_a_key_may_do_is_bounded_by_its_scopes() {
        let names = ["crm.client.read", "crm.client.rename", "crm.contact.read", "projects.task.read"];
        let client = Resource::Client { id: ClientId(Uuid::from_u128(7)) };
        let grant = Grant { pattern: "projects.*".parse().unwrap(), resource: client };
        let held = Permissions::patterns(["crm.*", "!crm.client.rename"]).granted([&grant]);
        let (everything, limited) = effective(&held, &names);
        assert_eq!(everything, ["crm.client.read", "crm.contact.read"]);
        assert_eq!(limited, [Limited { permission: "projects.task.read", own: false, resources: vec![client] }]);
        let (everything, limited) = effective(&held.within(["crm.client.*"]), &names);
        assert_eq!((everything, limited), (vec!["crm.client.read"], vec![]));
    }
}
