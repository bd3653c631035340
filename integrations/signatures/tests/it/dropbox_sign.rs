//! The same contracts at Dropbox Sign: what differs there, and what must not.

use crate::world::World;
use agreements::Contract;
use agreements_events::ContractStatus as S;
use dropbox_sign::PROVIDER;
use kernel::Checksum;
use lab::{Fault, What};
use reactions::Outcome;
use serde_json::json;

#[actix_web::test]
async fn a_contract_goes_out_once_with_turns_and_our_key() {
    let world = World::at(PROVIDER).await;
    let (contract, id) = world.out().await;
    world.round().await;
    let request = world.request();
    assert_eq!((&request["signature_request_id"], &request["subject"]), (&json!(id), &json!("Book/keeping")));
    let orders: Vec<_> = request["signatures"].as_array().unwrap().iter().map(|one| one["order"].as_i64()).collect();
    assert_eq!(orders, [Some(0), Some(1)]);
    assert_eq!(request["cc_email_addresses"], json!(["cora@example.com"]));
    assert_eq!((&request["lab"]["tags"], &request["lab"]["may_decline"]), (&json!(true), &json!(true)));
    assert!(request["metadata"]["ubos_key"].as_str().is_some_and(|key| key.len() == 36), "{request}");
    assert_eq!(world.status(contract).await, S::SentForSignature);
    assert_eq!(world.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_request_whose_answer_got_lost_is_found_by_our_key_and_not_sent_again() {
    for what in [What::AnswerLost, What::DoneBut { status: 504 }, What::DoneBut { status: 409 }] {
        let world = World::at(PROVIDER).await;
        world.outside.lab.fault(Fault::at(PROVIDER, "POST", "/signature_request/send", what));
        let contract = world.sent().await;
        world.until("the request is found", async |contract| contract.envelope().is_some(), contract).await;
        let recorded = world.contract(contract).await.envelope().map(|(_, id)| id.to_string());
        assert_eq!(recorded.as_deref(), world.request()["signature_request_id"].as_str());
    }
}

#[actix_web::test]
async fn the_signed_papers_are_kept_before_the_contract_is_signed_however_late_they_are() {
    let world = World::at(PROVIDER).await;
    let (contract, request) = world.out().await;
    world.outside.lab.papers_are_late(2);
    world.outside.lab.sign(&request, "1", None).unwrap();
    assert_eq!(world.hear(&request).await, Outcome::Done);
    assert_eq!(world.status(contract).await, S::PartiallySigned);
    world.outside.lab.sign(&request, "2", None).unwrap();
    for _ in 0..3 {
        assert_eq!(world.hear(&request).await, Outcome::Done);
    }
    world.round().await;
    assert_eq!(world.status(contract).await, S::PartiallySigned, "the papers are being made");
    world.until("the contract is signed", async |contract| contract.status() == S::Signed, contract).await;
    assert!(world.is_kept(contract, "signed").await);
    assert!(!world.is_kept(contract, "certificate").await, "the last pages of the papers are it");
    let signed = ports::Signing::signed(&world.outside.dropbox_sign, world.at, &request).await.unwrap();
    let kept = serde_json::to_value(&world.contract(contract).await.document().unwrap().sha256).unwrap();
    assert_eq!(kept.as_str(), Some(Checksum::of(&signed).as_str()));
    let counts =
        (world.happened(contract, "recipient.signed").await, world.happened(contract, "contract.signed").await);
    assert_eq!(counts, (2, 1));
    assert_eq!(world.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn what_is_declined_not_signed_in_time_or_unfit_there_is_so_here() {
    let world = World::at(PROVIDER).await;
    let lab = &world.outside.lab;
    let (declined, request) = world.out().await;
    lab.sign(&request, "1", Some("too expensive")).unwrap();
    assert_eq!(world.hear(&request).await, Outcome::Done);
    let (expired, request) = world.out().await;
    lab.expire(&request);
    assert_eq!(world.hear(&request).await, Outcome::Done);
    let (unfit, request) = world.out().await;
    lab.papers_are_unfit(&request);
    assert_eq!(world.hear(&request).await, Outcome::Done);
    let statuses = (world.status(declined).await, world.status(expired).await, world.status(unfit).await);
    assert_eq!(statuses, (S::Declined, S::Expired, S::Voided));
    world.round().await;
    assert_eq!(lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_contract_that_is_voided_here_is_cancelled_there() {
    let world = World::at(PROVIDER).await;
    let (contract, request) = world.out().await;
    world.command("agreements.contract.void", contract, json!({ "reason": "wrong price" })).await;
    let gone = async |_: &Contract| {
        let seen = ports::Signing::look(&world.outside.dropbox_sign, world.at, &request).await.unwrap();
        seen.status == ports::EnvelopeStatus::Voided
    };
    world.until("the request is cancelled", gone, contract).await;
    world.round().await;
    assert_eq!(world.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_request_that_was_cancelled_there_is_found_out_when_somebody_is_to_be_reminded() {
    let world = World::at(PROVIDER).await;
    let (contract, request) = world.out().await;
    // Somebody does it there, and nobody tells us.
    let cancel = async || {
        let done = ports::Signing::void(&world.outside.dropbox_sign, world.at, &request, "").await;
        done.is_ok()
    };
    harness::eventually(cancel).await;
    world.command("agreements.contract.remind", contract, json!({})).await;
    let voided = async |contract: &Contract| contract.status() == S::Voided;
    world.until("the contract is void", voided, contract).await;
}

#[actix_web::test]
async fn only_those_whose_turn_it_is_are_reminded() {
    let world = World::at(PROVIDER).await;
    let (contract, _) = world.out().await;
    world.command("agreements.contract.remind", contract, json!({})).await;
    world.round().await;
    let request = world.request();
    assert_eq!(request["lab"]["reminders"], 1);
    assert!(
        request["signatures"][0]["last_reminded_at"].is_i64() && request["signatures"][1]["last_reminded_at"].is_null()
    );
}

#[actix_web::test]
async fn a_contract_goes_out_when_somebody_agrees_again_and_once() {
    let world = World::at(PROVIDER).await;
    world.outside.lab.revoke(PROVIDER);
    let contract = world.sent().await;
    world.round().await;
    assert_eq!(world.outside.lab.signature_requests().len(), 0);
    assert_eq!(world.status(contract).await, S::SentForSignature);
    world.outside.agreed(&world.app, world.at, PROVIDER).await;
    world.until("the contract is out", async |contract| contract.envelope().is_some(), contract).await;
    world.request();
}

#[actix_web::test]
async fn a_firm_with_both_has_contracts_signed_where_it_was_connected_first() {
    let world = World::at(PROVIDER).await;
    world.outside.connected(&world.app, world.firm, "docusign").await;
    let (contract, _) = world.out().await;
    let (connection, _) = world.contract(contract).await.envelope().map(|(at, id)| (at, id.to_string())).unwrap();
    assert_eq!(connection, world.at.connection);
    // What does not work is not used for what comes next; what is out there stays there.
    world.command("connections.connection.pause", world.at.connection.0, json!({})).await;
    world.round().await;
    let next = world.sent().await;
    world.until("the next contract is out", async |contract| contract.envelope().is_some(), next).await;
    assert_eq!((world.outside.lab.envelopes().len(), world.outside.lab.signature_requests().len()), (1, 1));
}
