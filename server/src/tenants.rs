//! `ubos tenants …` and `ubos users …`: what operators of UBOS do for firms.

use crate::connect::{PATIENCE, bus, known, worker_pool};
use crate::output::{Done, Output, Table, minute, say};
use crate::vault;
use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use credentials::ShownKey;
use event_store::{CommandBus, ExecuteError, Request};
use identity::User;
use identity_events::TenantStatus;
use kernel::{Actor, Email, Name, SecretHash, Status, TenantId, TimeZone};
use projections::identity::{Firm, FirmDetails, firm, firms, users_by_status};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// What operators do for a firm.
#[derive(Debug, Subcommand)]
pub enum TenantsVerb {
    /// Every firm, the newest first, as the read models have them.
    List {
        /// Only those that stand there.
        #[arg(long, value_parser = status::<TenantStatus>())]
        status: Option<TenantStatus>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// One firm: who owns it, how many people it has, what of it stands still.
    Show {
        /// The firm.
        tenant: Uuid,
    },
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

/// A status by its name, with what each means as the help has it.
pub(crate) fn status<S: Status>() -> impl TypedValueParser<Value = S> {
    let known = S::ALL.iter().map(|status| PossibleValue::new(status.as_str()).help(status.entry().summary));
    PossibleValuesParser::new(known).try_map(|name| S::named(&name).context("no such status"))
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
pub async fn tenants(settings: &Settings, verb: TenantsVerb, out: &Output) -> Result<Done> {
    match verb {
        TenantsVerb::List { status, limit } => return list(&worker_pool(settings).await?, status, limit, out).await,
        TenantsVerb::Show { tenant } => return show(&worker_pool(settings).await?, tenant, out).await,
        _ => {}
    }
    let operator = Operator::connect(settings).await?;
    let (tenant, name, body) = match verb {
        TenantsVerb::Register(arguments) => {
            let Registered { tenant, owner } = operator.register(arguments).await?;
            say!(out, "tenant {tenant}\nowner {owner}");
            operator.drained().await?;
            return Done::with(json!({ "tenant": tenant, "owner": owner }));
        }
        TenantsVerb::List { .. } | TenantsVerb::Show { .. } => bail!("these were answered above"),
        TenantsVerb::Activate { tenant } => (tenant, "identity.tenant.activate", json!({})),
        TenantsVerb::MarkPastDue { tenant } => (tenant, "identity.tenant.mark_past_due", json!({})),
        TenantsVerb::Suspend { tenant, reason } => {
            (tenant, "identity.tenant.suspend", json!({ "reason": reason.as_str() }))
        }
        TenantsVerb::Resume { tenant } => (tenant, "identity.tenant.resume", json!({})),
        TenantsVerb::Reopen { tenant } => (tenant, "identity.tenant.reopen", json!({})),
    };
    operator.command(name, tenant, tenant, &body).await?;
    say!(out, "done");
    operator.drained().await?;
    Done::with(json!({ "tenant": tenant }))
}

async fn list(pool: &PgPool, status: Option<TenantStatus>, limit: i64, out: &Output) -> Result<Done> {
    let all = firms(pool, status.map(Status::as_str), limit).await.context("reading the firms")?;
    let mut table = Table::new(&["FIRM", "NAME", "STATUS", ">USERS", "REGISTERED"], "no firms");
    for Firm { id, name, status, registered_at, users } in &all {
        table.row([id.to_string(), name.clone(), status.clone(), users.to_string(), minute(*registered_at)]);
    }
    out.say(table);
    Done::with(all)
}

async fn show(pool: &PgPool, tenant: Uuid, out: &Output) -> Result<Done> {
    known(pool, tenant).await?;
    let details = firm(pool, tenant).await?;
    let details = details.context("the log knows this firm, the read models do not yet: `ubos projections status`")?;
    let FirmDetails { name, status, registered_at, owners, suspended_reason, purge_at, trial_ends_at } = details;
    let counts =
        async |sql: &str| -> Result<Vec<(String, i64)>> { Ok(sqlx::query_as(sql).bind(tenant).fetch_all(pool).await?) };
    let users = users_by_status(pool, tenant).await?;
    let runs = counts("select state, count(*) from engine.tasks where tenant_id = $1 group by 1 order by 1").await?;
    let parked = counts(
        "select group_name, count(*) from projections.parked where tenant_id = $1 and slot = 'live' group by 1 order by 1",
    )
    .await?;
    let jobs = counts("select state, count(*) from reactions.jobs where tenant_id = $1 group by 1 order by 1").await?;
    let last: Option<i64> = sqlx::query_scalar("select max(position) from eventstore.streams where tenant_id = $1")
        .bind(tenant)
        .fetch_one(pool)
        .await?;
    let said = |counts: &[(String, i64)], none: &str| {
        let said: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        if said.is_empty() { none.to_owned() } else { said.join(", ") }
    };
    say!(out, "{:<14}{tenant}", "firm");
    say!(out, "{:<14}{name}", "name");
    let why = suspended_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    say!(out, "{:<14}{status}{why}", "status");
    say!(out, "{:<14}{}", "registered", minute(registered_at));
    match (&*status, purge_at) {
        ("trialing", _) => say!(out, "{:<14}{}", "trial ends", minute(trial_ends_at)),
        (_, Some(at)) => say!(out, "{:<14}{}", "data ends", minute(at)),
        _ => {}
    }
    for owner in owners.as_array().into_iter().flatten().filter_map(Value::as_str) {
        say!(out, "{:<14}{owner}", "owner");
    }
    say!(out, "{:<14}{}", "users", said(&users, "none"));
    say!(out, "{:<14}{}", "open runs", said(&runs, "none"));
    say!(out, "{:<14}{}", "jobs", said(&jobs, "none"));
    say!(out, "{:<14}{}", "parked", said(&parked, "nothing"));
    say!(out, "{:<14}position {}", "last event", last.unwrap_or(0));
    let object = |counts: Vec<(String, i64)>| counts.into_iter().collect::<std::collections::BTreeMap<_, _>>();
    Done::with(json!({
        "id": tenant, "name": name, "status": status, "registered_at": registered_at, "trial_ends_at": trial_ends_at,
        "suspended_reason": suspended_reason, "purge_at": purge_at, "owners": owners, "users": object(users),
        "open_runs": object(runs), "jobs": object(jobs), "parked": object(parked), "last_position": last,
    }))
}

/// `ubos users …`
pub async fn users(settings: &Settings, verb: UsersVerb, out: &Output) -> Result<Done> {
    let operator = Operator::connect(settings).await?;
    match verb {
        UsersVerb::Accept { tenant, user } => {
            operator.accept(tenant, user).await?;
            say!(out, "done");
            operator.drained().await?;
            Done::with(json!({ "tenant": tenant, "user": user }))
        }
    }
}

/// Somebody at the command line of the installation itself.
pub struct Operator(CommandBus);

impl Operator {
    /// Connects as command-api does.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let url = settings.database.command_url.expose_secret();
        let pool = schema::connect(url, "operator", 2, PATIENCE).await?;
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
