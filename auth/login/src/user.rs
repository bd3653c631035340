//! Which user of the firm somebody is, and what it takes to let that one in.

use crate::provider::Person;
use event_store::{ExecuteError, Request, Store};
use identity::user::UserCommand;
use identity::{Tenant, User};
use kernel::{Actor, Claim, Name, TenantId, UserId};

/// Why somebody is not let in. They are told the same, whichever it is.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody of the firm has this login or this address.
    #[error("no user of the firm")]
    Nobody,
    /// The provider has not verified the address, and no login is linked.
    #[error("no linked login, and no verified address")]
    NotVerified,
    /// The firm's people do not log in at this provider.
    #[error("the firm takes no login of this provider")]
    Provider,
    /// The user is suspended or out, or the invitation is void.
    #[error("the user does not come in")]
    NotIn,
    /// The log cannot be asked.
    #[error("the log cannot be asked")]
    Unavailable(#[source] ExecuteError),
}

/// The user of a firm that somebody is: the one whose login it is, or whose address the provider has verified. An open
/// invitation to that address is accepted, because whoever has the mailbox has the invitation.
pub async fn find(store: &Store, tenant: TenantId, person: &Person) -> Result<UserId, Refused> {
    let (firm, _) = store.load::<Tenant>(tenant, tenant.0).await.map_err(Refused::Unavailable)?;
    if !firm.admits(&person.issuer) {
        return Err(Refused::Provider);
    }
    let login = User::login(&person.issuer, person.subject.as_str());
    if let Some(id) = store.holder(tenant, &login).await.map_err(Refused::Unavailable)? {
        let (user, _) = store.load::<User>(tenant, id).await.map_err(Refused::Unavailable)?;
        return if user.is_active() { Ok(UserId(id)) } else { Err(Refused::NotIn) };
    }
    let email = person.email.as_ref().ok_or(Refused::NotVerified)?;
    let address = Claim::personal("identity.user.email", email.as_str());
    let id = store.holder(tenant, &address).await.map_err(Refused::Unavailable)?.ok_or(Refused::Nobody)?;
    let (user, _) = store.load::<User>(tenant, id).await.map_err(Refused::Unavailable)?;
    if !user.is_active() {
        let invitation_id = user.invitation().ok_or(Refused::NotIn)?;
        command(store, tenant, id, UserCommand::AcceptInvitation { invitation_id }).await?;
    }
    let (issuer, subject) = (person.issuer.clone(), person.subject.clone());
    command(store, tenant, id, UserCommand::LinkLogin { issuer, subject }).await?;
    Ok(UserId(id))
}

async fn command(store: &Store, tenant: TenantId, id: uuid::Uuid, command: UserCommand) -> Result<(), Refused> {
    match store.execute::<User>(Some(id), command, &request(tenant)).await {
        Ok(_) => Ok(()),
        Err(ExecuteError::Rejected { code, .. }) => {
            tracing::info!(%tenant, user = %id, code, "not let in");
            Err(Refused::NotIn)
        }
        Err(error) => Err(Refused::Unavailable(error)),
    }
}

/// Why a session is ended when its person has started one more than there may be.
pub fn too_many() -> Name {
    "too many sessions".parse().unwrap_or_else(|_| unreachable!("it is a name"))
}

/// The login acts for whoever has shown who they are.
pub fn request(tenant: TenantId) -> Request {
    Request::new(tenant, Actor::System { name: "login".to_owned() })
}
