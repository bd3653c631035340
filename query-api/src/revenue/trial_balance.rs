//! What the accounts of the journal come to.

use crate::api::Api;
use crate::given::{Given, pairs};
use crate::operation::{Operation, found, min_position, parameter, problems};
use crate::question::{Needs, Question, ask};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use kernel::Date;
use serde::Serialize;
use serde_json::{Map, json};
use sqlx::FromRow;
use std::collections::BTreeMap;

/// Whoever may read the postings may add them up.
const READ: &str = "revenue.journal_posting.read";

/// What the accounts come to.
pub(crate) struct TrialBalance;

impl Question for TrialBalance {
    const PATH: &'static str = "/v1/revenue/trial-balance";
    const ID: &'static str = "revenue.trial_balance.read";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str =
        "What each account of the journal comes to, by currency, at the end of a day: all debits are all credits.";
    // $2 is the last day that counts. Sums stop at what an integer holds.
    const SQL: &'static str = "
        select r.currency, r.account, r.account_code, least(sum(r.debit_minor), 9223372036854775807)::bigint as debit_minor,
               least(sum(r.credit_minor), 9223372036854775807)::bigint as credit_minor
        from revenue.journal_postings r
        where r.tenant_id = t.tenant::uuid and r.booked_on <= ($2::text)::date
        group by r.currency, r.account, r.account_code order by r.currency, r.account, r.account_code nulls first";
    type Row = Balance;
}

/// An account in one currency.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Balance {
    currency: String,
    account: String,
    account_code: Option<String>,
    debit_minor: i64,
    credit_minor: i64,
}

/// All accounts of a currency together.
#[derive(Debug, Default)]
struct Sum {
    debit: i64,
    credit: i64,
}

/// Answers it.
pub(crate) async fn trial_balance(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, TrialBalance::PATH);
    caller.require(READ)?;
    let mut given = Given::of(&pairs(&request)?);
    let at = given.read("at", str::parse::<Date>);
    given.nothing_else("the trial balance has no such parameter")?;
    api.has_seen("revenue", &request).await?;
    let _permit = api.admit(&caller).await?;
    let until = at.unwrap_or(Date::MAX).to_string();
    let rows = ask::<TrialBalance>(&api, &caller, |asked| asked.bind(until)).await?;
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(row.currency.as_str()).or_default();
        sum.debit = sum.debit.saturating_add(row.debit_minor);
        sum.credit = sum.credit.saturating_add(row.credit_minor);
    }
    let totals: Vec<_> = sums
        .into_iter()
        .map(|(currency, sum)| json!({ "currency": currency, "debit_minor": sum.debit, "credit_minor": sum.credit }))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "at": at, "accounts": rows, "totals": totals })))
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let minor = |about: &str| json!({ "type": "integer", "format": "int64", "description": about });
    let account_code = json!({ "type": ["string", "null"], "description": "More exactly: the account of an expense, the kind of a tax." });
    let (debit, credit) = (minor("All debits, in minor units."), minor("All credits, in minor units."));
    let account = json!({
        "type": "object", "description": "An account in one currency.",
        "required": ["currency", "account", "account_code", "debit_minor", "credit_minor"],
        "properties": {
            "currency": text("The currency."), "account": text("The account."), "account_code": account_code,
            "debit_minor": debit, "credit_minor": credit,
        },
    });
    let total = json!({
        "type": "object", "description": "All accounts of a currency together.",
        "required": ["currency", "debit_minor", "credit_minor"],
        "properties": { "currency": text("The currency."), "debit_minor": debit, "credit_minor": credit },
    });
    let at = json!({ "type": ["string", "null"], "format": "date", "description": "The last day that counts; null if all do." });
    let schema = json!({
        "type": "object", "description": "What each account of the journal comes to.",
        "required": ["at", "accounts", "totals"],
        "properties": {
            "at": at,
            "accounts": { "type": "array", "description": "Every account that was touched.", "items": account },
            "totals": { "type": "array", "description": "Each currency once.", "items": total },
        },
    });
    let balance = document.component("TrialBalance", schema);
    let mut responses = found("The trial balance.", Map::from_iter([openapi::request_id()]), &balance);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "TrialBalance", OWN));
    let day = json!({ "type": "string", "format": "date" });
    let parameters = vec![parameter("at", "The last day that counts; all days unless given.", day), min_position()];
    document.operation(TrialBalance::PATH, "get", Operation::of::<TrialBalance>(parameters).answered(responses));
}
