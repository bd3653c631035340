//! What a client sees of proposals and contracts, and answers, over real HTTP in the portal.

use harness::{Firm, Session, TestApp, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm with two clients; Ada has the parts of the portal at the first that agreements and approvals are.
struct Portal {
    app: TestApp,
    firm: Firm,
    acme: Uuid,
    other: Uuid,
    ada: Session,
}

impl Portal {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let firm = app.register("Engines").await;
        let [acme, other, person] = [(); 3].map(|()| Uuid::now_v7());
        for (client, name) in [(acme, "Acme"), (other, "Other")] {
            app.command(firm, "crm.client.create", client, &json!({ "name": name })).await;
        }
        app.let_into_portal(firm, person, acme, "ada@acme.example", "agreements.proposal.read").await;
        for part in ["agreements", "approvals"] {
            app.command(firm, "portal.portal_user.grant_access", person, &json!({ "scope": part })).await;
        }
        let ada = app.portal_session(firm, person, acme).await;
        Self { app, firm, acme, other, ada }
    }

    /// A proposal for a client of three lines of 10.01 at 20 %, and one that may be chosen.
    async fn draft(&self, client: Uuid) -> Uuid {
        let line = |minor: i64, optional: bool| {
            json!({ "description": "Work", "quantity": "1", "optional": optional,
                    "unit_price": { "minor": minor, "currency": "EUR" }, "tax": { "category": "standard", "rate": "20" } })
        };
        let lines = [line(1001, false), line(1001, false), line(1001, false), line(700, true)];
        let offer = json!({ "title": "Bookkeeping", "body": { "kind": "written", "markdown": "We do it." },
                            "currency": "EUR", "valid_until": "2999-12-31", "lines": lines });
        let id = Uuid::now_v7();
        self.order("agreements.proposal.create", id, json!({ "client_id": client, "offer": offer })).await;
        id
    }

    async fn sent(&self, client: Uuid) -> Uuid {
        let id = self.draft(client).await;
        self.order("agreements.proposal.send", id, json!({})).await;
        id
    }

    /// Done by the system.
    async fn order(&self, name: &str, id: Uuid, body: Value) {
        self.app.command(self.firm, name, id, &body).await;
    }

    /// The ids in a list, as Ada sees it.
    async fn seen(&self, path: &str) -> Vec<Value> {
        self.app.project().await;
        let (status, body) = self.app.get(path, &self.ada).await.told();
        assert_eq!(status, 200, "{path}: {body}");
        body["data"].as_array().cloned().unwrap_or_else(|| panic!("{body}"))
    }

    /// What Ada does.
    async fn does(&self, id: Uuid, verb: &str, body: Value) -> (u16, Value) {
        let path = format!("/v1/agreements/proposals/{id}/{verb}");
        self.app.ask(&Method::POST, &path, &self.ada, body).await
    }
}

fn accept(options: &[u32]) -> Value {
    json!({ "signer_name": "Ada Lovelace", "signer_email": "ada@acme.example", "options": options })
}

#[actix_web::test]
async fn a_client_sees_what_was_sent_to_it_and_no_draft_nor_anothers() {
    let portal = Portal::new().await;
    let draft = portal.draft(portal.acme).await;
    let sent = portal.sent(portal.acme).await;
    let others = portal.sent(portal.other).await;
    let ids = |rows: Vec<Value>, field: &str| rows.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    assert_eq!(ids(portal.seen("/v1/agreements/proposals").await, "id"), [json!(sent)]);
    let lines = portal.seen("/v1/agreements/proposal-lines?sort=number").await;
    assert_eq!(ids(lines, "proposal_id"), vec![json!(sent); 4]);
    for (id, status) in [(sent, 200), (draft, 404), (others, 404)] {
        let path = format!("/v1/agreements/proposals/{id}");
        assert_eq!(portal.app.get(&path, &portal.ada).await.status, status, "{id}");
    }
    // Nor in the log, by their positions.
    let events = "select count(*) from eventstore.events where aggregate_type = 'agreements.proposal'";
    assert_eq!(portal.app.count(events).await, 5);
    for position in 1..=portal.app.count("select max(position) from eventstore.events").await {
        let answer = portal.app.get(&format!("/v1/events/{position}"), &portal.ada).await;
        assert!(answer.status == 404 || !answer.text.contains("agreements.proposal"), "{}", answer.text);
    }
    let row = &portal.seen("/v1/agreements/proposals").await[0];
    assert_eq!((&row["net_minor"], &row["tax_minor"], &row["total_minor"]), (&json!(3003), &json!(601), &json!(3604)));
}

#[actix_web::test]
async fn a_client_accepts_or_declines_its_own_proposals_in_the_portal() {
    let portal = Portal::new().await;
    let sent = portal.sent(portal.acme).await;
    // What somebody may do is what the log said a moment ago.
    eventually(async || portal.does(sent, "record-viewed", json!({})).await.0 == 200).await;
    let (status, body) = portal.does(sent, "accept", accept(&[4])).await;
    assert_eq!(status, 200, "{body}");
    let row = &portal.seen("/v1/agreements/proposals").await[0];
    assert_eq!((&row["status"], &row["total_minor"]), (&json!("accepted"), &json!(4444)));
    assert_eq!((&row["signer_name"], &row["portal_user_id"].is_string()), (&json!("Ada Lovelace"), &true));
    let declined = portal.sent(portal.acme).await;
    assert_eq!(portal.does(declined, "decline", json!({ "reason": "too dear" })).await.0, 200);
    assert_eq!(portal.does(declined, "accept", accept(&[])).await.0, 409);
    for (id, verb, body) in [
        (portal.draft(portal.acme).await, "accept", accept(&[])),
        (portal.sent(portal.other).await, "accept", accept(&[])),
        (portal.sent(portal.other).await, "decline", json!({})),
        (portal.sent(portal.acme).await, "withdraw", json!({})),
        (portal.draft(portal.acme).await, "send", json!({})),
    ] {
        let (status, answer) = portal.does(id, verb, body).await;
        assert!(matches!(status, 403 | 404), "{verb}: {status} {answer}");
    }
}

#[actix_web::test]
async fn a_client_sees_a_contract_from_the_moment_on_at_which_it_is_to_be_signed() {
    let portal = Portal::new().await;
    let (proposal, contract) = (portal.sent(portal.acme).await, Uuid::now_v7());
    portal.order("agreements.proposal.accept", proposal, accept(&[])).await;
    portal.order("agreements.contract.create_from_proposal", contract, json!({ "proposal_id": proposal })).await;
    eventually(async || portal.app.get("/v1/agreements/contracts", &portal.ada).await.status == 200).await;
    assert_eq!(portal.seen("/v1/agreements/contracts").await, [json!(null); 0]);
    assert_eq!(portal.seen("/v1/agreements/contract-recipients").await, [json!(null); 0]);
    portal.order("agreements.contract.send_for_signature", contract, json!({})).await;
    let row = &portal.seen("/v1/agreements/contracts").await[0];
    let told = (&row["id"], &row["status"], &row["total_minor"], &row["body"]);
    assert_eq!(told, (&json!(contract), &json!("sent_for_signature"), &json!(3604), &json!("We do it.")));
    let recipients = portal.seen("/v1/agreements/contract-recipients").await;
    assert_eq!((recipients.len(), &recipients[0]["status"]), (1, &json!("pending")));
}
