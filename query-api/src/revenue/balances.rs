//! What a client owes, and what the firm owes it: a line for each currency.

use crate::api::Api;
use crate::given::{Given, pairs};
use crate::operation::{Operation, found, min_position, parameter, problems};
use crate::permissions::BALANCES;
use crate::question::{Needs, Question, ask};
use crate::reply::unreadable;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use kernel::{ClientId, FieldCode, InvalidValue, Reach, Scope};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

/// Balances.
pub(crate) struct Balances;

impl Question for Balances {
    const PATH: &'static str = "/v1/revenue/balances";
    const ID: &'static str = "revenue.balance.list";
    const READ: Needs<'static> = Needs::Permission(BALANCES);
    const ABOUT: &'static str =
        "What is open, what of it is overdue, and what credit is not used: of a client, or of all of them together.";
    // $2 is the client, or null. Sums are as long as they have to be.
    const SQL: &'static str = "
        select coalesce((
            select json_agg(json_build_object(
                'currency', b.currency, 'outstanding_minor', b.outstanding, 'overdue_minor', b.overdue,
                'unallocated_credit_minor', b.credit) order by b.currency)
            from (
                select p.currency, sum(p.outstanding) as outstanding, sum(p.overdue) as overdue, sum(p.credit) as credit
                from (
                    select r.currency, r.outstanding_minor as outstanding,
                           case when r.status = 'overdue' then r.outstanding_minor else 0 end as overdue, 0::bigint as credit
                    from revenue.invoices r
                    where r.tenant_id = t.tenant::uuid and r.outstanding_minor <> 0
                      and ($2::uuid is null or r.client_id = $2)
                    union all
                    select r.currency, 0, 0, r.unallocated_minor from revenue.payments r
                    where r.tenant_id = t.tenant::uuid and r.unallocated_minor <> 0
                      and ($2::uuid is null or r.client_id = $2)
                    union all
                    select r.currency, 0, 0, r.remaining_minor from revenue.credit_notes r
                    where r.tenant_id = t.tenant::uuid and r.remaining_minor <> 0
                      and ($2::uuid is null or r.client_id = $2)
                ) p
                group by p.currency
            ) b
        ), '[]'::json)";
    type Row = (Json<Value>,);
}

/// Answers it, of one client to whoever may see that client, of all to whoever may see all.
pub(crate) async fn balances(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Balances::PATH);
    let reach = caller.reach(BALANCES)?;
    let mut given = Given::of(&pairs(&request)?);
    let not_an_id = |_| InvalidValue::new(FieldCode::NotAnId, "expected the id of a client");
    let client = given.read("client_id", |text| text.parse::<ClientId>().map_err(not_an_id));
    given.nothing_else("there is client_id")?;
    let may = match client {
        Some(client) => reach.covers(&Scope::of([client.into()]), Some(caller.principal)),
        None => reach == Reach::Everything,
    };
    if !may {
        return Err(caller.denied(BALANCES));
    }
    api.has_seen("revenue", &request).await?;
    let _permit = api.admit(&caller).await?;
    let found = ask::<Balances>(&api, &caller, |asked| asked.bind(client.map(|client| client.0))).await?;
    let (Json(data),) = found.into_iter().next().ok_or_else(|| unreadable(&sqlx::Error::RowNotFound))?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({ "data": data })))
}

impl Balances {
    /// The schema of its lines.
    pub(crate) fn lines(document: &mut Document) -> Value {
        let minor = |about: &str| json!({ "type": "integer", "description": format!("{about}, in minor units.") });
        let properties = json!({
            "currency": { "type": "string", "format": "currency", "description": "The currency." },
            "outstanding_minor": minor("What is open of issued invoices"),
            "overdue_minor": minor("What of it is overdue"),
            "unallocated_credit_minor": minor("What of payments and credit notes pays for nothing yet"),
        });
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|p| p.keys()).collect();
        let balance = json!({ "type": "object", "description": "What is open in a currency.", "required": required, "properties": properties });
        let balance = document.component("Balance", balance);
        json!({ "type": "array", "items": balance, "description": "A line for each currency in which anything is open." })
    }
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let list = Balances::lines(document);
    let answer =
        json!({ "type": "object", "description": "Balances.", "required": ["data"], "properties": { "data": list } });
    let answer = document.component("Balances", answer);
    let mut responses = found("The balances.", Map::from_iter([openapi::request_id()]), &answer);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "Balances", OWN));
    let client = parameter(
        "client_id",
        "Of this client; of all together unless given.",
        json!({ "type": "string", "format": "uuid" }),
    );
    let operation = Operation::of::<Balances>(vec![client, min_position()]).answered(responses);
    document.operation(Balances::PATH, "get", operation);
}
