//! What two contacts of one client cannot both be.

use crate::common::{Answer, Service, send};
use event_store::Log;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

async fn post(service: &Service, path: &str, body: Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

async fn contact(service: &Service, name: &str) -> Uuid {
    post(service, "/v1/crm/contacts", json!({ "name": name })).await.id()
}

/// Everybody who is the client's primary contact after each event, in the order of the log, with the unit that it is part of.
async fn primaries(service: &Service, client: Uuid) -> Vec<(BTreeSet<Uuid>, Option<kernel::Unit>)> {
    let mut now = BTreeSet::new();
    let mut seen = vec![];
    for event in Log::new(service.app.database.worker().await).read(0, 1000).await.expect("the log") {
        let payload: Value = serde_json::from_str(event.payload.get()).expect("JSON");
        if event.event_type == "contact.linked_to_client" && payload["client_id"] == json!(client) {
            match payload["primary"] == true {
                true => now.insert(event.aggregate_id),
                false => now.remove(&event.aggregate_id),
            };
            seen.push((now.clone(), event.metadata.unit));
        }
    }
    seen
}

#[actix_web::test]
async fn whoever_becomes_primary_takes_the_place_of_whoever_was() {
    let service = Service::start().await;
    let client = service.client("Acme").await;
    let (ada, grace) = (contact(&service, "Ada").await, contact(&service, "Grace").await);
    let link = async |contact: Uuid, role: &str, primary: bool| {
        let body = json!({ "client_id": client, "role": role, "primary": primary });
        post(&service, &format!("/v1/crm/contacts/{contact}/link-to-client"), body).await
    };
    assert_eq!(link(ada, "Director", true).await.status, 200);
    let taken = link(grace, "Heir", true).await;
    assert_eq!((taken.status, taken.body["id"].clone(), taken.body["version"].clone()), (200, json!(grace), json!(2)));
    let seen = primaries(&service, client).await;
    let steps: Vec<_> = seen.iter().map(|(now, unit)| (now.len(), unit.map(|unit| (unit.index, unit.size)))).collect();
    assert_eq!(steps, [(1, None), (0, Some((1, 2))), (1, Some((2, 2)))], "nobody is between the two");
    assert_eq!(seen[2].0, BTreeSet::from([grace]));
    let last = Log::new(service.app.database.worker().await).read(0, 1000).await.unwrap().pop().unwrap();
    assert_eq!(taken.body["position"], json!(last.position), "whoever has seen this position has seen both");
    // Whoever is taken out of the lists makes room, and does not push anybody out when they come back.
    assert_eq!(post(&service, &format!("/v1/crm/contacts/{grace}/archive"), json!({})).await.status, 200);
    assert_eq!(link(ada, "Director", true).await.status, 200);
    let back = post(&service, &format!("/v1/crm/contacts/{grace}/restore"), json!({})).await;
    let code = Some("crm.client.primary_contact.taken");
    assert_eq!((back.status, back.body["code"].as_str(), back.body["holder"].clone()), (409, code, json!(ada)));
    assert_eq!(link(ada, "Director", false).await.status, 200);
    assert_eq!(post(&service, &format!("/v1/crm/contacts/{grace}/restore"), json!({})).await.status, 200);
}

#[actix_web::test]
async fn nobody_is_replaced_at_a_client_that_is_blocked() {
    let service = Service::start().await;
    let client = service.client("Acme").await;
    let (ada, grace) = (contact(&service, "Ada").await, contact(&service, "Grace").await);
    let body = json!({ "client_id": client, "role": "Director", "primary": true });
    assert_eq!(post(&service, &format!("/v1/crm/contacts/{ada}/link-to-client"), body.clone()).await.status, 200);
    let block = json!({ "reason": "unpaid invoices" });
    assert_eq!(post(&service, &format!("/v1/crm/clients/{client}/block"), block).await.status, 200);
    let refused = post(&service, &format!("/v1/crm/contacts/{grace}/link-to-client"), body).await;
    assert_eq!((refused.status, refused.problem()), (409, "crm.client.blocked"));
    assert_eq!(primaries(&service, client).await.len(), 1, "nothing was left behind");
}

#[actix_web::test]
async fn of_many_who_are_made_primary_at_once_one_is_at_any_time() {
    let service = Service::start().await;
    let client = service.client("Acme").await;
    let mut contacts = vec![];
    for n in 0..8 {
        contacts.push(contact(&service, &format!("Contact {n}")).await);
    }
    let body = json!({ "client_id": client, "role": "Director", "primary": true });
    let linked: Vec<_> = contacts
        .iter()
        .map(|contact| service.post(&format!("/v1/crm/contacts/{contact}/link-to-client")).body(body.to_string()))
        .map(|request| tokio::spawn(send(request)))
        .collect();
    let mut done = 0;
    for answer in linked {
        let answer = answer.await.unwrap();
        match answer.status {
            200 => done += 1,
            _ => assert_eq!((answer.status, answer.problem()), (409, "conflict"), "others were faster, every time"),
        }
    }
    let seen = primaries(&service, client).await;
    assert!(done > 0);
    assert_eq!(seen.len(), 2 * done - 1, "each after the first replaces one");
    for (now, unit) in &seen {
        let is_between = unit.is_some_and(|unit| unit.index < unit.size);
        assert_eq!(now.len(), usize::from(!is_between), "{seen:?}");
    }
}
