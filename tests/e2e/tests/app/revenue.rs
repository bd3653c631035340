//! Invoices, payments and credit notes over real HTTP and the real store: numbers without gaps, and no money used twice.

use futures::future::join_all;
use harness::{Firm, TestApp, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm that bills one client at 20 %, rounding taxes as it is told.
struct Books {
    app: TestApp,
    firm: Firm,
    client: Uuid,
}

fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

impl Books {
    async fn new(rounding: &str) -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        let client = Uuid::now_v7();
        let books = Self { app, firm, client };
        let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
        books.order("crm.client.create", client, json!({ "name": "Acme" })).await;
        let terms = json!({ "currency": "EUR", "rounding": rounding, "payment_terms_days": 14, "invoice_series": "invoices",
                            "credit_note_series": "credits", "default_tax_rate": "vat" });
        let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
        let establish = json!({ "seller": seller, "terms": terms });
        books.order("revenue.billing_settings.establish", Uuid::now_v7(), establish).await;
        let buyer = json!({ "legal_name": "Acme GmbH", "address": address });
        let profile = json!({ "client_id": client, "buyer": buyer });
        books.order("revenue.billing_profile.create", Uuid::now_v7(), profile).await;
        let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
        books.order("revenue.tax_rate.define", Uuid::now_v7(), rate).await;
        for (key, prefix) in [("invoices", "R"), ("credits", "G")] {
            let series = json!({ "key": key, "name": key, "prefix": prefix, "digits": 4, "first": 1 });
            books.order("revenue.invoice_series.define", Uuid::now_v7(), series).await;
        }
        books
    }

    /// Done by the system.
    async fn order(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    /// Asked for by the owner over HTTP, again while others are faster.
    async fn asks(&self, path: &str, body: Value) -> (u16, Value) {
        let token = self.app.owner(self.firm);
        loop {
            let (status, answer) = self.app.ask(&Method::POST, path, &token, body.clone()).await;
            let is_conflict = status == 409 && answer["code"] == "conflict";
            if !is_conflict {
                return (status, answer);
            }
        }
    }

    /// An invoice of lines of these prices, as a draft.
    async fn draft(&self, minors: &[i64]) -> Uuid {
        let id = Uuid::now_v7();
        let line = |minor: &i64| json!({ "description": "Work", "unit_price": eur(*minor) });
        let lines: Vec<Value> = minors.iter().map(line).collect();
        self.order("revenue.invoice.draft", id, json!({ "client_id": self.client, "lines": lines })).await;
        id
    }

    async fn approved(&self, minors: &[i64]) -> Uuid {
        let id = self.draft(minors).await;
        self.order("revenue.invoice.submit_for_approval", id, json!({})).await;
        self.order("revenue.invoice.approve", id, json!({})).await;
        id
    }

    async fn issued(&self, minors: &[i64]) -> Uuid {
        let id = self.approved(minors).await;
        self.order("revenue.invoice.issue", id, json!({})).await;
        id
    }

    async fn credit(&self, invoice: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        self.order("revenue.credit_note.draft", id, json!({ "invoice_id": invoice, "reason": "returned" })).await;
        id
    }

    async fn row(&self, path: &str, id: Uuid) -> Value {
        self.app.project().await;
        let (status, body) = self.app.get(&format!("/v1/revenue/{path}/{id}"), &self.app.owner(self.firm)).await.told();
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn money(&self, invoice: Uuid) -> (Value, i64, i64) {
        let row = self.row("invoices", invoice).await;
        let minor = |field: &str| row[field].as_i64().unwrap();
        (row["status"].clone(), minor("paid_minor"), minor("outstanding_minor"))
    }

    async fn balances(&self) -> Value {
        self.app.project().await;
        let path = format!("/v1/revenue/balances?client_id={}", self.client);
        let (status, body) = self.app.get(&path, &self.app.owner(self.firm)).await.told();
        assert_eq!(status, 200, "{body}");
        body["data"].clone()
    }
}

#[actix_web::test]
async fn every_place_says_the_same_sum_by_the_firms_rule() {
    for (rounding, tax) in [("per_document", 601), ("per_line", 600)] {
        let books = Books::new(rounding).await;
        let invoice = books.issued(&[1001, 1001, 1001]).await;
        let row = books.row("invoices", invoice).await;
        let told = (&row["net_minor"], &row["tax_minor"], &row["total_minor"], &row["rounding"]);
        assert_eq!(told, (&json!(3003), &json!(tax), &json!(3003 + tax), &json!(rounding)));
        let path = format!("/v1/revenue/invoice-lines?invoice_id={invoice}");
        let (_, lines) = books.app.get(&path, &books.app.owner(books.firm)).await.told();
        let of_lines: i64 =
            lines["data"].as_array().unwrap().iter().map(|line| line["tax_minor"].as_i64().unwrap()).sum();
        assert_eq!(of_lines, tax);
        assert_eq!(books.balances().await[0]["outstanding_minor"], 3003 + tax);
        let credit = books.credit(invoice).await;
        assert_eq!(books.row("credit-notes", credit).await["total_minor"], 3003 + tax);
    }
}

#[actix_web::test]
async fn numbers_are_given_in_the_order_of_issuing_and_drafts_have_none() {
    let books = Books::new("per_document").await;
    let (first, second, third) =
        (books.approved(&[100]).await, books.approved(&[100]).await, books.approved(&[100]).await);
    books.order("revenue.invoice.issue", third, json!({})).await;
    books.order("revenue.invoice.void", first, json!({ "reason": "given up" })).await;
    books.order("revenue.invoice.issue", second, json!({})).await;
    for (id, number) in [(third, json!("R0001")), (second, json!("R0002")), (first, Value::Null)] {
        assert_eq!(books.row("invoices", id).await["number"], number);
    }
}

#[actix_web::test]
async fn many_who_issue_at_once_leave_no_gap_and_share_no_number() {
    let books = Books::new("per_document").await;
    let mut invoices = vec![];
    for _ in 0..24 {
        invoices.push(books.approved(&[100]).await);
    }
    let issue = |id: &Uuid| {
        let path = format!("/v1/revenue/invoices/{id}/issue");
        let books = &books;
        async move { books.asks(&path, json!({})).await }
    };
    for (status, body) in join_all(invoices.iter().map(issue)).await {
        assert_eq!(status, 200, "{body}");
    }
    let mut numbers = vec![];
    for id in &invoices {
        numbers.push(books.row("invoices", *id).await["number"].as_str().unwrap().to_owned());
    }
    numbers.sort();
    assert_eq!(numbers, (1..=24).map(|n| format!("R{n:04}")).collect::<Vec<_>>());
    // The series says of each number who has it.
    let taken = "select count(distinct payload ->> 'number') from eventstore.events where event_type = 'invoice_series.number_taken'";
    assert_eq!(books.app.count(taken).await, 24);
}

#[actix_web::test]
async fn nobody_takes_a_number_or_pays_an_invoice_by_itself() {
    let books = Books::new("per_document").await;
    let invoice = books.issued(&[1000]).await;
    let series = Uuid::now_v7();
    let define = json!({ "key": "other", "name": "Other", "prefix": "X", "digits": 1, "first": 1 });
    books.order("revenue.invoice_series.define", series, define).await;
    let take = json!({ "number": 1, "taken_by": { "kind": "invoice", "invoice_id": invoice } });
    let (status, body) = books.asks(&format!("/v1/revenue/invoice-series/{series}/take-number"), take).await;
    assert_eq!((status, &body["code"]), (409, &json!("revenue.invoice_series.not_alone")), "{body}");
    let settlement = json!({ "kind": "payment", "payment_id": Uuid::now_v7() });
    let settle = json!({ "settlement": settlement, "client_id": books.client, "amount": eur(1) });
    let (status, body) = books.asks(&format!("/v1/revenue/invoices/{invoice}/settle"), settle).await;
    assert_eq!((status, &body["code"]), (409, &json!("revenue.invoice.not_alone")), "{body}");
}

#[actix_web::test]
async fn a_payment_and_its_invoice_agree_also_when_it_is_taken_back() {
    let books = Books::new("per_document").await;
    let (invoice, payment) = (books.issued(&[1000]).await, Uuid::now_v7());
    let receive = json!({ "client_id": books.client, "amount": eur(1500), "allocations": [{ "invoice_id": invoice }] });
    books.order("revenue.payment.receive", payment, receive).await;
    assert_eq!(books.money(invoice).await, (json!("paid"), 1200, 0));
    assert_eq!(books.row("payments", payment).await["unallocated_minor"], 300);
    assert_eq!(books.balances().await[0]["unallocated_credit_minor"], 300);
    books.order("revenue.payment.reverse", payment, json!({ "reason": "bounced" })).await;
    assert_eq!(books.money(invoice).await, (json!("issued"), 0, 1200));
    // Whoever reads the log sees the two beside each other, in one unit.
    let apart = "select count(*) from eventstore.events i join eventstore.events p on p.position = i.position + 1
                 where i.event_type in ('invoice.paid', 'invoice.payment_reversed')
                   and i.metadata -> 'unit' ->> 'id' = p.metadata -> 'unit' ->> 'id'";
    assert_eq!(books.app.count(apart).await, 2);
}

#[actix_web::test]
async fn credit_that_is_used_is_used_once_and_the_invoice_knows() {
    let books = Books::new("per_document").await;
    let of = async |minors: &[i64]| {
        let credit = books.credit(books.issued(minors).await).await;
        books.order("revenue.credit_note.issue", credit, json!({})).await;
        credit
    };
    // 30.00 of credit for an invoice of 60.00.
    let (credit, invoice) = (of(&[2500]).await, books.issued(&[5000]).await);
    books.order("revenue.credit_note.apply", credit, json!({ "invoice_id": invoice })).await;
    assert_eq!(books.money(invoice).await, (json!("partially_paid"), 3000, 3000));
    let row = books.row("credit-notes", credit).await;
    assert_eq!((&row["status"], &row["remaining_minor"]), (&json!("applied"), &json!(0)));
    // At no position does one of both know what the other does not.
    let apart = "select count(*) from eventstore.events i join eventstore.events c on abs(c.position - i.position) = 1
                 where i.event_type = 'invoice.partially_paid' and c.event_type = 'credit_note.applied'
                   and i.metadata -> 'unit' ->> 'id' = c.metadata -> 'unit' ->> 'id'";
    assert_eq!(books.app.count(apart).await, 1);
    // 90.00 are left of 120.00; two who want all of it at once: one has it.
    let (credit, small) = (of(&[10_000]).await, books.issued(&[2500]).await);
    books.order("revenue.credit_note.apply", credit, json!({ "invoice_id": small })).await;
    let large = [books.issued(&[20_000]).await, books.issued(&[20_000]).await];
    let path = format!("/v1/revenue/credit-notes/{credit}/apply");
    let apply = |id: &Uuid| {
        let (books, path, id) = (&books, &path, *id);
        async move { books.asks(path, json!({ "invoice_id": id, "amount": eur(9000) })).await }
    };
    let mut answers: Vec<(u16, Value)> = join_all(large.iter().map(apply)).await;
    answers.sort_by_key(|(status, _)| *status);
    let codes: Vec<_> = answers.iter().map(|(status, body)| (*status, body["code"].clone())).collect();
    assert_eq!(codes[0].0, 200, "{answers:?}");
    assert_eq!(codes[1], (409, json!("revenue.credit_note.spent")), "{answers:?}");
    let open: i64 = books.money(large[0]).await.2 + books.money(large[1]).await.2;
    assert_eq!(open, 2 * 24_000 - 9000);
}

#[actix_web::test]
async fn two_who_take_back_the_same_at_once_take_it_back_once() {
    let books = Books::new("per_document").await;
    let invoice = books.issued(&[1000]).await;
    let notes = [books.credit(invoice).await, books.credit(invoice).await];
    let issue = |id: &Uuid| {
        let (books, path) = (&books, format!("/v1/revenue/credit-notes/{id}/issue"));
        async move { books.asks(&path, json!({})).await }
    };
    let answers = join_all(notes.iter().map(issue)).await;
    let done = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(done, 1, "{answers:?}");
    assert_eq!(books.row("invoices", invoice).await["credited_minor"], 1200);
}

#[actix_web::test]
async fn a_client_sees_its_invoices_from_the_day_on_which_they_are_issued() {
    let books = Books::new("per_document").await;
    let person = Uuid::now_v7();
    let (app, firm) = (&books.app, books.firm);
    app.let_into_portal(firm, person, books.client, "ada@acme.example", "revenue.invoice.read").await;
    app.command(firm, "portal.portal_user.grant_access", person, &json!({ "scope": "invoices" })).await;
    let ada = app.portal_session(firm, person, books.client).await;
    let draft = books.draft(&[100]).await;
    let issued = books.issued(&[100]).await;
    app.project().await;
    eventually(async || app.get("/v1/revenue/invoice-lines", &ada).await.status == 200).await;
    let (_, list) = app.get("/v1/revenue/invoices", &ada).await.told();
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&json!(issued)]);
    assert_eq!(app.get(&format!("/v1/revenue/invoices/{draft}"), &ada).await.status, 404);
    let (_, lines) = app.get("/v1/revenue/invoice-lines", &ada).await.told();
    assert_eq!(lines["data"].as_array().unwrap().len(), 1);
    assert_eq!(app.get(&format!("/v1/revenue/balances?client_id={}", books.client), &ada).await.status, 200);
    assert_eq!(app.get(&format!("/v1/revenue/balances?client_id={}", Uuid::now_v7()), &ada).await.status, 403);
    assert_eq!(app.get("/v1/revenue/balances", &ada).await.status, 403);
}
