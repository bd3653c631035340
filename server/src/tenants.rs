//! `ubos tenants …` and `ubos users …`: what operators of UBOS do for firms.

use crate::operate::PATIENCE;
use crate::roles::bus;
use crate::vault;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use event_store::{CommandBus, ExecuteError, Request};
use identity::User;
use kernel::{Actor, Email, Name, SecretHash, TenantId, TimeZone};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;
use web::ShownKey;

/// What operators do for a firm.
#[derive(Debug, Subcommand)]
pub enum TenantsVerb {
    /// Lets a firm in and invites its first owner. Prints the ids of both, and the invitation's.
    Register(RegisterArguments),
    /// Makes a firm a customer, also one that owed a payment.
    Activate {
        /// The firm.
        tenant: Uuid,
    },
    /// Notes that a firm owes a payment.
    MarkPastDue {
        /// The firm.
        tenant: Uuid,
    },
    /// Keeps everybody of a firm out for the time being.
    Suspend {
        /// The firm.
        tenant: Uuid,
        /// Why.
        #[arg(long)]
        reason: Name,
    },
    /// Lets a firm in again.
    Resume {
        /// The firm.
        tenant: Uuid,
    },
    /// Opens a firm again that was closed, while its data is there; its owners can do that themselves.
    Reopen {
        /// The firm.
        tenant: Uuid,
    },
}

/// Who is let in.
#[derive(Debug, Clone, Args)]
pub struct RegisterArguments {
    /// What the firm is called.
    #[arg(long)]
    pub name: Name,
    /// The first owner's address.
    #[arg(long)]
    pub owner_email: Email,
    /// What the first owner is called.
    #[arg(long)]
    pub owner_name: Name,
    /// Where the firm's clocks hang, such as Europe/Berlin; UTC unless given.
    #[arg(long)]
    pub time_zone: Option<TimeZone>,
    /// The firm's id, to repeat what was interrupted; a new one unless given.
    #[arg(long)]
    pub tenant: Option<Uuid>,
    /// The owner's id, which tokens from elsewhere carry as `sub`; a new one unless given.
    #[arg(long)]
    pub owner: Option<Uuid>,
}

/// What operators do for a firm's users.
#[derive(Debug, Subcommand)]
pub enum UsersVerb {
    /// Accepts a user's open invitation, where people log in elsewhere and bring a token.
    Accept {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// The user.
        user: Uuid,
    },
}

/// Who a firm is and who owns it.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    /// The firm.
    pub tenant: Uuid,
    /// Its first owner.
    pub owner: Uuid,
}

/// `ubos tenants …`
pub async fn tenants(settings: &Settings, verb: TenantsVerb) -> Result<()> {
    let operator = Operator::connect(settings).await?;
    let (tenant, name, body) = match verb {
        TenantsVerb::Register(arguments) => {
            let Registered { tenant, owner } = operator.register(arguments).await?;
            println!("tenant {tenant}\nowner {owner}");
            return operator.drained().await;
        }
        TenantsVerb::Activate { tenant } => (tenant, "identity.tenant.activate", json!({})),
        TenantsVerb::MarkPastDue { tenant } => (tenant, "identity.tenant.mark_past_due", json!({})),
        TenantsVerb::Suspend { tenant, reason } => {
            (tenant, "identity.tenant.suspend", json!({ "reason": reason.as_str() }))
        }
        TenantsVerb::Resume { tenant } => (tenant, "identity.tenant.resume", json!({})),
        TenantsVerb::Reopen { tenant } => (tenant, "identity.tenant.reopen", json!({})),
    };
    operator.command(name, tenant, tenant, &body).await?;
    println!("done");
    operator.drained().await
}

/// `ubos users …`
pub async fn users(settings: &Settings, verb: UsersVerb) -> Result<()> {
    let operator = Operator::connect(settings).await?;
    match verb {
        UsersVerb::Accept { tenant, user } => operator.accept(tenant, user).await?,
    }
    println!("done");
    operator.drained().await
}

/// Somebody at the command line of the installation itself.
pub struct Operator(CommandBus);

impl Operator {
    /// Connects as command-api does.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let url = settings.database.command_url.expose_secret();
        let pool = runtime::database::connect(url, "operator", 2, PATIENCE).await?;
        Ok(Self(bus(settings, pool.clone(), vault::open(settings, &pool)?)?))
    }

    /// Invites the owner, then registers the firm: what was interrupted between them is harmless, and repeated with the
    /// same ids it goes on.
    pub async fn register(&self, arguments: RegisterArguments) -> Result<Registered> {
        let tenant = arguments.tenant.unwrap_or_else(Uuid::now_v7);
        let owner = arguments.owner.unwrap_or_else(Uuid::now_v7);
        let email = arguments.owner_email.as_str();
        let invite = json!({ "email": email, "name": arguments.owner_name.as_str(), "roles": [] });
        self.command("identity.user.invite", tenant, owner, &invite).await?;
        let register = json!({ "name": arguments.name.as_str(), "owner_id": owner });
        self.command("identity.tenant.register", tenant, tenant, &register).await?;
        if let Some(time_zone) = &arguments.time_zone {
            let set = json!({ "time_zone": time_zone.as_str() });
            self.command("identity.tenant.set_time_zone", tenant, tenant, &set).await?;
        }
        Ok(Registered { tenant, owner })
    }

    /// Accepts the open invitation of a user; harmless if the user is in.
    pub async fn accept(&self, tenant: Uuid, user: Uuid) -> Result<()> {
        let (state, _) = self.0.store().load::<User>(TenantId(tenant), user).await?;
        if state.is_active() {
            return Ok(());
        }
        let invitation = state.invitation().context("the user has no open invitation")?;
        self.command("identity.user.accept_invitation", tenant, user, &json!({ "invitation_id": invitation })).await
    }

    /// Stops when everything is written.
    pub async fn drained(self) -> Result<()> {
        self.0.store().drain().await;
        Ok(())
    }

    /// Does one command as an operator; one that creates what is there already is done.
    pub async fn command(&self, name: &str, tenant: Uuid, id: Uuid, body: &Value) -> Result<()> {
        self.with_secret(name, tenant, id, body, None).await
    }

    /// Does a command for which a secret is made, and answers that.
    pub async fn mint(&self, name: &str, tenant: Uuid, id: Uuid, body: &Value) -> Result<String> {
        let prefix = self.0.command(name).and_then(|info| info.entry.mints).context("no command with a secret")?;
        let (shown, secret) = ShownKey::mint(prefix, TenantId(tenant), id);
        self.with_secret(name, tenant, id, body, Some(secret)).await?;
        Ok(shown)
    }

    async fn with_secret(
        &self,
        name: &str,
        tenant: Uuid,
        id: Uuid,
        body: &Value,
        secret: Option<SecretHash>,
    ) -> Result<()> {
        let info = *self.0.command(name).with_context(|| format!("no command {name}"))?;
        let actor = Actor::System { name: "operator".to_owned() };
        let request = Request { secret, ..Request::new(TenantId(tenant), actor) };
        match self.0.execute(&info, Some(id), body.to_string(), request).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::AlreadyExists) if info.entry.creates && info.entry.mints.is_none() => Ok(()),
            Err(ExecuteError::Unavailable(error)) => Err(error.context("the log cannot be reached")),
            Err(error) => bail!("{name}: {error}"),
        }
    }
}
