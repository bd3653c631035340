//! A connection: the way to one account of the firm at a provider.

use connections_events::{ConnectionEvent as E, ConnectionStatus, Provider, Trouble};
use kernel::{Aggregate, Claim, ClaimChange, Context, Date, Decision, Machine, Name, Text, command, rejection};
use serde::{Deserialize, Serialize};

use ConnectionCommand as C;
use ConnectionRejection as R;

/// Which connection of the firm leads to an account.
const ACCOUNT_CLAIM: &str = "connections.connection.account";

/// What may be asked of a connection.
#[command("connections.connection", !member)]
pub enum ConnectionCommand {
    /// Prepares a connection to a provider; somebody has to agree there before it is of use.
    #[creates]
    Create {
        /// Which provider.
        provider: Provider,
        /// What the firm calls it.
        name: Name,
    },
    /// Gives the connection another name.
    Rename {
        /// The new name.
        name: Name,
    },
    /// Notes that somebody goes to the provider to agree; `GET /v1/connect/start` does that and leads there.
    BeginAuthorisation {},
    /// Notes that somebody has agreed; only whoever came back from the provider with a code says so.
    #[refused(ConnectOnly, AnotherAccount, "account.taken")]
    RecordAuthorised {
        /// The provider's id of the account that is reached.
        account_id: Name,
        /// What the provider calls it.
        account_label: Name,
    },
    /// Notes that it works badly; only whoever uses it says so.
    #[refused(ConnectOnly)]
    RecordDegraded {
        /// What is wrong.
        trouble: Trouble,
        /// The same in words.
        #[serde(default)]
        detail: Option<Text>,
    },
    /// Notes that the provider lets us in no more; only whoever uses it says so.
    #[refused(ConnectOnly)]
    RecordAuthFailed {
        /// What is wrong.
        trouble: Trouble,
        /// The same in words.
        #[serde(default)]
        detail: Option<Text>,
    },
    /// Notes that it works again; only whoever uses it says so.
    #[refused(ConnectOnly)]
    RecordRecovered {},
    /// Sends nothing through it until it is resumed.
    #[refused(NotConnected)]
    Pause {},
    /// Uses it again.
    Resume {},
    /// Has everything at the provider looked at again that has changed since a day.
    #[refused(NotConnected)]
    Resync {
        /// Since which day; since somebody last agreed unless given.
        #[serde(default)]
        since: Option<Date>,
    },
    /// Gives it up, and has what is kept of it destroyed. Whoever agrees at the provider again later finds it with its id.
    Disconnect {},
}

/// Why a connection's command may be refused.
#[rejection("connections.connection")]
pub enum ConnectionRejection {
    /// Only whoever speaks to the provider notes what came of it.
    ConnectOnly,
    /// The connection leads to another account; make another connection for this one.
    AnotherAccount,
    /// Nobody has agreed at the provider, so there is nothing to pause or to look at.
    NotConnected,
}

/// What is remembered of a connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    provider: Option<Provider>,
    name: Option<Name>,
    status: ConnectionStatus,
    account_id: Option<Name>,
    /// Somebody is at the provider.
    is_being_authorised: bool,
    /// What it goes on with when it is resumed.
    trouble: Option<(ConnectionStatus, Trouble, Option<Text>)>,
}

impl Aggregate for Connection {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "connections/connections";

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        use ConnectionStatus::{AuthError, Connected, Degraded, Disconnected, Paused, Pending};
        Ok(match command {
            C::RecordAuthorised { .. }
            | C::RecordDegraded { .. }
            | C::RecordAuthFailed { .. }
            | C::RecordRecovered {}
                if !ctx.actor.is_system() =>
            {
                return Err(R::ConnectOnly);
            }
            C::Create { provider, name } => vec![E::Created { provider, name }],
            C::Rename { name } if self.name.as_ref() == Some(&name) => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::BeginAuthorisation {} if self.is_being_authorised => vec![],
            C::BeginAuthorisation {} => vec![E::AuthorisationBegun {}],
            C::RecordAuthorised { account_id, .. }
                if self.account_id.as_ref().is_some_and(|one| *one != account_id) =>
            {
                return Err(R::AnotherAccount);
            }
            C::RecordAuthorised { .. } if self.is_well() && !self.is_being_authorised => vec![],
            C::RecordAuthorised { account_id, account_label } => match self.provider {
                // Whoever was told that it works no more is told that it does again.
                Some(provider) => {
                    let recovered = matches!(self.status, Degraded | AuthError).then(|| self.recovered());
                    [E::Authorised { provider, account_id, account_label }].into_iter().chain(recovered).collect()
                }
                None => vec![],
            },
            // What is said of a connection that nobody uses, whoever uses it next finds out again.
            C::RecordDegraded { trouble, detail } if self.status == Connected => vec![E::Degraded { trouble, detail }],
            C::RecordDegraded { .. } => vec![],
            C::RecordAuthFailed { trouble, detail } if matches!(self.status, Connected | Degraded) => {
                vec![E::AuthFailed { trouble, detail }]
            }
            C::RecordAuthFailed { .. } => vec![],
            C::RecordRecovered {} if matches!(self.status, Degraded | AuthError) => vec![self.recovered()],
            C::RecordRecovered {} => vec![],
            C::Pause {} => match self.status {
                Paused => vec![],
                Pending | Disconnected => return Err(R::NotConnected),
                Connected | Degraded | AuthError => vec![E::Paused {}],
            },
            C::Resume {} if self.status != Paused => vec![],
            C::Resume {} => {
                let goes_on = match self.trouble.clone() {
                    Some((AuthError, trouble, detail)) => Some(E::AuthFailed { trouble, detail }),
                    Some((_, trouble, detail)) => Some(E::Degraded { trouble, detail }),
                    None => None,
                };
                [E::Resumed {}].into_iter().chain(goes_on).collect()
            }
            C::Resync { .. } if matches!(self.status, Pending | Disconnected) => return Err(R::NotConnected),
            C::Resync { since } => vec![E::ResyncRequested { since }],
            C::Disconnect {} if self.status == Disconnected => vec![],
            C::Disconnect {} => vec![E::Disconnected {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { provider, name } => (self.provider, self.name) = (Some(*provider), Some(name.clone())),
            E::Renamed { name } => self.name = Some(name.clone()),
            E::AuthorisationBegun {} => self.is_being_authorised = true,
            E::Authorised { account_id, .. } => {
                self.account_id = Some(account_id.clone());
                (self.is_being_authorised, self.trouble) = (false, None);
            }
            E::Degraded { trouble, detail } => {
                self.trouble = Some((ConnectionStatus::Degraded, *trouble, detail.clone()));
            }
            E::AuthFailed { trouble, detail } => {
                self.trouble = Some((ConnectionStatus::AuthError, *trouble, detail.clone()));
            }
            E::Recovered { .. } => self.trouble = None,
            E::Paused {} | E::Resumed {} | E::ResyncRequested { .. } => {}
            E::Disconnected {} => (self.is_being_authorised, self.trouble) = (false, None),
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Authorised { account_id, .. } if !self.holds_account() => {
                self.account_claim(account_id).map(ClaimChange::Take).into_iter().collect()
            }
            E::Disconnected {} if self.holds_account() => {
                let account = self.account_id.as_ref().and_then(|account| self.account_claim(account));
                account.map(ClaimChange::Release).into_iter().collect()
            }
            _ => vec![],
        }
    }
}

impl Connection {
    /// Whom it leads to.
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }

    /// Where it stands.
    pub fn status(&self) -> ConnectionStatus {
        self.status
    }

    /// Which account it leads to, if somebody has agreed.
    pub fn account_id(&self) -> Option<&Name> {
        self.account_id.as_ref()
    }

    /// That it works again, and what was wrong.
    fn recovered(&self) -> E {
        E::Recovered { trouble: self.trouble.as_ref().map(|(_, trouble, _)| *trouble) }
    }

    /// Does it work, or would it if it were not paused?
    fn is_well(&self) -> bool {
        use ConnectionStatus::{Connected, Paused};
        matches!(self.status, Connected | Paused) && self.trouble.is_none()
    }

    /// The account stays taken until the connection is given up.
    fn holds_account(&self) -> bool {
        use ConnectionStatus::{Disconnected, Pending};
        self.account_id.is_some() && !matches!(self.status, Pending | Disconnected)
    }

    fn account_claim(&self, account: &Name) -> Option<Claim> {
        let provider = self.provider?.as_str();
        Some(Claim::new(ACCOUNT_CLAIM, format!("{provider}:{}", account.folded())))
    }
}

#[cfg(test)]
mod tests;
