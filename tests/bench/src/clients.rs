//! What is done to clients while something is measured.

use crate::seed::{SMALL, Seed, actor, scattered, tenant};
use crate::wire;
use crm::Client;
use crm::client::ClientCommand;
use event_store::{Request, Store};
use kernel::TenantId;
use uuid::Uuid;

/// A rename that is never "already so".
pub fn rename(turn: u64) -> ClientCommand {
    let name = new_name(turn);
    ClientCommand::Rename { name: name.parse().expect("a name") }
}

/// A name that nobody had before.
pub fn new_name(turn: u64) -> String {
    format!("Analytical Engines and Difference Engines, branch {turn}, account {}", Uuid::now_v7())
}

/// Renames one of the seeded clients in process.
pub async fn rename_one(store: &Store, seed: Seed, turn: u64) -> Option<i64> {
    rename_client(store, seed.client(scattered(turn)), turn).await
}

/// Renames this client of this firm in process.
pub async fn rename_client(store: &Store, (tenant, client): (TenantId, Uuid), turn: u64) -> Option<i64> {
    let done = store.execute::<Client>(Some(client), rename(turn), &Request::new(tenant, actor())).await;
    done.ok().map(|done| done.position)
}

/// Creates a client of one of the firms in process; answers its id.
pub async fn create_one(store: &Store, firm: u64, turn: u64) -> Option<Uuid> {
    let command = creation(turn)?;
    store.execute::<Client>(None, command, &Request::new(tenant(firm), actor())).await.ok().map(|done| done.id)
}

/// Creates a client with this id in process.
pub async fn create_one_as(store: &Store, client: Uuid, turn: u64) -> Option<Uuid> {
    let command = creation(turn)?;
    let mut request = Request::new(tenant(0), actor());
    // What is created by a command has the command's id unless another is given: nothing has to be loaded.
    request.command_id = client;
    store.execute::<Client>(None, command, &request).await.ok().map(|done| done.id)
}

fn creation(turn: u64) -> Option<ClientCommand> {
    let name = new_name(turn).parse().ok()?;
    Some(ClientCommand::Create { name, kind: Default::default(), email: None, phone: None })
}

/// A rename of one of the small seed's clients over HTTP.
pub fn rename_request(token: &str, turn: u64) -> Vec<u8> {
    rename_request_of(SMALL, token, scattered(turn))
}

/// A rename of a seed's client over HTTP.
pub fn rename_request_of(seed: Seed, token: &str, turn: u64) -> Vec<u8> {
    let (_, client) = seed.client(turn);
    let body = format!(r#"{{"name":"{}"}}"#, new_name(turn));
    wire::post(&format!("/v1/crm/clients/{client}/rename"), token, &Uuid::now_v7().to_string(), &body)
}
