//! Xero's accounting API: contacts, invoices and bills, payments, accounts, the organisation.

use crate::XERO_TENANT;
use crate::amounts::{cents, minor, times};
use crate::control::{Done, asked};
use crate::data::{Xero, random};
use crate::state::Lab;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

pub(crate) fn configure(config: &mut ServiceConfig) {
    let below = "/xero/api.xro/2.0";
    config.service(
        web::scope(below)
            .route("/Contacts", web::get().to(contacts))
            .route("/Contacts", web::put().to(make_contacts))
            .route("/Contacts/{id}", web::get().to(contact))
            .route("/Contacts/{id}", web::post().to(change_contact))
            .route("/Invoices", web::get().to(invoices))
            .route("/Invoices", web::put().to(make_invoices))
            .route("/Invoices/{id}", web::get().to(invoice))
            .route("/Invoices/{id}", web::post().to(change_invoice))
            .route("/Payments", web::put().to(make_payments))
            .route("/Accounts", web::get().to(accounts))
            .route("/Organisation", web::get().to(shown_organisation)),
    );
    config.route("/control/xero/pay/{id}", web::post().to(paid));
}

/// `{"ErrorNumber":10,…}`: what Xero answers if it does not like something.
fn disliked(message: &str) -> Done {
    Done::Json(
        400,
        json!({
            "ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred",
            "Elements": [{ "ValidationErrors": [{ "Message": message }] }],
        }),
    )
}

fn not_found() -> Done {
    Done::Json(404, json!({ "ErrorNumber": 404, "Type": "ObjectNotFoundException", "Message": "not found" }))
}

/// A request in the organisation that the header names.
async fn within(
    lab: Data<Lab>,
    request: HttpRequest,
    body: Bytes,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    let tenant = request.headers().get("xero-tenant-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let is_known = tenant.is_some_and(|id| lab.0.xero.lock().organisations.iter().any(|(one, _)| *one == id));
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let key = key.map(|key| format!("{} {} {key}", request.method(), request.path()));
    asked(&lab, "xero", &request, &body, move |lab, shown| {
        if !is_known {
            return Done::Json(
                403,
                json!({ "Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful" }),
            );
        }
        if let Some(known) = key.as_ref().and_then(|key| lab.0.xero.lock().done.get(key).cloned()) {
            return Done::Json(known.0, known.1);
        }
        let done = effect(lab, shown);
        if let (Some(key), Done::Json(status @ 200..=299, answer)) = (key, &done) {
            lab.0.xero.lock().done.insert(key, (*status, answer.clone()));
        }
        done
    })
    .await
}

fn moment(at: DateTime<Utc>) -> String {
    format!("/Date({}+0000)/", at.timestamp_millis())
}

impl Lab {
    /// Notes that something changed, and says so.
    fn xero_changed(&self, category: &str, kind: &str, id: &str) {
        let (sequence, now) = {
            let mut xero = self.0.xero.lock();
            xero.sequence += 1;
            xero.changed.insert(id.to_owned(), Utc::now());
            (xero.sequence, Utc::now())
        };
        let event = json!({
            "resourceUrl": format!("https://api.xero.com/api.xro/2.0/{category}/{id}"), "resourceId": id,
            "tenantId": XERO_TENANT, "tenantType": "ORGANISATION", "eventCategory": category, "eventType": kind,
            "eventDateUtc": now.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
        });
        let body = json!({ "events": [event], "firstEventSequence": sequence, "lastEventSequence": sequence, "entropy": random() });
        self.say("xero", None, body.to_string());
    }

    /// Somebody pays an invoice or a bill, so much in minor units of two decimals, on this day.
    ///
    /// # Panics
    /// If there is no such invoice.
    pub fn pay(&self, invoice_id: &str, minor: i64, day: NaiveDate) -> String {
        let paid = pay(self, invoice_id, minor, day, "090");
        paid.unwrap_or_else(|why| panic!("nothing is paid on {invoice_id}: {why}"))
    }
}

async fn contacts(
    lab: Data<Lab>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
    body: Bytes,
) -> HttpResponse {
    within(lab, request, body, move |lab, _| {
        let wanted =
            query.get("where").and_then(|text| text.strip_prefix("Name==\"")?.strip_suffix('"').map(str::to_owned));
        let wanted = wanted.map(|name| name.replace("\"\"", "\""));
        let xero = lab.0.xero.lock();
        let found =
            xero.contacts.values().filter(|one| wanted.as_ref().is_none_or(|name| one["Name"] == name.as_str()));
        Done::Json(200, json!({ "Contacts": found.collect::<Vec<_>>() }))
    })
    .await
}

async fn make_contacts(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |lab, shown| {
        let mut made = vec![];
        for contact in shown["Contacts"].as_array().cloned().unwrap_or_default() {
            let mut xero = lab.0.xero.lock();
            let name = contact["Name"].as_str().unwrap_or_default().to_owned();
            if name.is_empty() {
                return disliked("The contact name must be specified.");
            }
            if xero.contacts.values().any(|one| one["Name"] == name.as_str()) {
                return disliked(&format!("The contact name {name} is already assigned to another contact. The contact name must be unique across all active contacts."));
            }
            let id = Uuid::now_v7().to_string();
            let mut contact = contact;
            contact["ContactID"] = id.clone().into();
            contact["ContactStatus"] = "ACTIVE".into();
            contact["UpdatedDateUTC"] = moment(Utc::now()).into();
            xero.contacts.insert(id.clone(), contact.clone());
            drop(xero);
            lab.xero_changed("CONTACT", "CREATE", &id);
            made.push(contact);
        }
        Done::Json(200, json!({ "Contacts": made }))
    })
    .await
}

/// By its id or its number.
fn find_contact(xero: &Xero, id: &str) -> Option<Value> {
    let by_number = || xero.contacts.values().find(|one| one["ContactNumber"] == id).cloned();
    xero.contacts.get(id).cloned().or_else(by_number)
}

async fn contact(lab: Data<Lab>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, _| match find_contact(&lab.0.xero.lock(), &id) {
        Some(contact) => Done::Json(200, json!({ "Contacts": [contact] })),
        None => not_found(),
    })
    .await
}

async fn change_contact(lab: Data<Lab>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, shown| {
        let mut xero = lab.0.xero.lock();
        let Some(contact) = xero.contacts.get_mut(&*id) else { return not_found() };
        for (name, value) in shown["Contacts"][0].as_object().into_iter().flatten() {
            contact[name] = value.clone();
        }
        let changed = contact.clone();
        drop(xero);
        lab.xero_changed("CONTACT", "UPDATE", &id);
        Done::Json(200, json!({ "Contacts": [changed] }))
    })
    .await
}

async fn make_invoices(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |lab, shown| {
        let mut made = vec![];
        for mut invoice in shown["Invoices"].as_array().cloned().unwrap_or_default() {
            let mut xero = lab.0.xero.lock();
            if let Some(why) = invoice_disliked(&xero, &invoice) {
                return disliked(&why);
            }
            let (mut sub, mut tax) = (0, 0);
            for line in invoice["LineItems"].as_array().into_iter().flatten() {
                sub += times(&line["Quantity"], &line["UnitAmount"]);
                tax += minor(&line["TaxAmount"]);
            }
            if let Some(percent) = xero.own_tax {
                let due = sub * percent;
                tax = (due.abs() + 50) / 100 * due.signum();
            }
            let is_inclusive = invoice["LineAmountTypes"] == "Inclusive";
            let total = if is_inclusive { sub } else { sub + tax };
            let id = Uuid::now_v7().to_string();
            let contact = find_contact(&xero, invoice["Contact"]["ContactID"].as_str().unwrap_or_default());
            invoice["InvoiceID"] = id.clone().into();
            invoice["Contact"] = json!({ "ContactID": contact.as_ref().map(|one| &one["ContactID"]), "Name": contact.as_ref().map(|one| &one["Name"]) });
            invoice["SubTotal"] = cents(total - tax);
            invoice["TotalTax"] = cents(tax);
            invoice["Total"] = cents(total);
            invoice["AmountDue"] = cents(total);
            invoice["AmountPaid"] = cents(0);
            invoice["AmountCredited"] = cents(0);
            invoice["Payments"] = json!([]);
            invoice["HasErrors"] = false.into();
            invoice["UpdatedDateUTC"] = moment(Utc::now()).into();
            for day in ["Date", "DueDate"] {
                if let Some(at) = invoice[day].as_str().and_then(|text| text.parse::<NaiveDate>().ok()) {
                    let midnight = at.and_time(chrono::NaiveTime::MIN).and_utc();
                    invoice[day] = moment(midnight).into();
                }
            }
            xero.invoices.insert(id.clone(), invoice.clone());
            drop(xero);
            lab.xero_changed("INVOICE", "CREATE", &id);
            made.push(invoice);
        }
        Done::Json(200, json!({ "Invoices": made }))
    })
    .await
}

fn invoice_disliked(xero: &Xero, invoice: &Value) -> Option<String> {
    let kind = invoice["Type"].as_str().unwrap_or_default();
    let number = invoice["InvoiceNumber"].as_str().unwrap_or_default();
    if !["ACCREC", "ACCPAY"].contains(&kind) {
        return Some("Invoice not of valid type".to_owned());
    }
    find_contact(xero, invoice["Contact"]["ContactID"].as_str().unwrap_or_default())
        .is_none()
        .then(|| "The Contact could not be found".to_owned())
        .or_else(|| {
            let is_taken = kind == "ACCREC"
                && !number.is_empty()
                && xero
                    .invoices
                    .values()
                    .any(|one| one["Type"] == kind && one["InvoiceNumber"] == number && one["Status"] != "DELETED");
            is_taken.then(|| "Invoice # must be unique.".to_owned())
        })
        .or_else(|| {
            let day = invoice["Date"].as_str().and_then(|text| text.parse::<NaiveDate>().ok());
            let is_closed = xero.closed_until.zip(day).is_some_and(|(closed, day)| day <= closed);
            is_closed.then(|| {
                "The document cannot be edited as the date is prior to the lock date of the organisation.".to_owned()
            })
        })
        .or_else(|| {
            let has_none = invoice["LineItems"].as_array().is_none_or(Vec::is_empty);
            has_none.then(|| "One or more line items must be specified".to_owned())
        })
}

async fn invoices(
    lab: Data<Lab>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
    body: Bytes,
) -> HttpResponse {
    let since = request.headers().get("if-modified-since").and_then(|since| since.to_str().ok());
    let since =
        since.and_then(|since| NaiveDateTime::parse_from_str(since, "%Y-%m-%dT%H:%M:%S").ok()).map(|at| at.and_utc());
    within(lab, request, body, move |lab, _| {
        let listed = |name: &str| query.get(name).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
        let (numbers, parties) = (listed("InvoiceNumbers"), listed("ContactIDs"));
        let among = |wanted: &Option<Vec<String>>, value: &Value| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| value == one.as_str()))
        };
        let number = |name: &str, usual: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(usual);
        let (page, size) = (number("page", 1).max(1), number("pageSize", 100));
        let xero = lab.0.xero.lock();
        let is_newer = |id: &str| since.is_none_or(|since| xero.changed.get(id).is_some_and(|at| *at > since));
        let found = xero.invoices.iter().filter(|(id, one)| {
            is_newer(id) && among(&numbers, &one["InvoiceNumber"]) && among(&parties, &one["Contact"]["ContactID"])
        });
        let found: Vec<&Value> = found.map(|(_, one)| one).skip((page - 1) * size).take(size).collect();
        Done::Json(200, json!({ "Invoices": found }))
    })
    .await
}

async fn invoice(lab: Data<Lab>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, _| match lab.0.xero.lock().invoices.get(&*id) {
        Some(invoice) => Done::Json(200, json!({ "Invoices": [invoice] })),
        None => not_found(),
    })
    .await
}

async fn change_invoice(lab: Data<Lab>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    within(lab, request, body, move |lab, shown| {
        let mut xero = lab.0.xero.lock();
        let Some(invoice) = xero.invoices.get_mut(&*id) else { return not_found() };
        if let Some(status) = shown["Invoices"][0]["Status"].as_str() {
            if invoice["Status"] == "VOIDED" {
                return disliked("Invoice not of valid status for modification");
            }
            if status == "VOIDED" && minor(&invoice["AmountPaid"]) != 0 {
                return disliked("Invoice not of valid status for modification: it has payments");
            }
            invoice["Status"] = status.into();
            invoice["AmountDue"] = cents(0);
        }
        let changed = invoice.clone();
        drop(xero);
        lab.xero_changed("INVOICE", "UPDATE", &id);
        Done::Json(200, json!({ "Invoices": [changed] }))
    })
    .await
}

fn pay(lab: &Lab, invoice_id: &str, amount: i64, day: NaiveDate, account: &str) -> Result<String, String> {
    let mut xero = lab.0.xero.lock();
    let invoice = xero.invoices.get_mut(invoice_id).ok_or("Invoice could not be found")?;
    let (due, paid) = (minor(&invoice["AmountDue"]), minor(&invoice["AmountPaid"]));
    if invoice["Status"] != "AUTHORISED" {
        return Err("Invoice is not of valid status to be paid".to_owned());
    }
    if amount <= 0 || amount > due {
        return Err("Payment amount exceeds the amount outstanding on this document".to_owned());
    }
    let id = Uuid::now_v7().to_string();
    let at = day.and_time(chrono::NaiveTime::MIN).and_utc();
    let payment = json!({ "PaymentID": id, "Date": moment(at), "Amount": cents(amount), "Status": "AUTHORISED", "Account": { "Code": account } });
    if let Some(payments) = invoice["Payments"].as_array_mut() {
        payments.push(payment);
    }
    invoice["AmountPaid"] = cents(paid + amount);
    invoice["AmountDue"] = cents(due - amount);
    if due == amount {
        invoice["Status"] = "PAID".into();
    }
    drop(xero);
    // Payments have no message of their own.
    lab.xero_changed("INVOICE", "UPDATE", invoice_id);
    Ok(id)
}

async fn make_payments(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |lab, shown| {
        let payment = &shown["Payments"][0];
        let day = payment["Date"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        let (invoice, account) =
            (&payment["Invoice"]["InvoiceID"], payment["Account"]["Code"].as_str().unwrap_or_default());
        match pay(lab, invoice.as_str().unwrap_or_default(), minor(&payment["Amount"]), day, account) {
            Ok(id) => {
                let mut made = payment.clone();
                made["PaymentID"] = id.into();
                made["Status"] = "AUTHORISED".into();
                Done::Json(200, json!({ "Payments": [made] }))
            }
            Err(why) => disliked(&why),
        }
    })
    .await
}

async fn accounts(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |_, _| {
        let account = |code: &str, name: &str, kind: &str| json!({ "AccountID": Uuid::from_u128(code.parse().unwrap_or(1)), "Code": code, "Name": name, "Type": kind, "Status": "ACTIVE" });
        Done::Json(200, json!({ "Accounts": [account("090", "Bank", "BANK"), account("200", "Sales", "REVENUE"), account("400", "Expenses", "EXPENSE")] }))
    })
    .await
}

async fn shown_organisation(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, body, |lab, _| {
        let xero = lab.0.xero.lock();
        let shown = |(id, name): &(String, String)| json!({ "OrganisationID": id, "Name": name, "BaseCurrency": "EUR", "OrganisationStatus": "ACTIVE" });
        Done::Json(200, json!({ "Organisations": xero.organisations.iter().map(shown).collect::<Vec<_>>() }))
    })
    .await
}

/// Somebody pays: `{"minor": 1200, "date": "2026-11-30"}`; all of it if nothing is said.
async fn paid(lab: Data<Lab>, id: Path<String>, body: Bytes) -> HttpResponse {
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let due = lab.0.xero.lock().invoices.get(&*id).map(|one| minor(&one["AmountDue"]));
    let amount = said["minor"].as_i64().or(due).unwrap_or_default();
    let day = said["date"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| Utc::now().date_naive());
    match pay(&lab, &id, amount, day, "090") {
        Ok(payment) => HttpResponse::Ok().json(json!({ "payment_id": payment })),
        Err(why) => HttpResponse::BadRequest().body(why),
    }
}
