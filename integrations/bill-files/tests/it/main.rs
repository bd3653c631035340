//! Bills that come as files, on a real store and a real log.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use harness::{Firm, TestApp};
use kernel::Checksum;
use papers::{Invoice, Press, cii, ubl};
use serde_json::{Value, json};
use uuid::Uuid;

mod papers_of_vendors;

use papers_of_vendors::bill;

/// A firm that gets bills.
struct Inbox {
    app: TestApp,
    firm: Firm,
}

impl Inbox {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        Self { app, firm }
    }

    /// Done by the system.
    async fn order(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    async fn vendor(&self, vat_id: &str) -> Uuid {
        let id = Uuid::now_v7();
        let add =
            json!({ "name": "Paper & Co", "vat_id": vat_id, "iban": "DE02120300000000202051", "account_code": "6815" });
        self.order("revenue.vendor.add", id, add).await;
        id
    }

    /// Asks for something as the owner.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.app.post(path, self.app.owner(self.firm).as_str(), body).await.told()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.app.get(path, self.app.owner(self.firm).as_str()).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body
    }

    /// Announces a file and hands it in at once.
    async fn hand_in(&self, name: &str, content_type: &str, bytes: &[u8], more: Value) -> (Uuid, Value) {
        let sha256 = Checksum::of(bytes).to_string();
        let mut begin = json!({ "name": name, "content_type": content_type, "size": bytes.len(), "sha256": sha256 });
        begin.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let (status, begun) = self.post("/v1/files/files", &begin).await;
        assert_eq!(status, 201, "{begun}");
        let (status, handed_in) = self.post("/v1/revenue/bill-files", &json!({ "file_id": begun["id"] })).await;
        assert_eq!(status, 201, "{handed_in}");
        (handed_in["id"].as_str().unwrap().parse().unwrap(), begun)
    }

    /// Sends the bytes, has them inspected, and whatever follows done.
    async fn send(&self, begun: &Value, bytes: &[u8]) {
        let request = &begun["upload"]["requests"][0];
        let headers = request["headers"].as_object().unwrap();
        let put = reqwest::Client::new().put(request["url"].as_str().unwrap());
        let put = headers.iter().fold(put, |put, (name, value)| put.header(name, value.as_str().unwrap()));
        assert_eq!(put.body(bytes.to_vec()).send().await.unwrap().status(), 200);
        let path = format!("/v1/files/files/{}/complete-upload", begun["id"].as_str().unwrap());
        let (status, body) = self.post(&path, &json!({ "upload_id": begun["upload_id"], "etags": [] })).await;
        assert_eq!(status, 200, "{body}");
    }

    /// What became of it.
    async fn become_of(&self, id: Uuid) -> Value {
        // What was looked at before it was inspected is looked at again after a few seconds.
        for _ in 0..60 {
            self.app.keeper.round().await.unwrap();
            self.app.project().await;
            let row = self.get(&format!("/v1/revenue/bill-files/{id}")).await;
            if row["status"] != "reading" {
                return row;
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        panic!("it is read for ever");
    }

    /// All of it, for a file of the firm's own.
    async fn received(&self, name: &str, content_type: &str, bytes: &[u8]) -> Value {
        let (id, begun) = self.hand_in(name, content_type, bytes, json!({})).await;
        self.send(&begun, bytes).await;
        self.become_of(id).await
    }

    async fn xml(&self, bytes: &[u8]) -> Value {
        self.received("bill.xml", "application/xml", bytes).await
    }

    async fn bills(&self) -> usize {
        self.get("/v1/revenue/bills").await["data"].as_array().unwrap().len()
    }
}

/// A paper of a vendor with this number.
fn numbered(number: &str) -> Invoice {
    Invoice { number: number.to_owned(), ..bill() }
}

#[actix_web::test]
async fn a_pdf_that_holds_an_invoice_is_a_bill_of_its_vendor_with_the_file() {
    let inbox = Inbox::new().await;
    let vendor = inbox.vendor("DE123456789").await;
    let row = inbox.received("bill.pdf", "application/pdf", &Press::default().invoice(&bill()).unwrap()).await;
    assert_eq!(
        (&row["status"], &row["format"], &row["warnings"]),
        (&json!("read"), &json!("pdf"), &json!([])),
        "{row}"
    );
    assert_eq!(row["sender_name"], "Lovelace & Söhne GmbH");
    let bill = inbox.get(&format!("/v1/revenue/bills/{}", row["bill_id"].as_str().unwrap())).await;
    assert_eq!(
        (&bill["vendor_id"], &bill["source"], &bill["file_id"]),
        (&json!(vendor), &json!("file"), &row["file_id"])
    );
    assert_eq!(
        (&bill["reference"], &bill["total_minor"], &bill["currency"]),
        (&json!("R-2027/1"), &json!(24_156), &json!("EUR"))
    );
    assert_eq!((&bill["issued_on"], &bill["due_on"]), (&json!("2027-02-01"), &json!("2027-02-15")));
    assert_eq!(bill["received_by"], json!(inbox.firm.owner), "who handed it in does not approve it");
    let lines = inbox.get(&format!("/v1/revenue/bill-lines?bill_id={}", row["bill_id"].as_str().unwrap())).await;
    assert_eq!(lines["data"].as_array().unwrap().len(), 2, "{lines}");
}

#[actix_web::test]
async fn the_same_bill_comes_in_once_whichever_way_it_comes() {
    let inbox = Inbox::new().await;
    let vendor = inbox.vendor("DE123456789").await;
    let total = json!({ "minor": 24_156, "currency": "EUR" });
    let first = Uuid::now_v7();
    let receive = json!({ "vendor_id": vendor, "reference": " r–2027/1 ", "total": total, "issued_on": "2027-02-01" });
    inbox.order("revenue.bill.receive", first, receive).await;
    for bytes in [cii(&bill()).unwrap(), ubl(&bill()).unwrap()] {
        let row = inbox.xml(&bytes).await;
        assert_eq!((&row["problem"], &row["same_bill_id"]), (&json!("duplicate"), &json!(first)), "{row}");
        assert_eq!(row["reference"], "R-2027/1", "what was read is told all the same");
    }
    assert_eq!(inbox.xml(&ubl(&numbered("R-2027/2")).unwrap()).await["status"], "read");
    assert_eq!(inbox.bills().await, 2);
    // The other way round.
    let again = json!({ "vendor_id": vendor, "reference": "R 2027/2", "total": total });
    let (status, problem) = inbox.post("/v1/revenue/bills", &again).await;
    assert_eq!((status, &problem["code"]), (409, &json!("revenue.bill.reference.taken")), "{problem}");
}

#[actix_web::test]
async fn a_bill_of_nobody_known_comes_in_without_a_vendor_and_what_looks_like_it_is_suspected() {
    let inbox = Inbox::new().await;
    let row = inbox.xml(&ubl(&bill()).unwrap()).await;
    assert_eq!((&row["status"], &row["warnings"]), (&json!("read"), &json!(["unknown_vendor"])), "{row}");
    assert_eq!((&row["sender_vat_id"], &row["iban"]), (&json!("DE123456789"), &json!("DE02120300000000202051")));
    let twin = inbox.xml(&cii(&bill()).unwrap()).await;
    assert_eq!(twin["status"], "read", "{twin}");
    let bill = inbox.get(&format!("/v1/revenue/bills/{}", twin["bill_id"].as_str().unwrap())).await;
    assert_eq!(bill["suspected_of_id"], row["bill_id"]);
    assert!(bill["vendor_id"].is_null());
}

#[actix_web::test]
async fn what_cannot_be_read_says_why_and_can_be_entered_or_discarded() {
    let inbox = Inbox::new().await;
    let vendor = inbox.vendor("DE123456789").await;
    let xml = String::from_utf8(ubl(&bill()).unwrap()).unwrap();
    let pdf = Press::default().document(&papers_of_vendors::letter()).unwrap();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (
            "application/xml",
            b"<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"ha\">]><Invoice>&a;</Invoice>".to_vec(),
            "damaged",
        ),
        ("application/xml", xml.replace(">241.56<", ">1.00<").into_bytes(), "sums_differ"),
        ("application/xml", xml.replace("EUR", "XQQ").into_bytes(), "incomplete"),
        ("application/xml", xml.replace(">380<", ">381<").into_bytes(), "credit_note"),
        ("application/pdf", pdf, "nothing_inside"),
        ("text/plain", b"Dear Sirs, please pay.".to_vec(), "unknown_format"),
    ];
    let mut left = vec![];
    for (content_type, bytes, problem) in cases {
        let row = inbox.received("paper", content_type, &bytes).await;
        assert_eq!((&row["status"], &row["problem"]), (&json!("not_read"), &json!(problem)), "{row}");
        assert!(row["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        left.push(row["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(inbox.bills().await, 0);
    let entered = Uuid::now_v7();
    let total = json!({ "minor": 100, "currency": "EUR" });
    inbox
        .order("revenue.bill.receive", entered, json!({ "vendor_id": vendor, "reference": "1", "total": total }))
        .await;
    let path = |id: &str, action: &str| format!("/v1/revenue/bill-files/{id}/{action}");
    assert_eq!(inbox.post(&path(&left[4], "enter"), &json!({ "bill_id": entered })).await.0, 200);
    assert_eq!(inbox.post(&path(&left[5], "discard"), &json!({ "reason": "a letter" })).await.0, 200);
    inbox.app.project().await;
    let waiting = inbox.get("/v1/revenue/bill-files?status=not_read").await["data"].as_array().unwrap().len();
    assert_eq!(waiting, 4);
}

#[actix_web::test]
async fn a_file_that_is_read_again_is_a_bill_once_it_has_a_better_version() {
    let inbox = Inbox::new().await;
    let wrong = b"<Invoice>";
    let (id, begun) = inbox.hand_in("bill.xml", "application/xml", wrong, json!({})).await;
    inbox.send(&begun, wrong).await;
    assert_eq!(inbox.become_of(id).await["problem"], "damaged");
    let bytes = ubl(&bill()).unwrap();
    let sha256 = Checksum::of(&bytes).to_string();
    let add = json!({ "size": bytes.len(), "content_type": "application/xml", "sha256": sha256 });
    let (status, more) =
        inbox.post(&format!("/v1/files/files/{}/add-version", begun["id"].as_str().unwrap()), &add).await;
    assert_eq!(status, 200, "{more}");
    inbox.send(&more, &bytes).await;
    inbox.app.keeper.round().await.unwrap();
    assert_eq!(inbox.post(&format!("/v1/revenue/bill-files/{id}/read-again"), &json!({})).await.0, 200);
    assert_eq!(inbox.become_of(id).await["status"], "read");
}

#[actix_web::test]
async fn a_file_of_a_client_or_one_that_never_comes_is_no_bill() {
    let inbox = Inbox::new().await;
    let client = Uuid::now_v7();
    inbox.order("crm.client.create", client, json!({ "name": "Acme" })).await;
    let bytes = ubl(&bill()).unwrap();
    let (theirs, begun) = inbox.hand_in("bill.xml", "application/xml", &bytes, json!({ "client_id": client })).await;
    inbox.send(&begun, &bytes).await;
    let row = inbox.become_of(theirs).await;
    assert_eq!((&row["problem"], &row["sender_name"]), (&json!("not_the_firms"), &Value::Null), "{row}");
    let (never, begun) = inbox.hand_in("bill.xml", "application/xml", &bytes, json!({})).await;
    let path = format!("/v1/files/files/{}/abort-upload", begun["id"].as_str().unwrap());
    assert_eq!(inbox.post(&path, &json!({ "upload_id": begun["upload_id"] })).await.0, 200);
    assert_eq!(inbox.become_of(never).await["problem"], "file_missing");
    let (status, taken) = inbox.post("/v1/revenue/bill-files", &json!({ "file_id": begun["id"] })).await;
    assert_eq!((status, &taken["code"]), (409, &json!("revenue.bill_file.file.taken")), "{taken}");
}

#[actix_web::test]
async fn a_bill_that_is_to_be_paid_elsewhere_than_its_vendor_says_so() {
    let inbox = Inbox::new().await;
    let vendor = inbox.vendor("DE123456789").await;
    let iban = json!({ "iban": "DE89370400440532013000" });
    inbox.order("revenue.vendor.change_bank_account", vendor, iban).await;
    let row = inbox.xml(&cii(&bill()).unwrap()).await;
    assert_eq!((&row["status"], &row["warnings"]), (&json!("read"), &json!(["other_bank_account"])), "{row}");
}
