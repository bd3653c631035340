//! QuickBooks Online: the accounting API of one company.
//!
//! As at the real one a write with a `requestid` that was seen before is answered as it was then, whatever became of the thing; what is
//! changed needs the `SyncToken` of its last change, and a payment changes the invoice that it is of; bills cannot be voided; and
//! whatever is deleted is told of by changes alone.

mod ask;
mod effect;
mod make;

use crate::QUICKBOOKS_REALM;
use crate::amounts::minor;
use crate::control::{Done, asked};
use crate::state::Lab;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Its name in paths.
pub(crate) const NAME: &str = "quickbooks";
/// The company's only currency.
const HOME: &str = "EUR";
/// The things of the API, as paths have them.
const NAMES: [&str; 10] =
    ["Account", "Bill", "BillPayment", "Customer", "Invoice", "Item", "Payment", "TaxCode", "TaxRate", "Vendor"];

/// What QuickBooks has.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Quickbooks {
    /// By name and id.
    pub things: BTreeMap<String, BTreeMap<u64, Value>>,
    next: u64,
    pub closed_until: Option<NaiveDate>,
    /// So many percent are the tax of everything, whatever is said of it.
    pub own_tax: Option<i64>,
    /// What was done under a `requestid`.
    pub done: HashMap<String, (u16, Value)>,
    changed: HashMap<String, DateTime<Utc>>,
    /// It says what has changed as it did before CloudEvents.
    pub older_messages: bool,
}

impl Quickbooks {
    pub fn new() -> Self {
        let (things, done, changed) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        let mut new = Self { things, next: 1, closed_until: None, own_tax: None, done, changed, older_messages: false };
        for (number, name, kind) in [
            ("200", "Sales", "Income"),
            ("400", "Expenses", "Expense"),
            ("090", "Bank", "Bank"),
            ("4000", "Consulting", "Income"),
        ] {
            new.add("Account", json!({ "Name": name, "FullyQualifiedName": name, "AcctNum": number, "AccountType": kind, "Active": true }));
        }
        for (name, percent) in [("20.0% S", 20), ("19.0% S", 19), ("No VAT", 0)] {
            let rate = new.add("TaxRate", json!({ "Name": name, "RateValue": percent, "Active": true }));
            let list = json!({ "TaxRateDetail": [{ "TaxRateRef": { "value": rate.to_string() } }] });
            new.add("TaxCode", json!({ "Name": name, "Active": true, "Taxable": percent > 0, "SalesTaxRateList": list, "PurchaseTaxRateList": list }));
        }
        new
    }

    /// Something new; answers its id.
    fn add(&mut self, name: &str, mut thing: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        thing["Id"] = id.to_string().into();
        thing["SyncToken"] = "0".into();
        thing["domain"] = "QBO".into();
        thing["sparse"] = false.into();
        thing["MetaData"] = json!({ "CreateTime": moment(Utc::now()), "LastUpdatedTime": moment(Utc::now()) });
        self.things.entry(name.to_owned()).or_default().insert(id, thing);
        self.changed.insert(format!("{name}/{id}"), Utc::now());
        id
    }

    /// What is there and was not deleted.
    fn thing(&self, name: &str, id: &str) -> Option<&Value> {
        let thing = self.things.get(name)?.get(&id.parse().ok()?)?;
        (thing["status"] != "Deleted").then_some(thing)
    }

    /// Changes something that is there: its token counts it.
    fn touch(&mut self, name: &str, id: &str, change: impl FnOnce(&mut Value)) -> Value {
        let number: u64 = id.parse().unwrap_or_default();
        let Some(thing) = self.things.get_mut(name).and_then(|things| things.get_mut(&number)) else {
            return Value::Null;
        };
        change(thing);
        let token: u64 = thing["SyncToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
        thing["SyncToken"] = (token + 1).to_string().into();
        thing["MetaData"]["LastUpdatedTime"] = moment(Utc::now()).into();
        self.changed.insert(format!("{name}/{number}"), Utc::now());
        thing.clone()
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Something that QuickBooks does not like.
pub(crate) fn fault(code: &str, message: &str, detail: &str) -> Value {
    let kind = if code == "3001" { "SERVICE" } else { "ValidationFault" };
    json!({
        "Fault": { "Error": [{ "Message": message, "Detail": detail, "code": code, "element": "" }], "type": kind },
        "time": moment(Utc::now()),
    })
}

/// What the gateway before it says of whoever is not let in.
pub(crate) fn turned_away() -> Value {
    let error = json!({ "message": "message=AuthenticationFailed; errorCode=003200; statusCode=401", "detail": "Token expired", "code": "3200", "element": null });
    json!({ "fault": { "error": [error], "type": "AUTHENTICATION" }, "requestId": null, "time": Utc::now().timestamp_millis() })
}

/// What is answered where the lab was told to.
pub(crate) fn told_to(status: u16, code: Option<&str>) -> Value {
    let usual = match status {
        401 => return turned_away(),
        404 => "610",
        429 => "3001",
        _ => "",
    };
    fault(code.unwrap_or(usual), "the lab was told to", "the lab was told to")
}

fn disliked(code: &str, message: &str, detail: &str) -> Done {
    Done::Json(400, fault(code, message, detail))
}

fn not_found() -> Done {
    disliked("610", "Object Not Found", "Object Not Found : Something you're trying to use has been made inactive.")
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    let company = web::scope("/quickbooks/v3/company/{realm}")
        .route("/query", web::get().to(query))
        .route("/cdc", web::get().to(changes))
        .route("/companyinfo/{id}", web::get().to(company))
        .route("/{name}", web::post().to(write))
        .route("/{name}/{id}", web::get().to(read));
    config.service(company);
    config.route("/quickbooks/v2/oauth2/tokens/revoke", web::post().to(given_back));
    config.route("/control/quickbooks/pay/{entry}", web::post().to(paid));
}

/// A refresh or an access token is worth nothing any more.
async fn given_back(lab: Data<Lab>, body: Bytes) -> HttpResponse {
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = said["token"].as_str().unwrap_or_default();
    let is_known = {
        let tokens = lab.0.tokens.lock();
        tokens.refresh.get(token).is_some_and(|of| of == NAME)
            || tokens.access.get(token).is_some_and(|(of, _)| of == NAME)
    };
    if !is_known {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_request" }));
    }
    lab.revoke(NAME);
    HttpResponse::Ok().finish()
}

/// Its invoices and bills, for people.
pub(crate) fn listed(lab: &Lab) -> String {
    let each =
        ["Invoice", "Bill"].into_iter().flat_map(|name| lab.quickbooks(name).into_iter().map(move |one| (name, one)));
    let line = |(name, one): (&str, Value)| {
        let number = crate::pages::escaped(one["DocNumber"].as_str().unwrap_or_default());
        format!("<li>{name} {number} {} {}</li>", one["TotalAmt"], one["Balance"])
    };
    each.map(line).collect()
}

/// All of it, for tests and people.
pub(crate) fn shown(lab: &Lab) -> Value {
    let names = ["Customer", "Vendor", "Item", "Invoice", "Bill", "Payment", "BillPayment"];
    names.into_iter().map(|name| (name.to_owned(), Value::from(lab.quickbooks(name)))).collect()
}

type Pairs = Query<HashMap<String, String>>;

/// A request in the company that the path names.
async fn within(
    lab: Data<Lab>,
    request: HttpRequest,
    body: Bytes,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    let is_known = request.match_info().get("realm") == Some(QUICKBOOKS_REALM);
    asked(&lab, NAME, &request, &body, move |lab, shown| match is_known {
        true => effect(lab, shown),
        false => Done::Json(403, fault("3100", "ApplicationAuthorizationFailed", "the grant is for another company")),
    })
    .await
}

fn named(path: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|name| name.to_lowercase() == path)
}

async fn company(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |_, _| {
        let company = json!({ "Id": "1", "SyncToken": "0", "CompanyName": "Lab Company", "Country": "GB" });
        Done::Json(200, json!({ "CompanyInfo": company, "time": moment(Utc::now()) }))
    })
    .await
}

async fn read(lab: Data<Lab>, request: HttpRequest, path: Path<(String, String, String)>, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, _| {
        let (_, name, id) = path.into_inner();
        let quickbooks = lab.0.quickbooks.lock();
        match named(&name).and_then(|name| Some((name, quickbooks.thing(name, &id)?))) {
            Some((name, thing)) => Done::Json(200, json!({ name: thing, "time": moment(Utc::now()) })),
            None => not_found(),
        }
    })
    .await
}

async fn query(lab: Data<Lab>, request: HttpRequest, asked: Pairs, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, _| {
        let text = asked.get("query").map(String::as_str).unwrap_or_default();
        match ask::query(&lab.0.quickbooks.lock(), text) {
            Ok(found) => Done::Json(200, json!({ "QueryResponse": found, "time": moment(Utc::now()) })),
            Err(why) => disliked("4000", "Error parsing query", &format!("QueryParserError: {why}")),
        }
    })
    .await
}

async fn changes(lab: Data<Lab>, request: HttpRequest, asked: Pairs, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, _| {
        let since = asked.get("changedSince").and_then(|since| since.parse::<DateTime<Utc>>().ok());
        let Some(since) = since else { return disliked("4001", "Invalid changedSince", "it is no moment") };
        let names = asked.get("entities").map(String::as_str).unwrap_or_default();
        let found = ask::changes(&lab.0.quickbooks.lock(), names, since);
        Done::Json(200, json!({ "CDCResponse": [{ "QueryResponse": found }], "time": moment(Utc::now()) }))
    })
    .await
}

async fn write(
    lab: Data<Lab>,
    request: HttpRequest,
    path: Path<(String, String)>,
    asked: Pairs,
    body: Bytes,
) -> HttpResponse {
    within(lab, request, body, move |lab, shown| {
        let Some(name) = named(&path.1) else {
            return disliked("4", "Unsupported Operation", "Operation is not supported");
        };
        let key = asked.get("requestid").map(|key| format!("{name} {key}"));
        if let Some(known) = key.as_ref().and_then(|key| lab.0.quickbooks.lock().done.get(key).cloned()) {
            return Done::Json(known.0, known.1);
        }
        let done = effect::write(lab, name, asked.get("operation").map(String::as_str), shown);
        if let (Some(key), Done::Json(status @ 200..=299, answer)) = (key, &done) {
            lab.0.quickbooks.lock().done.insert(key, (*status, answer.clone()));
        }
        done
    })
    .await
}

impl Lab {
    /// QuickBooks' things of this name as it has them, without those that were deleted: `Invoice`, `Customer`.
    pub fn quickbooks(&self, name: &str) -> Vec<Value> {
        let quickbooks = self.0.quickbooks.lock();
        let things = quickbooks.things.get(name).into_iter().flat_map(BTreeMap::values);
        things.filter(|thing| thing["status"] != "Deleted").cloned().collect()
    }

    /// Somebody pays an invoice or a bill at QuickBooks, so much in cents, on this day; answers the payment's id.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn quickbooks_pay(&self, name: &str, id: &str, cents: i64, day: NaiveDate) -> String {
        let paid = effect::pay(self, name, id, cents, day);
        paid.unwrap_or_else(|| panic!("nothing is paid on {name} {id}: it is not there"))
    }

    /// Somebody changes something at QuickBooks, so that whoever read it before is late.
    pub fn quickbooks_change(&self, name: &str, id: &str, change: &Value) {
        self.0.quickbooks.lock().touch(name, id, |thing| merge(thing, change));
        self.quickbooks_changed(name, "updated", id);
    }

    /// Somebody enters a customer or a vendor at QuickBooks; answers its id.
    pub fn quickbooks_enter(&self, name: &str, person: &Value) -> String {
        let mut person = person.clone();
        person["Active"] = true.into();
        let id = self.0.quickbooks.lock().add(name, person).to_string();
        self.quickbooks_changed(name, "created", &id);
        id
    }

    /// Somebody makes one of two customers or vendors: what was of the first is of the second.
    pub fn quickbooks_merge(&self, name: &str, gone: &str, kept: &str) {
        effect::merge_people(self, name, gone, kept);
    }

    /// Somebody deletes something at QuickBooks.
    pub fn quickbooks_delete(&self, name: &str, id: &str) {
        effect::delete(self, name, id);
    }

    /// QuickBooks says what has changed as it did before CloudEvents.
    pub fn older_messages(&self) {
        self.0.quickbooks.lock().older_messages = true;
    }

    /// Says that something has changed.
    fn quickbooks_changed(&self, name: &str, how: &str, id: &str) {
        self.quickbooks_told(name, how, id, None);
    }

    fn quickbooks_told(&self, name: &str, how: &str, id: &str, gone: Option<&str>) {
        let now = Utc::now();
        let body = if self.0.quickbooks.lock().older_messages {
            let operation = match how {
                "created" => "Create",
                "deleted" => "Delete",
                "voided" => "Void",
                "merged" => "Merge",
                _ => "Update",
            };
            let mut entity = json!({ "name": name, "id": id, "operation": operation, "lastUpdated": moment(now) });
            if let Some(gone) = gone {
                entity["deletedId"] = gone.into();
            }
            json!({ "eventNotifications": [{ "realmId": QUICKBOOKS_REALM, "dataChangeEvent": { "entities": [entity] } }] })
        } else {
            json!([{
                "specversion": "1.0", "id": Uuid::now_v7(), "source": "intuit.lab",
                "type": format!("qbo.{}.{how}.v1", name.to_lowercase()), "datacontenttype": "application/json",
                "time": now.to_rfc3339_opts(SecondsFormat::Nanos, true), "intuitentityid": id,
                "intuitaccountid": QUICKBOOKS_REALM, "data": gone.map_or(json!({}), |gone| json!({ "deletedId": gone })),
            }])
        };
        self.say(NAME, None, body.to_string());
    }
}

fn merge(thing: &mut Value, change: &Value) {
    for (name, value) in change.as_object().into_iter().flatten() {
        thing[name] = value.clone();
    }
}

/// Somebody pays `invoice-130` or `bill-131`: `{"minor": 1200, "date": "2026-11-30"}`; all of it if nothing is said.
async fn paid(lab: Data<Lab>, entry: Path<String>, body: Bytes) -> HttpResponse {
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let found = entry.split_once('-').and_then(|(name, id)| Some((named(name)?, id)));
    let Some((name, id)) = found else { return HttpResponse::NotFound().finish() };
    let due = lab.0.quickbooks.lock().thing(name, id).map(|one| minor(&one["Balance"]));
    let amount = said["minor"].as_i64().or(due).unwrap_or_default();
    let day = said["date"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| Utc::now().date_naive());
    match effect::pay(&lab, name, id, amount, day) {
        Some(payment) => HttpResponse::Ok().json(json!({ "payment_id": payment })),
        None => HttpResponse::NotFound().finish(),
    }
}
