//! What two contacts of one client cannot both be.

use crate::common::{Answer, Service, send};
use serde_json::{Value, json};
use uuid::Uuid;

async fn post(service: &Service, path: &str, body: Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

#[actix_web::test]
async fn a_second_primary_contact_of_a_client_is_refused_until_the_first_is_none() {
    let service = Service::start().await;
    let client = service.client("Acme").await;
    let mut contacts = vec![];
    for name in ["Ada", "Grace"] {
        contacts.push(post(&service, "/v1/crm/contacts", json!({ "name": name })).await.id());
    }
    let [ada, grace] = contacts.try_into().unwrap();
    let link = async |contact: Uuid, primary: bool| {
        let body = json!({ "client_id": client, "role": "Director", "primary": primary });
        let answer = post(&service, &format!("/v1/crm/contacts/{contact}/link-to-client"), body).await;
        (answer.status, answer.body["code"].as_str().map(str::to_owned), answer.body["holder"].clone())
    };
    let taken = || (409, Some("crm.client.primary_contact.taken".to_owned()), json!(ada));
    assert_eq!(link(ada, true).await.0, 200);
    assert_eq!(link(grace, true).await, taken());
    assert_eq!(link(grace, false).await.0, 200, "as one of several");
    assert_eq!(link(grace, true).await, taken());
    // Whoever is taken out of the lists makes room, and does not push anybody out when they come back.
    assert_eq!(post(&service, &format!("/v1/crm/contacts/{ada}/archive"), json!({})).await.status, 200);
    assert_eq!(link(grace, true).await.0, 200);
    let back = post(&service, &format!("/v1/crm/contacts/{ada}/restore"), json!({})).await;
    assert_eq!((back.status, back.body["holder"].clone()), (409, json!(grace)));
    assert_eq!(link(grace, false).await.0, 200);
    assert_eq!(post(&service, &format!("/v1/crm/contacts/{ada}/restore"), json!({})).await.status, 200);
}

#[actix_web::test]
async fn of_many_who_are_made_primary_at_once_one_is() {
    let service = Service::start().await;
    let client = service.client("Acme").await;
    let mut contacts = vec![];
    for n in 0..8 {
        contacts.push(post(&service, "/v1/crm/contacts", json!({ "name": format!("Contact {n}") })).await.id());
    }
    let body = json!({ "client_id": client, "role": "Director", "primary": true });
    let linked: Vec<_> = contacts
        .iter()
        .map(|contact| service.post(&format!("/v1/crm/contacts/{contact}/link-to-client")).body(body.to_string()))
        .map(|request| tokio::spawn(send(request)))
        .collect();
    let mut answers = vec![];
    for answer in linked {
        answers.push(answer.await.unwrap().status);
    }
    answers.sort_unstable();
    assert_eq!(answers, [[200].as_slice(), &[409; 7]].concat());
}
