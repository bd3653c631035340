//! A firm that has its contracts signed at the lab.

use agreements::Contract;
use agreements_events::ContractStatus;
use connect::Providers;
use event_store::Log;
use harness::{Firm, Outside, TestApp};
use ports::Place;
use providers::Hears;
use reactions::Outcome;
use serde_json::{Value, json};
use signatures::{Desk, Envelopes, Wanted};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub struct World {
    pub app: TestApp,
    pub firm: Firm,
    pub outside: Outside,
    pub at: Place,
    desk: Desk,
    work: Providers,
}

impl World {
    /// A firm that has its contracts signed at DocuSign.
    pub async fn new() -> Self {
        Self::at(docusign::PROVIDER).await
    }

    /// A firm that is connected with this provider in the lab.
    pub async fn at(provider: &str) -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        let outside = Outside::start(&app).await;
        let at = outside.connected(&app, firm, provider).await;
        let desk = Desk::new(Wanted {
            log: Log::new(outside.worker.clone()),
            store: app.bus.store().clone(),
            links: outside.links.clone(),
            signing: vec![
                (docusign::PROVIDER, Arc::new(outside.docusign.clone())),
                (dropbox_sign::PROVIDER, Arc::new(outside.dropbox_sign.clone())),
            ],
            objects: Some(app.objects.clone()),
            public_url: None,
        });
        let hearers: Vec<Arc<dyn Hears>> = Envelopes::all(&desk).map(|one| Arc::new(one) as Arc<dyn Hears>).collect();
        let work = outside.providers(&app, hearers, |engine| signatures::with(engine, &desk));
        // What happens from now on is what it reacts to.
        work.round().await.unwrap();
        Self { app, firm, outside, at, desk, work }
    }

    pub async fn round(&self) {
        self.work.round().await.unwrap();
        self.app.keeper.round().await.unwrap();
    }

    /// Rounds until it is so.
    pub async fn until(&self, what: &str, mut so: impl AsyncFnMut(&Contract) -> bool, contract: Uuid) {
        let started = Instant::now();
        loop {
            // Nobody waits two minutes for the next try.
            reactions::retry(&self.outside.worker, &reactions::Filter::default()).await.unwrap();
            self.round().await;
            if so(&self.contract(contract).await).await {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(90), "{what}: {:?}", self.outside.lab.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A contract that Ada signs first and Eve second, and of which a third gets a copy, as it was sent.
    pub async fn sent(&self) -> Uuid {
        let (client, contract) = (Uuid::now_v7(), Uuid::now_v7());
        let recipient = |name: &str, role: &str, order: u16| {
            let email = format!("{}@example.com", name.to_lowercase());
            json!({ "name": name, "email": email, "role": role, "order": order })
        };
        let create = json!({
            "client_id": client, "title": "Book/keeping", "body": "# We do it\n\nEvery *month*.",
            "recipients": [recipient("Ada", "signer", 1), recipient("Eve", "signer", 2), recipient("Cora", "cc", 3)],
        });
        self.command("crm.client.create", client, json!({ "name": "Analytical Engines" })).await;
        self.command("agreements.contract.create", contract, create).await;
        self.command("agreements.contract.send_for_signature", contract, json!({})).await;
        contract
    }

    /// The same, when the provider has it.
    pub async fn out(&self) -> (Uuid, String) {
        let contract = self.sent().await;
        self.round().await;
        let state = self.contract(contract).await;
        let (_, name) = state.envelope().unwrap();
        (contract, name.to_string())
    }

    pub async fn command(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    pub async fn contract(&self, id: Uuid) -> Contract {
        self.app.bus.store().load::<Contract>(self.firm.into(), id).await.unwrap().0
    }

    pub async fn status(&self, id: Uuid) -> ContractStatus {
        self.contract(id).await.status()
    }

    /// Something may have changed with an envelope.
    pub async fn hear(&self, envelope: &str) -> Outcome {
        Envelopes::all(&self.desk).next().unwrap().changed(self.at, envelope).await
    }

    /// Both sign.
    pub fn sign(&self, envelope: &str) {
        self.outside.lab.sign(envelope, "1", None).unwrap();
        self.outside.lab.sign(envelope, "2", None).unwrap();
    }

    /// The only envelope that the lab has.
    pub fn envelope(&self) -> Value {
        let [envelope] = &self.outside.lab.envelopes()[..] else { panic!("{:?}", self.outside.lab.envelopes()) };
        envelope.clone()
    }

    /// The only signature request that the lab has.
    pub fn request(&self) -> Value {
        let [request] = &self.outside.lab.signature_requests()[..] else {
            panic!("{:?}", self.outside.lab.signature_requests())
        };
        request.clone()
    }

    /// How often something happened to a contract.
    pub async fn happened(&self, contract: Uuid, event_type: &str) -> usize {
        let log = Log::new(self.outside.worker.clone());
        let events = log.read_stream(self.firm.into(), contract, 0, i64::MAX).await.unwrap();
        events.iter().filter(|event| event.event_type == event_type).count()
    }

    /// Is one of the two papers of a contract among the files?
    pub async fn is_kept(&self, contract: Uuid, which: &str) -> bool {
        let id = Uuid::new_v5(&contract, which.as_bytes());
        let file = self.app.bus.store().load::<files::File>(self.firm.into(), id).await;
        file.is_ok_and(|(file, _)| file.is_available())
    }
}
