//! What a definition's steps were refused, for the firm's audit trail: beside what people and programs were refused.

use crate::hand::Hand;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use workflow::{Entry, StepPath};

/// How long the same command of the same definition is one refusal, in seconds: a definition that goes on after failures decides
/// how often it is refused, and must not decide how full the trail is.
const WINDOW: i64 = 3_600;

/// Writes down which steps of the segment in `hand` were refused. The run says it too, so a failure to write is no reason
/// to stop.
pub(crate) async fn note(pool: &PgPool, hand: &Hand) {
    for entry in hand.denied() {
        if let Entry::Failed { step, message, .. } = entry {
            note_one(pool, hand, step, message).await;
        }
    }
}

async fn note_one(pool: &PgPool, hand: &Hand, step: &StepPath, message: &str) {
    let permission = match step.is_undo() {
        true => step.parent().and_then(|step| Some(hand.document.undo(&step)?.command.clone())),
        false => hand.document.action(step.id()).and_then(|action| action.permission()),
    };
    let Some(permission) = permission else { return };
    let Some(trigger) = hand.run.trigger.as_deref() else { return };
    let (definition, now) = (&hand.run.definition_id, chrono::Utc::now());
    let name = hand.run.definition.as_ref().map(ToString::to_string).unwrap_or_default();
    let id = Uuid::new_v5(&definition.0, format!("{permission}:{}", now.timestamp() / WINDOW).as_bytes());
    let (aggregate_type, _) = permission.rsplit_once('.').unwrap_or_default();
    let refusal = json!([{
        "tenant_id": hand.tenant, "id": id, "permission": permission, "aggregate_type": aggregate_type, "aggregate_ids": [],
        "actor_kind": "workflow", "actor": hand.run_id, "api_key_id": null, "reason": "forbidden",
        "detail": format!("{name}, version {}: {message}", hand.run.definition_version),
        "correlation_id": trigger.correlation_id, "client_address": null, "count": 1, "first_at": now, "last_at": now,
    }]);
    let noted = sqlx::query("select audit.note_refusals($1::jsonb)").bind(refusal.to_string()).execute(pool).await;
    if let Err(error) = noted {
        tracing::warn!(run_id = %hand.run_id, error = %error, "what a step was refused is not on the audit trail");
    }
}
