//! `ubos jobs …`: what reactions have to do, and what was parked.

use crate::connect::{known, worker_pool};
use crate::operate::position as number;
use crate::output::{Done, Output, Table, minute, say};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use kernel::{Name, TenantId};
use reactions::{Filter, Shown, State};
use runtime::settings::Settings;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

/// What can be done about jobs.
#[derive(Debug, Subcommand)]
pub enum JobsVerb {
    /// Lists jobs, the oldest first: those that have not ended, unless a state is named.
    List {
        #[command(flatten)]
        which: Which,
        /// Only those that stand there: due, unknown, blocked, parked, done or dropped.
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Shows everything about a job.
    Show {
        /// Its number.
        #[arg(value_parser = number())]
        job: i64,
    },
    /// Begins parked jobs anew, after whatever stopped them was changed, and hastens those that wait for their next try.
    Retry {
        #[command(flatten)]
        which: Which,
        /// Their numbers; every parked one if none is given.
        #[arg(value_parser = number())]
        jobs: Vec<i64>,
    },
    /// Ends jobs that nobody wants any more. They are not done.
    Drop {
        /// Their numbers.
        #[arg(required = true, value_parser = number())]
        jobs: Vec<i64>,
        /// Why, for whoever looks later; never a person's name.
        #[arg(long)]
        reason: Name,
    },
}

/// Which jobs.
#[derive(Debug, Args)]
pub struct Which {
    /// Only this firm's.
    #[arg(long)]
    tenant: Option<Uuid>,
    /// Only those of this reaction: email.invitation.
    #[arg(long)]
    reaction: Option<String>,
    /// Only those in this lane.
    #[arg(long)]
    lane: Option<String>,
}

fn state(text: &str) -> Result<State, String> {
    text.parse()
}

impl Which {
    async fn filter(self, pool: &PgPool) -> Result<Filter> {
        if let Some(tenant) = self.tenant {
            known(pool, tenant).await?;
        }
        let Self { tenant, reaction, lane } = self;
        Ok(Filter { tenant: tenant.map(TenantId), reaction, lane, ..Filter::default() })
    }
}

/// `ubos jobs …`
///
/// # Errors
/// When the database is away, or a job that is named is not there.
pub async fn run(settings: &Settings, verb: JobsVerb, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    match verb {
        JobsVerb::List { which, state, limit } => {
            let filter = Filter { state, ..which.filter(&pool).await? };
            let jobs = reactions::list(&pool, &filter, limit).await?;
            let mut table = Table::new(&[">JOB", "REACTION, FIRM, LANE", "STATE", ">TRIED", "WHY"], "no jobs");
            for job in &jobs {
                let what = format!("{}\n{}\n{}", job.reaction, job.tenant_id, job.lane);
                let why = [job.code.clone(), job.why.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
                let (id, tried) = (job.id.to_string(), job.attempts.to_string());
                table.row([id, what, job.state.clone(), tried, why]);
            }
            out.say(table);
            Done::with(jobs)
        }
        JobsVerb::Show { job } => {
            let shown = reactions::show(&pool, job).await?.with_context(|| format!("there is no job {job}"))?;
            tell(&shown, out);
            Done::with(shown)
        }
        JobsVerb::Retry { which, jobs } => {
            let state = jobs.is_empty().then_some(State::Parked);
            let named = jobs.len();
            let filter = Filter { ids: jobs, state, ..which.filter(&pool).await? };
            let retried = reactions::retry(&pool, &filter).await?;
            all_moved(named, retried)?;
            say!(out, "{retried} jobs are tried again");
            Done::with(json!({ "jobs": retried }))
        }
        JobsVerb::Drop { jobs, reason } => {
            let named = jobs.len();
            let filter = Filter { ids: jobs, ..Filter::default() };
            let dropped = reactions::drop(&pool, &filter, reason.as_str()).await?;
            all_moved(named, dropped)?;
            say!(out, "{dropped} jobs are dropped");
            Done::with(json!({ "jobs": dropped }))
        }
    }
}

fn all_moved(named: usize, moved: i64) -> Result<()> {
    let named = i64::try_from(named)?;
    if moved < named {
        bail!("of {named} jobs {} are not there, have ended or are in work", named - moved);
    }
    Ok(())
}

fn tell(shown: &Shown, out: &Output) {
    let job = &shown.listed;
    let line = |word: &str, value: String| {
        if !value.is_empty() {
            say!(out, "{word:<11}{value}");
        }
    };
    line("job", job.id.to_string());
    line("reaction", job.reaction.clone());
    line("firm", job.tenant_id.to_string());
    line("lane", job.lane.clone());
    line("key", shown.key.clone());
    line("position", job.position.map(|position| position.to_string()).unwrap_or_default());
    let in_work = if shown.is_in_work { ", in work" } else { "" };
    line("state", format!("{}{in_work}", job.state));
    line("tried", job.attempts.to_string());
    for (word, at) in [
        ("asked for", Some(shown.created_at)),
        ("first try", shown.tried_since),
        ("next try", shown.due_at),
        ("ended", shown.ended_at),
    ] {
        line(word, at.map(minute).unwrap_or_default());
    }
    line("code", job.code.clone().unwrap_or_default());
    line("why", job.why.clone().unwrap_or_default());
}
