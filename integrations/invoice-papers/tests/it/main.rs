//! Papers on a real store and a real log.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use harness::{Firm, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm that bills a client.
struct Books {
    app: TestApp,
    firm: Firm,
    client: Uuid,
}

impl Books {
    async fn new(currency: &str) -> Self {
        Self::rounding(currency, "per_document").await
    }

    async fn rounding(currency: &str, rounding: &str) -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        let books = Self { app, firm, client: Uuid::now_v7() };
        let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
        books.order("crm.client.create", books.client, json!({ "name": "Acme" })).await;
        let terms = json!({
            "currency": currency, "rounding": rounding, "payment_terms_days": 14, "invoice_series": "invoices",
            "credit_note_series": "credits", "default_tax_rate": "vat",
        });
        let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
        let establish = json!({ "seller": seller, "terms": terms });
        books.order("revenue.billing_settings.establish", Uuid::now_v7(), establish).await;
        let buyer = json!({ "legal_name": "Acme GmbH", "address": address, "email": "pay@acme.example" });
        let profile = json!({ "client_id": books.client, "buyer": buyer, "language": "de" });
        books.order("revenue.billing_profile.create", Uuid::now_v7(), profile).await;
        let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
        books.order("revenue.tax_rate.define", Uuid::now_v7(), rate).await;
        for (key, prefix) in [("invoices", "R/"), ("credits", "G/")] {
            let series = json!({ "key": key, "name": key, "prefix": prefix, "digits": 4, "first": 1 });
            books.order("revenue.invoice_series.define", Uuid::now_v7(), series).await;
        }
        books
    }

    /// Done by the system.
    async fn order(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    async fn issued(&self, currency: &str) -> Uuid {
        self.issued_for(currency, &[10_000]).await
    }

    async fn issued_for(&self, currency: &str, minors: &[i64]) -> Uuid {
        let id = Uuid::now_v7();
        let line =
            |minor: &i64| json!({ "description": "Work", "unit_price": { "minor": minor, "currency": currency } });
        let lines: Vec<Value> = minors.iter().map(line).collect();
        self.order("revenue.invoice.draft", id, json!({ "client_id": self.client, "lines": lines })).await;
        for command in ["submit_for_approval", "approve", "issue"] {
            self.order(&format!("revenue.invoice.{command}"), id, json!({})).await;
        }
        id
    }

    async fn settle(&self) {
        self.app.keeper.round().await.unwrap();
        self.app.project().await;
    }

    /// The bytes of a file.
    async fn bytes(&self, file: &Value) -> Vec<u8> {
        let path = format!("/v1/files/files/{}/download", file.as_str().unwrap());
        let place = self.app.get(&path, self.app.owner(self.firm).as_str()).await;
        let fetched = self.app.http.get(place.header("location")).send().await.unwrap();
        fetched.bytes().await.unwrap().to_vec()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.app.get(path, self.app.owner(self.firm).as_str()).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body
    }
}

#[actix_web::test]
async fn an_invoice_has_a_paper_that_its_client_sees_and_a_credit_note_has_its_own() {
    let books = Books::new("EUR").await;
    let invoice = books.issued("EUR").await;
    books.settle().await;
    let row = books.get(&format!("/v1/revenue/invoices/{invoice}")).await;
    let (pdf, xml) = (row["pdf_file_id"].as_str().unwrap(), row["xml_file_id"].as_str().unwrap());
    let files = books.get("/v1/files/files").await["data"].as_array().unwrap().clone();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(files.len(), 2, "{names:?}");
    assert!(names.contains(&"R-0001.pdf") && names.contains(&"R-0001.xml"), "{names:?}");
    assert!(files.iter().all(|file| file["client_id"] == json!(books.client)));

    let person = Uuid::now_v7();
    books.app.let_into_portal(books.firm, person, books.client, "ada@example.com", "files.*").await;
    books.app.project().await;
    let session = books.app.portal_session(books.firm, person, books.client).await;
    for file in [pdf, xml] {
        assert_eq!(books.app.get(&format!("/v1/files/files/{file}"), &session).await.status, 200, "{file}");
    }

    let credit = Uuid::now_v7();
    books.order("revenue.credit_note.draft", credit, json!({ "invoice_id": invoice, "reason": "returned" })).await;
    books.order("revenue.credit_note.issue", credit, json!({})).await;
    books.settle().await;
    let row = books.get(&format!("/v1/revenue/credit-notes/{credit}")).await;
    assert!(row["pdf_file_id"].is_string() && row["xml_file_id"].is_string(), "{row}");
    assert_eq!(books.get("/v1/files/files").await["data"].as_array().unwrap().len(), 4);
}

#[actix_web::test]
async fn a_paper_that_is_asked_for_again_is_the_one_that_is_there() {
    let books = Books::new("EUR").await;
    let invoice = books.issued("EUR").await;
    books.settle().await;
    let before = books.get(&format!("/v1/revenue/invoices/{invoice}")).await;
    let superuser = books.app.database.superuser().await;
    // Nobody remembers that it was done.
    for sql in ["delete from reactions.jobs", "update reactions.checkpoints set position = 0"] {
        sqlx::query(sql).execute(&superuser).await.unwrap();
    }
    books.settle().await;
    assert_eq!(books.get(&format!("/v1/revenue/invoices/{invoice}")).await["version"], before["version"]);
    assert_eq!(books.get("/v1/files/files").await["data"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_currency_with_more_decimals_than_networks_take_has_a_pdf_alone() {
    let books = Books::new("KWD").await;
    let invoice = books.issued("KWD").await;
    books.settle().await;
    let row = books.get(&format!("/v1/revenue/invoices/{invoice}")).await;
    assert!(row["pdf_file_id"].is_string() && row["xml_file_id"].is_null(), "{row}");
}

#[actix_web::test]
async fn an_email_comes_with_the_paper_and_with_nobody_elses_files() {
    let books = Books::new("EUR").await;
    let invoice = books.issued("EUR").await;
    books.settle().await;
    let row = books.get(&format!("/v1/revenue/invoices/{invoice}")).await;
    let send = |client: Uuid| {
        json!({
            "to": { "kind": "address", "email": "pay@acme.example" }, "subject": "Invoice", "body": "Attached.",
            "client_id": client, "attachments": [row["pdf_file_id"], row["xml_file_id"]],
        })
    };
    books.order("communications.email.send", Uuid::now_v7(), send(books.client)).await;
    let other = Uuid::now_v7();
    books.order("crm.client.create", other, json!({ "name": "Other" })).await;
    let wrong = Uuid::now_v7();
    books.order("communications.email.send", wrong, send(other)).await;
    books.app.mailer.round().await.unwrap();
    let emails = books.app.sink.emails();
    let with = emails.iter().filter(|email| email.contains("R-0001.pdf") && email.contains("R-0001.xml"));
    assert_eq!(with.count(), 1, "{}", emails.len());
    books.app.project().await;
    let row = books.get(&format!("/v1/communications/emails/{wrong}")).await;
    assert_eq!((&row["status"], &row["code"]), (&json!("failed"), &json!("attachment_missing")));
}

#[actix_web::test]
async fn the_papers_say_the_same_sum_as_every_other_place_by_the_firms_rule() {
    for (rounding, tax) in [("per_document", 601), ("per_line", 600)] {
        let books = Books::rounding("EUR", rounding).await;
        let invoice = books.issued_for("EUR", &[1_001, 1_001, 1_001]).await;
        let credit = Uuid::now_v7();
        books.order("revenue.credit_note.draft", credit, json!({ "invoice_id": invoice, "reason": "returned" })).await;
        books.order("revenue.credit_note.issue", credit, json!({})).await;
        books.settle().await;
        for path in [format!("/v1/revenue/invoices/{invoice}"), format!("/v1/revenue/credit-notes/{credit}")] {
            let row = books.get(&path).await;
            assert_eq!(row["total_minor"], 3_003 + tax, "{rounding} {row}");
            for file in ["pdf_file_id", "xml_file_id"] {
                let paper = papers::read::read(&books.bytes(&row[file]).await).unwrap();
                let minor =
                    |sum: Option<papers::read::Decimal>| sum.unwrap().money(paper.currency.unwrap()).unwrap().minor();
                let sums = &paper.sums;
                let told = (minor(sums.net), minor(sums.tax), minor(sums.total), minor(sums.due));
                assert_eq!(told, (3_003, tax, 3_003 + tax, 3_003 + tax), "{rounding} {file}");
            }
        }
    }
}
