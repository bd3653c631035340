//! What everybody signed is kept.

use crate::world::World;
use agreements_events::ContractStatus;
use files::File;
use files_events::UploadId;
use kernel::Checksum;
use lab::{Fault, What};
use uuid::Uuid;

#[actix_web::test]
async fn the_signed_document_and_its_certificate_become_files_of_the_client() {
    let world = World::new().await;
    let (contract, envelope) = world.out().await;
    world.sign(&envelope);
    world.hear(&envelope).await;
    world.until("the document is kept", async |contract| contract.document().is_some(), contract).await;
    let state = world.contract(contract).await;
    let document = state.document().unwrap();
    let store = world.app.bus.store();
    let (file, _) = store.load::<File>(world.firm.into(), document.file_id.0).await.unwrap();
    assert!(file.is_available());
    assert_eq!(file.client_id(), Some(state.client_id()));
    let signed = ports::Signing::signed(&world.outside.docusign, world.at, &envelope).await.unwrap();
    let kept = serde_json::to_value(&document.sha256).unwrap();
    assert_eq!(kept.as_str(), Some(Checksum::of(&signed).as_str()));
    let upload = UploadId(Uuid::new_v5(&document.file_id.0, &0_u32.to_be_bytes()));
    let key = objects::Key::of(world.firm.into(), "files", "file", document.file_id.0, upload);
    assert!(world.app.objects.find(&key).await.unwrap().is_some());
    assert!(world.is_kept(contract, "certificate").await, "both are kept before the contract is signed");
    assert_eq!(world.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_contract_is_signed_when_what_was_signed_is_kept_with_its_certificate_and_not_before() {
    let world = World::new().await;
    let (contract, envelope) = world.out().await;
    let away = What::Status { status: 503, retry_after: Some(1), limit: None, code: None };
    world.outside.lab.fault(Fault::at("docusign", "GET", "/documents/certificate", away).times(1_000));
    world.sign(&envelope);
    world.hear(&envelope).await;
    let kept = async |_: &agreements::Contract| world.is_kept(contract, "signed").await;
    world.until("the signed document is kept", kept, contract).await;
    assert_eq!(world.status(contract).await, ContractStatus::PartiallySigned);
    world.outside.lab.mend();
    let signed = async |contract: &agreements::Contract| contract.status() == ContractStatus::Signed;
    world.until("the contract is signed", signed, contract).await;
    assert!(world.is_kept(contract, "certificate").await);
    let counts =
        (world.happened(contract, "contract.signed").await, world.happened(contract, "signed_document.stored").await);
    assert_eq!(counts, (1, 1));
}

#[actix_web::test]
async fn a_document_that_is_not_there_yet_is_fetched_later() {
    let world = World::new().await;
    let (contract, envelope) = world.out().await;
    let code = Some("DOCUMENT_NOT_READY".to_owned());
    let not_yet = What::Status { status: 400, retry_after: None, limit: None, code };
    world.outside.lab.fault(Fault::at("docusign", "GET", "/documents/combined", not_yet).times(2));
    world.sign(&envelope);
    world.hear(&envelope).await;
    world.round().await;
    assert!(world.contract(contract).await.document().is_none());
    world.until("the document is kept", async |contract| contract.document().is_some(), contract).await;
}
