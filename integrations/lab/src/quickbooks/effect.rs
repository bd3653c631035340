//! What is done: made, changed, voided, deleted, paid; and what else that changes.

use super::make::{self, closed, is_closed};
use super::{HOME, Quickbooks, disliked, merge, moment, not_found};
use crate::amounts::{cents, minor};
use crate::control::Done;
use crate::state::Lab;
use chrono::{NaiveDate, Utc};
use serde_json::{Value, json};

/// Does what somebody asks for.
pub fn write(lab: &Lab, name: &'static str, operation: Option<&str>, shown: Value) -> Done {
    match operation {
        Some("void") if name == "Invoice" => end(lab, name, &shown, "voided"),
        Some("delete") => end(lab, name, &shown, "deleted"),
        Some("void") => disliked("4", "Unsupported Operation", "it cannot be voided"),
        _ if shown["Id"].is_string() => change(lab, name, &shown),
        _ => create(lab, name, &shown),
    }
}

fn answer(name: &str, thing: &Value) -> Done {
    Done::Json(200, json!({ name: thing, "time": moment(Utc::now()) }))
}

fn create(lab: &Lab, name: &'static str, shown: &Value) -> Done {
    let mut quickbooks = lab.0.quickbooks.lock();
    let thing = match make::made(&quickbooks, name, shown) {
        Ok(thing) => thing,
        Err(why) => return why,
    };
    let id = quickbooks.add(name, thing).to_string();
    let touched = apply(&mut quickbooks, name, &id);
    let made = quickbooks.thing(name, &id).cloned().unwrap_or_default();
    drop(quickbooks);
    tell(lab, name, "created", &id, touched);
    answer(name, &made)
}

fn tell(lab: &Lab, name: &str, how: &str, id: &str, touched: Vec<(&str, String)>) {
    lab.quickbooks_changed(name, how, id);
    for (kind, entry) in touched {
        lab.quickbooks_changed(kind, "updated", &entry);
    }
}

/// Has somebody else changed it since it was read?
fn stale(quickbooks: &Quickbooks, name: &str, shown: &Value) -> Option<Done> {
    let Some(known) = quickbooks.thing(name, shown["Id"].as_str().unwrap_or_default()) else {
        return Some(not_found());
    };
    let detail = "Stale Object Error : You and somebody else were working on this at the same time. They finished before you did, so your work was not saved.";
    (known["SyncToken"] != shown["SyncToken"]).then(|| disliked("5010", "Stale Object Error", detail))
}

fn change(lab: &Lab, name: &'static str, shown: &Value) -> Done {
    let mut quickbooks = lab.0.quickbooks.lock();
    if let Some(why) = stale(&quickbooks, name, shown) {
        return why;
    }
    let id = shown["Id"].as_str().unwrap_or_default();
    let mut changed = shown.clone();
    if ["Customer", "Vendor"].contains(&name) && shown["DisplayName"].is_string() {
        match make::person(&quickbooks, Some(id), shown) {
            Ok(person) => changed = person,
            Err(why) => return why,
        }
    }
    let thing = quickbooks.touch(name, id, |thing| {
        let token = thing["SyncToken"].clone();
        merge(thing, &changed);
        (thing["SyncToken"], thing["sparse"]) = (token, false.into());
    });
    drop(quickbooks);
    lab.quickbooks_changed(name, "updated", id);
    answer(name, &thing)
}

fn end(lab: &Lab, name: &'static str, shown: &Value, how: &str) -> Done {
    let mut quickbooks = lab.0.quickbooks.lock();
    if let Some(why) = stale(&quickbooks, name, shown) {
        return why;
    }
    let id = shown["Id"].as_str().unwrap_or_default();
    if quickbooks.thing(name, id).is_some_and(|thing| is_closed(&quickbooks, thing)) {
        return closed();
    }
    if how == "deleted" {
        drop(quickbooks);
        delete(lab, name, id);
        return answer(name, &json!({ "Id": id, "status": "Deleted", "domain": "QBO" }));
    }
    let thing = quickbooks.touch(name, id, |thing| {
        (thing["TotalAmt"], thing["Balance"], thing["LinkedTxn"]) = (cents(0), cents(0), json!([]));
        thing["TxnTaxDetail"] = json!({ "TotalTax": cents(0) });
        let note = thing["PrivateNote"].as_str().map_or_else(String::new, |note| format!("{note} "));
        thing["PrivateNote"] = format!("{note}Voided").into();
        for line in thing["Line"].as_array_mut().into_iter().flatten() {
            line["Amount"] = cents(0);
        }
    });
    drop(quickbooks);
    lab.quickbooks_changed(name, how, id);
    answer(name, &thing)
}

/// Deletes something; what a payment was of is owed again.
pub fn delete(lab: &Lab, name: &str, id: &str) {
    let mut quickbooks = lab.0.quickbooks.lock();
    let gone = quickbooks.touch(name, id, |thing| thing["status"] = "Deleted".into());
    let touched = linked(&gone);
    for (kind, entry, amount) in &touched {
        quickbooks.touch(kind, entry, |thing| {
            thing["Balance"] = cents(minor(&thing["Balance"]) + amount);
            if let Some(links) = thing["LinkedTxn"].as_array_mut() {
                links.retain(|link| link["TxnId"] != id);
            }
        });
    }
    drop(quickbooks);
    tell(lab, name, "deleted", id, touched.into_iter().map(|(kind, entry, _)| (kind, entry)).collect());
}

/// Makes one of two: what was of the first is of the second.
pub fn merge_people(lab: &Lab, name: &str, gone: &str, kept: &str) {
    let mut quickbooks = lab.0.quickbooks.lock();
    let reference = format!("{name}Ref");
    quickbooks.touch(name, gone, |thing| thing["status"] = "Deleted".into());
    for kind in ["Invoice", "Bill", "Payment", "BillPayment"] {
        let things = quickbooks.things.get(kind).into_iter().flatten();
        let theirs = things.filter(|(_, thing)| thing[&reference]["value"] == gone).map(|(id, _)| id.to_string());
        for id in theirs.collect::<Vec<_>>() {
            quickbooks.touch(kind, &id, |thing| thing[&reference] = json!({ "value": kept }));
        }
    }
    drop(quickbooks);
    lab.quickbooks_told(name, "merged", kept, Some(gone));
}

/// The entries that a payment is of, each with how much.
fn linked(payment: &Value) -> Vec<(&'static str, String, i64)> {
    let mut found = vec![];
    for line in payment["Line"].as_array().into_iter().flatten() {
        for linked in line["LinkedTxn"].as_array().into_iter().flatten() {
            let kind = ["Invoice", "Bill"].into_iter().find(|kind| linked["TxnType"] == *kind);
            let id = linked["TxnId"].as_str().unwrap_or_default().to_owned();
            found.extend(kind.map(|kind| (kind, id, minor(&line["Amount"]))));
        }
    }
    found
}

/// What was paid is owed no more, and the entry is another than it was.
fn apply(quickbooks: &mut Quickbooks, name: &str, id: &str) -> Vec<(&'static str, String)> {
    let how = match name {
        "Payment" => "Payment",
        "BillPayment" => "BillPaymentCheck",
        _ => return vec![],
    };
    let touched = quickbooks.thing(name, id).map(linked).unwrap_or_default();
    for (kind, entry, amount) in &touched {
        quickbooks.touch(kind, entry, |thing| {
            thing["Balance"] = cents((minor(&thing["Balance"]) - amount).max(0));
            if let Some(links) = thing["LinkedTxn"].as_array_mut() {
                links.push(json!({ "TxnId": id, "TxnType": how }));
            }
        });
    }
    touched.into_iter().map(|(kind, entry, _)| (kind, entry)).collect()
}

/// Somebody pays by hand.
pub fn pay(lab: &Lab, name: &str, id: &str, amount: i64, day: NaiveDate) -> Option<String> {
    let mut quickbooks = lab.0.quickbooks.lock();
    let entry = quickbooks.thing(name, id)?.clone();
    let (payment, party) = match name {
        "Invoice" => ("Payment", "CustomerRef"),
        "Bill" => ("BillPayment", "VendorRef"),
        _ => return None,
    };
    // More than is owed is a credit of nothing in particular.
    let applied = amount.min(minor(&entry["Balance"]));
    let line = json!({ "Amount": cents(applied), "LinkedTxn": [{ "TxnId": id, "TxnType": name }] });
    let mut thing = json!({
        "TxnDate": day, "TotalAmt": cents(amount), "CurrencyRef": { "value": HOME, "name": "Euro" }, "Line": [line],
    });
    thing[party] = entry[party].clone();
    if name == "Bill" {
        (thing["PayType"], thing["CheckPayment"]) = ("Check".into(), json!({}));
    }
    let paid = quickbooks.add(payment, thing).to_string();
    let touched = apply(&mut quickbooks, payment, &paid);
    drop(quickbooks);
    tell(lab, payment, "created", &paid, touched);
    Some(paid)
}
