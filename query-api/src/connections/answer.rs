//! What is told of one connection.

use crate::connections::waiting::Behind;
use catalogue::connections_events::{ConnectionStatus, Trouble};
use chrono::{DateTime, Utc};
use serde::de::value::{Error as NoSuchValue, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

/// The budget that is a day's.
const DAY: &str = "day";

/// A connection as it is read.
#[derive(Debug, FromRow)]
pub(crate) struct Found {
    id: Uuid,
    provider: String,
    name: String,
    state: String,
    state_since: DateTime<Utc>,
    account_label: Option<String>,
    authorised_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    last_error_detail: Option<String>,
    last_error_at: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    failures: i64,
    heard_at: Option<DateTime<Utc>>,
    access_until: Option<DateTime<Utc>>,
    refreshed_at: Option<DateTime<Utc>>,
    renewable_until: Option<DateTime<Utc>>,
    refresh_failures: i64,
    budgets: Json<Vec<Budget>>,
    syncs: Json<Vec<SyncFound>>,
    jobs: i64,
    parked: i64,
    oldest_at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    subjects: Vec<Uuid>,
}

impl Found {
    /// Which connection.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The records that jobs are about which wait for it.
    pub fn subjects(&self) -> &[Uuid] {
        &self.subjects
    }
}

/// So many calls in a span of time.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Budget {
    name: String,
    most: i64,
    used: i64,
    ends_at: DateTime<Utc>,
}

/// Something that is kept in step, as it is read.
#[derive(Debug, Clone, Deserialize)]
struct SyncFound {
    name: String,
    cursor_at: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    failures: i64,
    trouble: Option<String>,
    next_at: Option<DateTime<Utc>>,
    subscription_until: Option<DateTime<Utc>>,
    done_count: Option<i64>,
    total_count: Option<i64>,
}

/// A connection as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    id: Uuid,
    provider: String,
    name: String,
    state: String,
    state_since: DateTime<Utc>,
    account_label: Option<String>,
    authorised_at: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    failures: i64,
    heard_at: Option<DateTime<Utc>>,
    lag_seconds: i64,
    syncs: Vec<Sync>,
    access_until: Option<DateTime<Utc>>,
    refreshed_at: Option<DateTime<Utc>>,
    refresh_failures: i64,
    renewable_until: Option<DateTime<Utc>>,
    subscription_until: Option<DateTime<Utc>>,
    calls_left_today: Option<i64>,
    budgets: Vec<Budget>,
    error: Option<Wrong>,
    waiting: Waiting,
    next_attempt_at: Option<DateTime<Utc>>,
    authorise_path: Option<String>,
}

/// Something that is kept in step.
#[derive(Debug, Serialize)]
struct Sync {
    name: String,
    cursor_at: Option<DateTime<Utc>>,
    cursor_age_seconds: Option<i64>,
    lag_seconds: i64,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    failures: i64,
    error: Option<Wrong>,
    next_at: Option<DateTime<Utc>>,
    subscription_until: Option<DateTime<Utc>>,
    done_count: Option<i64>,
    total_count: Option<i64>,
}

/// What is wrong, and what helps.
#[derive(Debug, Serialize)]
struct Wrong {
    class: Trouble,
    sentence: &'static str,
    remedy: &'static str,
    needs_somebody: bool,
    detail: Option<String>,
    since: Option<DateTime<Utc>>,
}

/// What waits.
#[derive(Debug, Serialize)]
struct Waiting {
    jobs: i64,
    parked: i64,
    oldest_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    behind: Behind,
}

/// What is told of a connection behind which this waits.
pub(crate) fn told(found: Found, behind: Behind, may_authorise: bool, now: DateTime<Utc>) -> Told {
    let status: Option<ConnectionStatus> = named(&found.state);
    let works_badly = matches!(status, Some(ConnectionStatus::Degraded | ConnectionStatus::AuthError));
    let trouble = found.last_error.as_deref().and_then(named).filter(|_| works_badly);
    let error = trouble.map(|trouble| Wrong { since: found.last_error_at, ..wrong(trouble, found.last_error_detail) });
    let helps = matches!(
        status,
        Some(ConnectionStatus::Pending | ConnectionStatus::AuthError | ConnectionStatus::Disconnected)
    );
    let authorise_path = (helps && may_authorise).then(|| format!("/v1/connect/start?connection={}", found.id));
    let Json(budgets) = found.budgets;
    let left = |budget: &Budget| {
        let used = if budget.ends_at > now { budget.used } else { 0 };
        (budget.most - used).max(0)
    };
    let calls_left_today = budgets.iter().find(|budget| budget.name == DAY).map(left);
    let syncs: Vec<Sync> = found.syncs.0.into_iter().map(|one| sync(one, now)).collect();
    Told {
        id: found.id,
        provider: found.provider,
        name: found.name,
        state: found.state,
        state_since: found.state_since,
        account_label: found.account_label,
        authorised_at: found.authorised_at,
        last_success_at: found.last_success_at,
        last_failure_at: found.last_failure_at,
        failures: found.failures,
        heard_at: found.heard_at,
        lag_seconds: syncs.iter().map(|sync| sync.lag_seconds).max().unwrap_or_default(),
        access_until: found.access_until,
        refreshed_at: found.refreshed_at,
        refresh_failures: found.refresh_failures,
        renewable_until: found.renewable_until,
        subscription_until: syncs.iter().filter_map(|sync| sync.subscription_until).min(),
        next_attempt_at: found.next_at.into_iter().chain(syncs.iter().filter_map(|sync| sync.next_at)).min(),
        syncs,
        calls_left_today,
        budgets,
        error,
        waiting: Waiting { jobs: found.jobs, parked: found.parked, oldest_at: found.oldest_at, behind },
        authorise_path,
    }
}

fn sync(found: SyncFound, now: DateTime<Utc>) -> Sync {
    let since = |at: DateTime<Utc>| (now - at).num_seconds().max(0);
    let trouble = found.trouble.as_deref().and_then(named).filter(|_| found.failures > 0);
    Sync {
        cursor_age_seconds: found.cursor_at.map(since),
        lag_seconds: found.next_at.map(since).unwrap_or_default(),
        error: trouble.map(|trouble| Wrong { since: found.last_failure_at, ..wrong(trouble, None) }),
        name: found.name,
        cursor_at: found.cursor_at,
        last_success_at: found.last_success_at,
        last_failure_at: found.last_failure_at,
        failures: found.failures,
        next_at: found.next_at,
        subscription_until: found.subscription_until,
        done_count: found.done_count,
        total_count: found.total_count,
    }
}

fn wrong(class: Trouble, detail: Option<String>) -> Wrong {
    let (sentence, remedy, needs_somebody) = (class.sentence(), class.remedy(), class.needs_somebody());
    Wrong { class, sentence, remedy, needs_somebody, detail, since: None }
}

/// The value of this name, as events write it.
fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    let name: StrDeserializer<'_, NoSuchValue> = name.into_deserializer();
    T::deserialize(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(state: &str, last_error: Option<&str>) -> Found {
        let at = "2026-11-30T10:00:00Z".parse().unwrap();
        Found {
            id: Uuid::from_u128(7),
            provider: "xero".to_owned(),
            name: "Our books".to_owned(),
            state: state.to_owned(),
            state_since: at,
            account_label: None,
            authorised_at: Some(at),
            last_error: last_error.map(str::to_owned),
            last_error_detail: Some("invalid_grant".to_owned()),
            last_error_at: Some(at),
            last_success_at: None,
            last_failure_at: None,
            failures: 0,
            heard_at: None,
            access_until: None,
            refreshed_at: None,
            renewable_until: None,
            refresh_failures: 0,
            budgets: Json(vec![
                Budget { name: "minute".to_owned(), most: 55, used: 9, ends_at: at },
                Budget {
                    name: "day".to_owned(),
                    most: 4_800,
                    used: 4_700,
                    ends_at: "2026-12-01T00:00:00Z".parse().unwrap(),
                },
            ]),
            syncs: Json(vec![SyncFound {
                name: "changes".to_owned(),
                cursor_at: Some(at),
                last_success_at: Some(at),
                last_failure_at: None,
                failures: 0,
                trouble: Some("unreachable".to_owned()),
                next_at: Some("2026-11-30T10:15:00Z".parse().unwrap()),
                subscription_until: None,
                done_count: None,
                total_count: None,
            }]),
            jobs: 3,
            parked: 0,
            oldest_at: Some(at),
            next_at: None,
            subjects: vec![],
        }
    }

    fn said(found: Found, now: &str) -> Value {
        serde_json::to_value(told(found, Behind::default(), true, now.parse().unwrap())).unwrap()
    }

    #[test]
    fn what_is_wrong_now_has_a_sentence_a_remedy_and_where_to_go_and_what_was_wrong_once_has_not() {
        let broken = said(found("auth_error", Some("grant_refused")), "2026-11-30T10:00:00Z");
        assert_eq!(
            (&broken["error"]["class"], &broken["error"]["detail"]),
            (&json!("grant_refused"), &json!("invalid_grant"))
        );
        assert_eq!(broken["error"]["needs_somebody"], true);
        assert!(broken["error"]["remedy"].as_str().is_some_and(|remedy| remedy.starts_with("Authorise")), "{broken}");
        let path = "/v1/connect/start?connection=00000000-0000-0000-0000-000000000007";
        assert_eq!(broken["authorise_path"], path);
        let mended = said(found("connected", Some("grant_refused")), "2026-11-30T10:00:00Z");
        assert_eq!((&mended["error"], &mended["authorise_path"]), (&Value::Null, &Value::Null));
        let away = said(found("degraded", Some("unreachable")), "2026-11-30T10:00:00Z");
        assert_eq!((&away["error"]["needs_somebody"], &away["authorise_path"]), (&json!(false), &Value::Null));
        let not_allowed = told(found("auth_error", None), Behind::default(), false, Utc::now());
        assert!(not_allowed.authorise_path.is_none());
    }

    #[test]
    fn a_sync_lags_from_the_moment_on_at_which_its_next_round_was_due() {
        let in_time = said(found("connected", None), "2026-11-30T10:10:00Z");
        let sync = &in_time["syncs"][0];
        assert_eq!((&in_time["lag_seconds"], &sync["cursor_age_seconds"]), (&json!(0), &json!(600)));
        assert_eq!((&sync["error"], &in_time["next_attempt_at"]), (&Value::Null, &json!("2026-11-30T10:15:00Z")));
        let late = said(found("connected", None), "2026-11-30T10:16:00Z");
        assert_eq!((&late["lag_seconds"], &late["syncs"][0]["cursor_age_seconds"]), (&json!(60), &json!(960)));
    }

    #[test]
    fn a_day_that_is_over_has_all_of_its_calls_left_again() {
        let today = said(found("connected", None), "2026-11-30T12:00:00Z");
        assert_eq!(today["calls_left_today"], 100);
        let tomorrow = said(found("connected", None), "2026-12-01T12:00:00Z");
        assert_eq!(tomorrow["calls_left_today"], 4_800);
    }
}
