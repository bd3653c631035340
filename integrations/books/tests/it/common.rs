//! A firm that bills and is connected with its ledger.

use books::{Bills, Books, Chart, Invoices, Ledgers};
use connect::Providers;
use event_store::Log;
use harness::{Firm, Outside, TestApp};
use ports::{Ledger, Place};
use reactions::{Filter, State};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub struct Office {
    pub app: TestApp,
    pub firm: Firm,
    pub outside: Outside,
    pub at: Place,
    pub client: Uuid,
    settings: Uuid,
    pub providers: Providers,
}

impl Office {
    /// Its ledger is at Xero.
    pub async fn open() -> Self {
        Self::with_ledger_at("xero").await
    }

    pub async fn with_ledger_at(provider: &str) -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        let outside = Outside::start(&app).await;
        let at = outside.connected(&app, firm, provider).await;
        // What the ledger says by itself is not heard here; sweeps find it.
        outside.lab.mood(lab::Mood::Never);
        let providers = providers(&app, &outside);
        let office = Self { app, firm, outside, at, client: Uuid::now_v7(), settings: Uuid::now_v7(), providers };
        let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
        office.order("crm.client.create", office.client, json!({ "name": "Acme" })).await;
        let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
        let establish = json!({ "seller": seller, "terms": terms() });
        office.order("revenue.billing_settings.establish", office.settings, establish).await;
        let buyer = json!({ "legal_name": "Acme GmbH", "address": address });
        let profile = json!({ "client_id": office.client, "buyer": buyer });
        office.order("revenue.billing_profile.create", Uuid::now_v7(), profile).await;
        let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
        office.order("revenue.tax_rate.define", Uuid::now_v7(), rate).await;
        let series = json!({ "key": "invoices", "name": "Invoices", "prefix": "R", "digits": 4, "first": 1 });
        office.order("revenue.invoice_series.define", Uuid::now_v7(), series).await;
        let policy = json!({ "name": "Bills", "subject": "bill", "rules": [{ "name": "All", "steps": [] }] });
        office.order("revenue.approval_policy.define", Uuid::now_v7(), policy).await;
        // The reactions begin here.
        office.round().await;
        office
    }

    pub async fn order(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    pub async fn round(&self) {
        self.providers.round().await.unwrap();
    }

    pub async fn issued(&self, minors: &[i64]) -> Uuid {
        let id = Uuid::now_v7();
        let line = |minor: &i64| json!({ "description": "Work", "unit_price": eur(*minor) });
        let lines: Vec<Value> = minors.iter().map(line).collect();
        self.order("revenue.invoice.draft", id, json!({ "client_id": self.client, "lines": lines })).await;
        for step in ["submit_for_approval", "approve", "issue"] {
            self.order(&format!("revenue.invoice.{step}"), id, json!({})).await;
        }
        id
    }

    pub async fn vendor(&self, name: &str) -> Uuid {
        let id = Uuid::now_v7();
        self.order("revenue.vendor.add", id, json!({ "name": name, "account_code": "400" })).await;
        id
    }

    pub async fn approved(&self, vendor: Uuid, reference: &str, minor: i64) -> Uuid {
        let id = Uuid::now_v7();
        let receive = json!({ "vendor_id": vendor, "reference": reference, "total": eur(minor) });
        self.order("revenue.bill.receive", id, receive).await;
        for step in ["code", "request_approval"] {
            self.order(&format!("revenue.bill.{step}"), id, json!({})).await;
        }
        id
    }

    /// How often this happened to it.
    pub async fn happened(&self, event_type: &str, id: Uuid) -> i64 {
        let sql = format!(
            "select count(*) from eventstore.events where event_type = '{event_type}' and aggregate_id = '{id}'"
        );
        self.app.count(&sql).await
    }

    pub async fn all(&self, event_type: &str) -> i64 {
        self.app.count(&format!("select count(*) from eventstore.events where event_type = '{event_type}'")).await
    }

    /// Jobs of a reaction in this state.
    pub async fn jobs(&self, reaction: &str, state: &str) -> i64 {
        let sql = format!("select count(*) from reactions.jobs where reaction = '{reaction}' and state = '{state}'");
        self.app.count(&sql).await
    }

    /// The firm's ledger has another account for sales, and another word for what is not taxed.
    pub async fn chart(&self, sales: &str, untaxed: &str) {
        let mut terms = terms();
        (terms["sales_account"], terms["untaxed_code"]) = (sales.into(), untaxed.into());
        self.order("revenue.billing_settings.change_terms", self.settings, json!({ "terms": terms })).await;
    }

    /// The firm rounds taxes by this rule.
    pub async fn rounding(&self, rule: &str) {
        let mut terms = terms();
        terms["rounding"] = rule.into();
        self.order("revenue.billing_settings.change_terms", self.settings, json!({ "terms": terms })).await;
    }

    /// What an invoice comes to by its own record, in minor units: without tax, the tax, and both.
    pub async fn comes_to(&self, id: Uuid) -> (i64, i64, i64) {
        let minor = async |what: &str| {
            let sql = format!(
                "select (payload -> 'amounts' -> '{what}' ->> 'minor')::bigint from eventstore.events
                 where event_type = 'invoice.issued' and aggregate_id = '{id}'"
            );
            self.app.count(&sql).await
        };
        (minor("net").await, minor("tax").await, minor("total").await)
    }

    /// Whoever looks after it has everything tried again that was parked.
    pub async fn retry(&self, reaction: &str) {
        let filter = reactions::Filter { reaction: Some(reaction.to_owned()), ..reactions::Filter::default() };
        reactions::retry(&self.outside.worker, &filter).await.unwrap();
    }

    /// As if every back-off was over.
    pub async fn hasten(&self) {
        for state in [State::Due, State::Unknown] {
            let filter = Filter { state: Some(state), ..Filter::default() };
            reactions::retry(&self.outside.worker, &filter).await.unwrap();
        }
    }

    /// A sweep of this moment, whenever the last one was.
    pub async fn sweep(&self) {
        let again = "update connect.links set swept_at = null";
        sqlx::query(again).execute(&self.outside.worker).await.unwrap();
        self.round().await;
    }
}

pub fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

fn terms() -> Value {
    json!({ "currency": "EUR", "rounding": "per_document", "payment_terms_days": 14, "invoice_series": "invoices",
            "credit_note_series": "credits", "default_tax_rate": "vat" })
}

/// Whoever keeps the ledgers in step.
fn providers(app: &TestApp, outside: &Outside) -> Providers {
    let books = |ledger, named, untaxed: Option<&str>| {
        let (log, store) = (Log::new(outside.worker.clone()), app.bus.store().clone());
        let chart = Chart { sales: "200".to_owned(), untaxed: untaxed.map(str::to_owned) };
        Books::new(ledger, named, outside.links.clone(), log, store, chart)
    };
    let ledgers = Ledgers::new([
        books(Arc::new(outside.xero.clone()) as Arc<dyn Ledger>, (xero::PROVIDER, xero::ENTRY), Some("NONE")),
        books(Arc::new(outside.quickbooks.clone()), (quickbooks::PROVIDER, quickbooks::ENTRY), None),
    ]);
    outside.providers(app, ledgers.hearers(), |engine| engine.with(Invoices(ledgers.clone())).with(Bills(ledgers)))
}
