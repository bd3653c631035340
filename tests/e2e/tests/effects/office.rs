//! Firms that are connected with providers of their own, and how they give orders.

use anyhow::{Context, Result, bail, ensure};
use e2e::World;
use event_store::{CommandBus, ExecuteError, Request, Store, StoreOptions};
use kernel::{Actor, ConnectionId, TenantId};
use lab::{DOCUSIGN_ACCOUNT, Descriptions, Lab, XERO_TENANT};
use ports::Place;
use providers::{Account, Keeper};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use vault::{LocalKeys, Vault};

/// How long somebody repeats what got no usable answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A firm, and the providers that it is connected with.
pub struct Firm {
    pub tenant: Uuid,
    pub client: Uuid,
    pub vendors: Vec<Uuid>,
    pub xero: Place,
    pub docusign: Place,
    pub lab: Lab,
    token: String,
}

/// Whoever gives orders.
pub struct Office {
    /// As `ubos_worker`.
    pub worker: PgPool,
    /// As a superuser, for whoever judges.
    pub all: PgPool,
    /// Where the door is.
    pub door: String,
    bus: CommandBus,
    keeper: Keeper,
    http: reqwest::Client,
}

impl Office {
    pub async fn open(world: &World) -> Result<Self> {
        let url = |role: &str| format!("postgres://{role}:world@127.0.0.1:{}/ubos", world.postgres.port);
        let connect = async |url: &str| schema::connect(url, "effects", 8, Duration::from_secs(20)).await;
        let (command, worker) = (connect(&url("ubos_command")).await?, connect(&url("ubos_worker")).await?);
        let superuser: PgConnectOptions = world.postgres.url.parse()?;
        let all = PgPoolOptions::new().max_connections(4).connect_with(superuser.database("ubos")).await?;
        let keys = LocalKeys::new(&e2e::VAULT_KEY.to_owned().into(), &[])?;
        let vault = Vault::start(command.clone(), Arc::new(keys));
        let options = StoreOptions { vault: Some(vault.clone()), ..StoreOptions::default() };
        let mut bus = CommandBus::new(Store::start(command.clone(), options));
        registry::mount_all(&mut bus);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { worker, all, door: world.url("command-api"), bus, keeper: Keeper::new(command, vault), http })
    }

    /// An order of UBOS itself, past HTTP.
    pub async fn order(&self, tenant: Uuid, name: &str, id: Uuid, body: Value) -> Result<()> {
        let info = *self.bus.command(name).with_context(|| format!("no command {name}"))?;
        let begun = Instant::now();
        loop {
            let request = Request::new(TenantId(tenant), Actor::System { name: "test".to_owned() });
            match self.bus.execute(&info, Some(id), body.to_string(), request).await {
                Ok(_) | Err(ExecuteError::AlreadyExists) => return Ok(()),
                Err(ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))
                    if begun.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => bail!("{name} {body}: {error}"),
            }
        }
    }

    /// An order of somebody of the firm, at the door: with a key, again until it is answered.
    pub async fn ask(&self, firm: &Firm, path: &str, body: Value) -> Result<()> {
        let (key, begun) = (Uuid::now_v7().to_string(), Instant::now());
        loop {
            let request = self.http.post(format!("{}/v1/{path}", self.door)).bearer_auth(&firm.token);
            match request.header("Idempotency-Key", &key).json(&body).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
                    let is_for_now = status >= 500 || status == 429 || status == 409 && said.contains("\"conflict\"");
                    ensure!(is_for_now && begun.elapsed() < PATIENCE, "{path} {body}: {status} {said}");
                }
                Err(error) => ensure!(begun.elapsed() < PATIENCE, "{path}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A firm that bills and is billed, and has agreed at Xero and at DocuSign.
    pub async fn found(&self, world: &World, number: usize) -> Result<Firm> {
        let (tenant, client) = (Uuid::now_v7(), Uuid::now_v7());
        let (of, who) = (tenant.to_string(), Uuid::now_v7().to_string());
        let token = world.expect(&["token", "--tenant", &of, "--subject", &who])?.trim().to_owned();
        // One is held against the providers' own descriptions, where these are; for all of them that is dear.
        let described = if number == 0 { Descriptions::find().0 } else { Descriptions::none() };
        let (lab, server) = Lab::serve(SocketAddr::from(([127, 0, 0, 1], 0)), described)?;
        actix_web::rt::spawn(server);

        let order = async |name: &str, id: Uuid, body: Value| self.order(tenant, name, id, body).await;
        let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
        order("crm.client.create", client, json!({ "name": "Acme" })).await?;
        let terms = json!({ "currency": "EUR", "rounding": "per_document", "payment_terms_days": 14,
                            "invoice_series": "invoices", "credit_note_series": "credits", "default_tax_rate": "vat" });
        let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
        let establish = json!({ "seller": seller, "terms": terms });
        order("revenue.billing_settings.establish", Uuid::now_v7(), establish).await?;
        let buyer = json!({ "legal_name": "Acme GmbH", "address": address });
        let profile = json!({ "client_id": client, "buyer": buyer });
        order("revenue.billing_profile.create", Uuid::now_v7(), profile).await?;
        let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
        order("revenue.tax_rate.define", Uuid::now_v7(), rate).await?;
        let series = json!({ "key": "invoices", "name": "Invoices", "prefix": "R", "digits": 4, "first": 1 });
        order("revenue.invoice_series.define", Uuid::now_v7(), series).await?;
        let policy = json!({ "name": "Nobody", "rules": [{ "name": "Whatever it is" }] });
        order("revenue.approval_policy.define", Uuid::now_v7(), policy).await?;
        let mut vendors = vec![];
        for name in ["Paper Ltd", "Ink & Sons"] {
            let id = Uuid::now_v7();
            order("revenue.vendor.add", id, json!({ "name": name, "account_code": "400" })).await?;
            vendors.push(id);
        }
        let xero = self.connected(tenant, &lab, "xero").await?;
        let docusign = self.connected(tenant, &lab, "docusign").await?;
        // Xero knows one address of ours, DocuSign is told it with every envelope.
        lab.webhooks_to("xero", &format!("{}/v1/webhooks/xero/{}", self.door, xero.connection));
        Ok(Firm { tenant, client, vendors, xero, docusign, lab, token })
    }

    /// Somebody agrees; what a browser does is another test's.
    async fn connected(&self, tenant: Uuid, lab: &Lab, provider: &str) -> Result<Place> {
        let id = Uuid::now_v7();
        let create = json!({ "provider": provider, "name": format!("Our {provider}") });
        self.order(tenant, "connections.connection.create", id, create).await?;
        self.order(tenant, "connections.connection.begin_authorisation", id, json!({})).await?;
        let at = Place { tenant: TenantId(tenant), connection: ConnectionId(id) };
        let account = if provider == "xero" { XERO_TENANT } else { DOCUSIGN_ACCOUNT };
        let of = Account { id: account.to_owned(), label: "Lab".to_owned(), base_url: lab.api(provider) };
        let kept = self.keeper.keep(at, provider, &of, &lab.grant(provider)).await?;
        ensure!(kept.is_some(), "the grant is kept");
        let authorised = json!({ "account_id": account, "account_label": "Lab" });
        self.order(tenant, "connections.connection.record_authorised", id, authorised).await?;
        Ok(at)
    }

    /// As if every pause before another try were over: what is tried and how stays as it is.
    pub async fn hasten(&self) -> Result<()> {
        for state in [reactions::State::Due, reactions::State::Unknown] {
            let filter = reactions::Filter { state: Some(state), ..reactions::Filter::default() };
            reactions::retry(&self.worker, &filter).await?;
        }
        Ok(())
    }

    /// As if a quarter of an hour had passed since the last sweeps.
    pub async fn sweep(&self) -> Result<()> {
        sqlx::query("update connect.links set swept_at = null").execute(&self.all).await?;
        Ok(())
    }
}
