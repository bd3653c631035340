//! Flagship 5 on real PostgreSQL: whoever has paid is an active client, and somebody asks how it went. Also how an invoice goes out.

use crate::common::World;
use event_store::Request;
use kernel::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm that bills a client, with an invoice of 120 euros.
struct Books {
    world: World,
    client: Uuid,
    invoice: Uuid,
}

fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

impl Books {
    async fn new(email: Option<&str>) -> Self {
        let world = World::office(true).await;
        world.register().await;
        let client = world.client("Acme").await.id;
        let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
        let terms = json!({
            "currency": "EUR", "rounding": "per_document", "payment_terms_days": 14, "invoice_series": "invoices",
            "credit_note_series": "credits", "default_tax_rate": "vat",
        });
        let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
        let settings = json!({ "seller": seller, "terms": terms });
        world.send("revenue.billing_settings.establish", None, settings).await.unwrap();
        let buyer = json!({ "legal_name": "Acme GmbH", "address": address, "email": email });
        let profile = json!({ "client_id": client, "buyer": buyer });
        world.send("revenue.billing_profile.create", None, profile).await.unwrap();
        let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
        world.send("revenue.tax_rate.define", None, rate).await.unwrap();
        for (key, prefix) in [("invoices", "R"), ("credits", "G")] {
            let series = json!({ "key": key, "name": key, "prefix": prefix, "digits": 4, "first": 1 });
            world.send("revenue.invoice_series.define", None, series).await.unwrap();
        }
        let lines = json!([{ "description": "Work", "unit_price": eur(10_000) }]);
        let draft = json!({ "client_id": client, "lines": lines });
        let invoice = world.send("revenue.invoice.draft", None, draft).await.unwrap().id;
        for command in ["submit_for_approval", "approve", "issue"] {
            world.send(&format!("revenue.invoice.{command}"), Some(invoice), json!({})).await.unwrap();
        }
        Self { world, client, invoice }
    }

    /// Money comes in, of which so much is for the invoice.
    async fn pay(&self, amount: i64, of_it: i64) -> Uuid {
        let allocations = json!([{ "invoice_id": self.invoice, "amount": eur(of_it) }]);
        let receive = json!({ "client_id": self.client, "amount": eur(amount), "allocations": allocations });
        self.world.send("revenue.payment.receive", None, receive).await.unwrap().id
    }

    async fn by_system(&self, command: &str, id: Uuid, body: Value) {
        let info = self.world.bus.command(command).unwrap();
        let request = Request::new(self.world.tenant, Actor::System { name: "test".to_owned() });
        self.world.bus.execute(info, Some(id), body.to_string(), request).await.unwrap();
    }

    /// The runs that an event of this type started.
    async fn succeeded(&self, definition: &str) -> usize {
        let mut count = 0;
        for run in self.world.runs().await {
            let run = self.world.show(run).await;
            let named = run.definition.as_ref().is_some_and(|name| name.as_str().starts_with(definition));
            count += usize::from(named && run.status() == workflow::RunStatus::Succeeded);
        }
        count
    }

    async fn until_paid_runs(&self, count: usize) {
        self.world
            .eventually("invoice.paid starts a run", async || self.succeeded("Invoice paid").await == count)
            .await;
    }

    /// How often each thing happened: status changed, owner told, follow-up scheduled, follow-up dismissed.
    async fn done(&self) -> [usize; 4] {
        let mut done = [0; 4];
        let types = ["client.status_changed", "notification.sent", "follow_up.scheduled", "follow_up.dismissed"];
        for (count, event_type) in done.iter_mut().zip(types) {
            *count = self.world.count(event_type).await;
        }
        done
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_paid_is_an_active_client_and_is_asked_how_it_went() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    books.pay(12_000, 12_000).await;
    books.until_paid_runs(1).await;
    assert_eq!(books.done().await, [1, 1, 1, 0]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_paid_starts_nothing_until_the_last_one_is() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    books.pay(5_000, 5_000).await;
    books.world.until("invoice.partially_paid", 1).await;
    let head = books.world.log.head().await.unwrap();
    books.world.eventually("the intake reads on", async || books.world.intake().await >= head).await;
    assert_eq!(books.done().await, [0; 4]);
    books.pay(7_000, 7_000).await;
    books.until_paid_runs(1).await;
    assert_eq!(books.done().await, [1, 1, 1, 0]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_asked_for_is_one_payment_and_one_run() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    books.pay(20_000, 12_000).await;
    books.until_paid_runs(1).await;
    assert_eq!(books.done().await, [1, 1, 1, 0]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_taken_back_takes_the_follow_up_back_and_another_payment_has_its_own() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    let payment = books.pay(12_000, 12_000).await;
    books.until_paid_runs(1).await;
    books.world.send("revenue.payment.reverse", Some(payment), json!({ "reason": "bounced" })).await.unwrap();
    books.world.until("run.compensated", 1).await;
    assert_eq!(books.done().await, [1, 1, 1, 1]);
    books.pay(12_000, 12_000).await;
    books.world.until("follow_up.scheduled", 2).await;
    books.until_paid_runs(1).await;
    // The client was active, and is told of no second time.
    assert_eq!(books.done().await, [1, 2, 2, 1]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_that_was_done_stays_done_when_money_is_taken_back() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    let payment = books.pay(12_000, 12_000).await;
    books.until_paid_runs(1).await;
    let events = books.world.events().await;
    let follow_up = events.iter().find(|event| event.event_type == "follow_up.scheduled").unwrap().aggregate_id;
    books.world.send("timeline.follow_up.complete", Some(follow_up), json!({})).await.unwrap();
    books.world.send("revenue.payment.reverse", Some(payment), json!({ "reason": "bounced" })).await.unwrap();
    books.world.until("run.compensated", 1).await;
    assert_eq!((books.done().await[3], books.world.count("run.parked").await), (0, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_left_or_is_blocked_stays_as_it_is() {
    let books = Books::new(None).await;
    let block = json!({ "reason": "in dispute" });
    books.world.send("crm.client.block", Some(books.client), block).await.unwrap();
    let engine = books.world.engine();
    books.pay(12_000, 12_000).await;
    books.until_paid_runs(1).await;
    assert_eq!(books.done().await, [0, 1, 1, 0]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_that_is_there_goes_out_and_the_invoice_is_sent_when_the_email_is() {
    let books = Books::new(Some("pay@acme.example")).await;
    let engine = books.world.engine();
    let (pdf, xml) = (Uuid::now_v7(), Uuid::now_v7());
    let files = json!({ "pdf_file_id": pdf, "xml_file_id": xml });
    books.by_system("revenue.invoice.record_paper", books.invoice, files).await;
    books.world.until("email.queued", 1).await;
    let events = books.world.events().await;
    let queued = events.iter().find(|event| event.event_type == "email.queued").unwrap();
    let said: Value = serde_json::from_str(queued.payload.get()).unwrap();
    assert_eq!((&said["attachments"], &said["address"]), (&json!([pdf, xml]), &json!("pay@acme.example")));
    assert_eq!(books.world.count("invoice.sent").await, 0);
    let sent = json!({ "attempt": 1, "address": "pay@acme.example" });
    books.by_system("communications.email.mark_sent", queued.aggregate_id, sent).await;
    books.world.until("invoice.sent", 1).await;
    assert_eq!(books.world.count("notification.sent").await, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_cannot_go_out_is_told_of() {
    let books = Books::new(None).await;
    let engine = books.world.engine();
    books.by_system("revenue.invoice.record_paper", books.invoice, json!({ "pdf_file_id": Uuid::now_v7() })).await;
    books.world.until("notification.sent", 1).await;
    assert_eq!((books.world.count("email.queued").await, books.world.count("invoice.sent").await), (0, 0));
    engine.stop().await;
}
