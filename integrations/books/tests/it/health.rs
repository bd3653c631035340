//! What waits for the ledger is told with what it is worth.

use crate::common::Office;
use harness::eventually;
use serde_json::{Value, json};
use uuid::Uuid;

/// What somebody is told of the connection with the ledger.
async fn told(office: &Office, person: Uuid) -> Value {
    office.app.project().await;
    let path = format!("/v1/connections/connections/{}/health", office.at.connection);
    office.app.get(&path, &office.app.token(office.firm, person)).await.told().1
}

fn sums(count: i64, total_minor: i64) -> Value {
    json!([{ "currency": "EUR", "count": count, "total_minor": total_minor }])
}

#[actix_web::test]
async fn invoices_and_bills_that_wait_are_worth_what_they_come_to_until_somebody_agrees_again() {
    let office = Office::open().await;
    let owner = office.firm.owner;
    office.outside.lab.revoke("xero");
    for minor in [10_000, 5_000] {
        office.issued(&[minor]).await;
    }
    let vendor = office.vendor("Paper").await;
    office.approved(vendor, "B-1", 4_711).await;
    // The jobs meet it, and then the record is told.
    for _ in 0..2 {
        office.round().await;
    }
    let waits = told(&office, owner).await;
    assert_eq!((&waits["state"], &waits["error"]["class"]), (&json!("auth_error"), &json!("grant_refused")), "{waits}");
    // With 20 % tax.
    assert_eq!(waits["waiting"]["invoices"], sums(2, 18_000), "{waits}");
    assert_eq!(waits["waiting"]["bills"], sums(1, 4_711), "{waits}");
    assert_eq!(waits["waiting"]["jobs"], 3);
    assert_eq!(office.all("invoice.pushed_to_ledger").await, 0);

    office.outside.agreed(&office.app, office.at, "xero").await;
    eventually(async || {
        office.round().await;
        office.all("invoice.pushed_to_ledger").await + office.all("bill.pushed_to_ledger").await == 3
    })
    .await;
    let gone_on = told(&office, owner).await;
    assert_eq!((&gone_on["state"], &gone_on["waiting"]["jobs"]), (&json!("connected"), &json!(0)), "{gone_on}");
    assert_eq!((&gone_on["waiting"]["invoices"], &gone_on["waiting"]["bills"]), (&json!([]), &json!([])));
}
