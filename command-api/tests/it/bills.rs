//! The same bill twice.

use crate::common::{Answer, Service, send};
use serde_json::{Value, json};
use uuid::Uuid;

async fn post(service: &Service, path: &str, body: Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

async fn vendor(service: &Service, name: &str) -> Uuid {
    post(service, "/v1/revenue/vendors", json!({ "name": name })).await.id()
}

fn bill(vendor: Option<Uuid>, reference: &str, day: &str) -> Value {
    json!({
        "vendor_id": vendor, "reference": reference, "issued_on": day, "total": { "minor": 11_900, "currency": "EUR" },
    })
}

async fn receive(service: &Service, body: Value) -> Answer {
    post(service, "/v1/revenue/bills", body).await
}

fn refused(answer: &Answer, holder: Uuid) {
    let told = (answer.status, answer.body["code"].as_str(), answer.body["holder"].clone());
    assert_eq!(told, (409, Some("revenue.bill.reference.taken"), json!(holder)), "{answer:?}");
}

#[actix_web::test]
async fn a_vendors_number_is_one_bill_however_it_is_written() {
    let service = Service::start().await;
    let (v, w) = (vendor(&service, "V").await, vendor(&service, "W").await);
    let first = receive(&service, bill(Some(v), "2027-14", "2027-01-14")).await;
    assert_eq!(first.status, 201, "{first:?}");
    for again in [" 2027–14 ", "2027 14", "２０２７－14"] {
        refused(&receive(&service, bill(Some(v), again, "2027-02-01")).await, first.id());
    }
    // Another total makes no other bill of it.
    let mut other = bill(Some(v), "2027-14", "2027-01-14");
    other["total"]["minor"] = json!(5);
    refused(&receive(&service, other).await, first.id());
    assert_eq!(receive(&service, bill(Some(w), "2027-14", "2027-01-14")).await.status, 201);
    assert_eq!(receive(&service, bill(Some(v), "2027-15", "2027-01-14")).await.status, 201);
    // Unless the firm says otherwise, a year later it is the same.
    refused(&receive(&service, bill(Some(v), "2027-14", "2028-01-14")).await, first.id());
    // One that is void makes room.
    let void = format!("/v1/revenue/bills/{}/void", first.id());
    assert_eq!(post(&service, &void, json!({ "reason": "a mistake" })).await.status, 200);
    assert_eq!(receive(&service, bill(Some(v), "2027-14", "2027-01-14")).await.status, 201);
}

#[actix_web::test]
async fn where_the_firm_says_by_year_next_years_bill_is_another_one_and_says_so() {
    let service = Service::start().await;
    let v = vendor(&service, "V").await;
    let said = post(&service, "/v1/revenue/payables-settings", json!({ "reference_rule": "by_year" })).await;
    assert_eq!(said.status, 201, "{said:?}");
    let first = receive(&service, bill(Some(v), "14", "2027-01-14")).await.id();
    refused(&receive(&service, bill(Some(v), "14", "2027-12-31")).await, first);
    let next = receive(&service, bill(Some(v), "14", "2028-01-14")).await;
    assert_eq!(next.status, 201, "{next:?}");
    service.app.project().await;
    let row = service.app.get(&format!("/v1/revenue/bills/{}", next.id()), &service.token).await.body;
    assert_eq!((&row["reference_rule"], &row["reference_year"]), (&json!("by_year"), &json!(2028)));
    assert_eq!((&row["alike_bill_id"], &row["suspected_of_id"]), (&json!(first), &Value::Null));
}

#[actix_web::test]
async fn of_two_at_once_one_is_taken_in() {
    let service = Service::start().await;
    let v = vendor(&service, "V").await;
    for round in 0..10 {
        let both = ["INV-1", "inv – 1"].map(|text| bill(Some(v), &format!("{text}/{round}"), "2027-01-14"));
        let [one, other] = both.map(|body| receive(&service, body));
        let (one, other) = tokio::join!(one, other);
        let (taken, refusal) = if one.status == 201 { (one, other) } else { (other, one) };
        assert_eq!(taken.status, 201, "{taken:?}");
        assert_eq!(refusal.status, 409, "{refusal:?}");
        assert_eq!(refusal.body["holder"], json!(taken.id()));
    }
}

#[actix_web::test]
async fn without_a_vendor_it_is_suspected_and_decided_when_it_is_coded() {
    let service = Service::start().await;
    let v = vendor(&service, "V").await;
    let by_api = receive(&service, bill(Some(v), "2027-14", "2027-01-14")).await.id();
    let by_email = receive(&service, bill(None, "2027–14", "2027-01-14")).await;
    assert_eq!(by_email.status, 201, "{by_email:?}");
    service.app.project().await;
    let row = async |id: Uuid| service.app.get(&format!("/v1/revenue/bills/{id}"), &service.token).await.body;
    assert_eq!(row(by_email.id()).await["suspected_of_id"], json!(by_api));
    let code = |vendor: Uuid| json!({ "vendor_id": vendor, "account_code": "6815" });
    let path = format!("/v1/revenue/bills/{}/code", by_email.id());
    refused(&post(&service, &path, code(v)).await, by_api);
    let w = vendor(&service, "W").await;
    assert_eq!(post(&service, &path, code(w)).await.status, 200);
    service.app.project().await;
    assert_eq!(row(by_email.id()).await["suspected_of_id"], Value::Null);
}

#[actix_web::test]
async fn a_bill_goes_from_its_approval_into_the_journal() {
    let service = Service::start().await;
    let v = vendor(&service, "V").await;
    let lines = json!([{ "description": "Paper", "net": { "minor": 10_000, "currency": "EUR" },
        "tax": { "minor": 1_900, "currency": "EUR" }, "account_code": "6815" }]);
    let mut body = bill(Some(v), "1", "2027-01-14");
    body["lines"] = lines;
    let id = receive(&service, body).await.id();
    let command = async |name: &str, body: Value| post(&service, &format!("/v1/revenue/bills/{id}/{name}"), body).await;
    let none = json!({ "name": "None", "rules": [{ "name": "Nobody has to" }] });
    assert_eq!(post(&service, "/v1/revenue/approval-policies", none).await.status, 201);
    assert_eq!(command("code", json!({})).await.status, 200);
    assert_eq!(command("request-approval", json!({})).await.status, 200);
    assert_eq!(
        command("record-payment", json!({ "amount": { "minor": 900, "currency": "EUR" }, "paid_on": "2027-02-01" }))
            .await
            .status,
        200
    );
    service.app.project().await;
    let balance =
        async |at: &str| service.app.get(&format!("/v1/revenue/trial-balance{at}"), &service.token).await.body;
    let of = |balance: &Value, account: &str| {
        let found = balance["accounts"].as_array().unwrap().iter().find(|row| row["account"] == account).cloned();
        found.map(|row| (row["debit_minor"].as_i64().unwrap(), row["credit_minor"].as_i64().unwrap()))
    };
    let all = balance("").await;
    assert_eq!(of(&all, "expense"), Some((10_000, 0)), "{all}");
    assert_eq!((of(&all, "input_tax"), of(&all, "payable")), (Some((1_900, 0)), Some((900, 11_900))));
    assert_eq!(all["totals"], json!([{ "currency": "EUR", "debit_minor": 12_800, "credit_minor": 12_800 }]));
    let january = balance("?at=2027-01-31").await;
    assert_eq!((of(&january, "payable"), of(&january, "bank")), (Some((0, 11_900)), None));
    assert_eq!(balance("?at=soon").await["code"], "invalid-parameter");
}
