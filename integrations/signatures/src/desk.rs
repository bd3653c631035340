//! What having contracts signed needs.

use crate::book::{Asked, Book, Which};
use crate::say::{request, told, unsaid};
use agreements::Contract;
use agreements::contract::ContractCommand;
use event_store::{Log, Store};
use kernel::{ConnectionId, TenantId};
use objects::ObjectStore;
use papers::Press;
use ports::{Place, Signing};
use providers::Links;
use reactions::Outcome;
use std::sync::Arc;

/// What a contract waits for whose firm is connected with nobody who collects signatures; it is let go on by what providers do.
const NOBODY: &str = "signing";

/// Whoever collects signatures, by name.
pub type Collectors = Vec<(&'static str, Arc<dyn Signing>)>;

/// What whoever sets it up has to say.
pub struct Wanted {
    /// Reads what is personal; connects as `ubos_worker`.
    pub log: Log,
    /// Takes commands.
    pub store: Store,
    /// The firms' connections.
    pub links: Links,
    /// Whoever collects signatures, each with what connections to it call it: `docusign`.
    pub signing: Collectors,
    /// Where files are; without it nothing that was signed is kept, and waits until it can be.
    pub objects: Option<ObjectStore>,
    /// Where providers find this service, without a slash at the end; without it they are swept alone.
    pub public_url: Option<String>,
}

/// The same at work. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub(crate) log: Log,
    pub(crate) store: Store,
    signing: Arc<Collectors>,
    pub(crate) objects: Option<ObjectStore>,
    pub(crate) book: Book,
    pub(crate) press: Press,
    links: Links,
    public_url: Option<String>,
}

impl Desk {
    /// Nothing is connected yet.
    pub fn new(wanted: Wanted) -> Self {
        let Wanted { log, store, links, signing, objects, public_url } = wanted;
        let (book, signing) = (Book(links.pool().clone()), Arc::new(signing));
        Self { log, store, signing, objects, book, press: Press::default(), links, public_url }
    }

    /// What connections to those who collect signatures call them.
    pub(crate) fn providers(&self) -> Vec<&'static str> {
        self.signing.iter().map(|(name, _)| *name).collect()
    }

    pub(crate) async fn contract(&self, which: Which) -> Result<Contract, Outcome> {
        let loaded = self.store.load::<Contract>(which.tenant, which.contract).await;
        loaded.map(|(contract, _)| contract).map_err(|error| unsaid(&error))
    }

    /// Says it of a contract; answers the code if that does not want it.
    pub(crate) async fn say(&self, which: Which, command: ContractCommand) -> Result<Option<&'static str>, Outcome> {
        told(self.store.execute::<Contract>(Some(which.contract), command, &request(which.tenant)).await)
    }

    /// Which of the firm's connections is used. Without one nothing is of use before somebody makes one.
    pub(crate) async fn connection(&self, tenant: TenantId) -> Result<ConnectionId, Outcome> {
        let found = self.links.of_any(tenant, &self.providers()).await.map_err(crate::say::away)?;
        found.first().map(|(id, _)| *id).ok_or_else(|| Outcome::Blocked(NOBODY.to_owned()))
    }

    /// Whoever collects signatures through this connection. One that was given up is for somebody of the firm.
    pub(crate) async fn signing(&self, at: Place) -> Result<(&'static str, &dyn Signing), Outcome> {
        let provider = self.links.provider(at).await.map_err(crate::say::away)?;
        let found = self.signing.iter().find(|(name, _)| provider.as_deref() == Some(*name));
        let (name, signing) = found.ok_or_else(|| Outcome::Blocked(at.connection.to_string()))?;
        Ok((*name, &**signing))
    }

    /// Where this provider says what happens.
    pub(crate) fn door(&self, provider: &str, at: Place) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}/v1/webhooks/{provider}/{}", at.connection))
    }

    /// The envelope of a contract: the one that is noted, the one that somebody put on record by hand, or the one that the provider
    /// finds although its answer got lost. None if nothing was sent.
    pub(crate) async fn envelope(&self, which: Which, contract: &Contract) -> Result<Option<(Place, String)>, Outcome> {
        match self.book.of(which).await? {
            Some(Asked { at, envelope_id: Some(id), .. }) => Ok(Some((at, id))),
            Some(Asked { at, key, .. }) => {
                let Some(sent) = self.signing(at).await?.1.find(at, &key).await? else { return Ok(None) };
                self.book.note(at, which, &key, &sent.envelope_id).await?;
                Ok(Some((at, sent.envelope_id)))
            }
            None => {
                let Some((connection, name)) = contract.envelope() else { return Ok(None) };
                let (at, id) = (which.at(connection), name.to_string());
                self.book.note(at, which, "by hand", &id).await?;
                Ok(Some((at, id)))
            }
        }
    }
}
