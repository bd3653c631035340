//! What everybody signed is kept.

use crate::world::World;
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
    let certificate = Uuid::new_v5(&contract, b"certificate");
    let kept = async |_: &agreements::Contract| {
        store.load::<File>(world.firm.into(), certificate).await.is_ok_and(|(file, _)| file.is_available())
    };
    world.until("the certificate is kept", kept, contract).await;
    assert_eq!(world.outside.lab.violations(), [""; 0]);
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
