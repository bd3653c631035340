//! What a subscriber of one firm tries against another, by the rows of the attack list.

use super::Subscriber;
use serde_json::{Value, json};

/// What must come of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// NATS says that it may not.
    Denied,
    /// What a subscriber does every day; shows that the others are denied for what they are.
    Allowed,
    /// NATS may take it, and then nothing happens.
    NothingComesOfIt,
}

/// One thing that is tried.
#[derive(Debug)]
pub struct Attempt {
    /// Which row of the attack list.
    pub row: &'static str,
    pub expected: Expected,
    /// For the program that tries it.
    pub line: Value,
}

/// Everything that `own` tries, whose firm is not that of `other`.
pub fn attempts(own: &Subscriber, other: &Subscriber) -> Vec<Attempt> {
    let (id, theirs) = (&own.id, &other.id);
    let their_event = format!("ubos.events.{}.crm.client.created", other.tenant);
    let own_event = format!("ubos.events.{}.crm.client.created", own.tenant);
    let mut all = vec![];
    let mut attempt = |row, expected, does: &str, subject: &str, body: &Value, reply: &str| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        all.push(Attempt {
            row,
            expected,
            line: json!({ "do": does, "subject": subject, "body": body, "reply": reply }),
        });
    };
    let (next, info) = (format!("UBOS.CONSUMER.MSG.NEXT.EVENTS.{id}"), format!("UBOS.CONSUMER.INFO.EVENTS.{id}"));
    attempt("-", Expected::Allowed, "subscribe", &format!("_INBOX_{id}.a.>"), &Value::Null, "");
    attempt("-", Expected::Allowed, "publish", &info, &Value::Null, &format!("_INBOX_{id}.a.b"));

    for subject in [
        ">",
        "*",
        "*.>",
        "ubos.>",
        "$JS.>",
        "$JS.ACK.>",
        "$JS.API.>",
        "$SYS.>",
        "UBOS.>",
        "_INBOX.>",
        "_R_.>",
        &format!("ubos.events.{}.>", other.tenant),
        &format!("ubos.events.{}.>", own.tenant),
        &their_event,
        &format!("_INBOX_{theirs}.>"),
        &format!("_INBOX_{id}"),
    ] {
        attempt("N-01", Expected::Denied, "subscribe", subject, &Value::Null, "");
    }

    let mut denied = |row, subject: &str, body: &Value| attempt(row, Expected::Denied, "publish", subject, body, "");
    for subject in [&their_event, &own_event, "ubos.events", "$JS.API.ACCOUNT.PURGE.UBOS", "$JS.API.SERVER.REMOVE"] {
        denied("N-02", subject, &Value::Null);
    }
    for subject in ["$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.USER.AUTH", "$SYS.REQ.USER.INFO"]
    {
        denied("N-02", subject, &Value::Null);
    }
    let filter = |name: &str, filter: Value| {
        let mut config = json!({ "name": name, "durable_name": name, "ack_policy": "explicit" });
        let key = if filter.is_array() { "filter_subjects" } else { "filter_subject" };
        config[key] = filter;
        json!({ "stream_name": "EVENTS", "config": config })
    };
    let (own_all, their_all) = (format!("ubos.events.{}.>", own.tenant), format!("ubos.events.{}.>", other.tenant));
    for api in ["$JS.API", "UBOS"] {
        for verb in ["DELETE", "PURGE", "UPDATE", "CREATE"] {
            denied("N-02", &format!("{api}.STREAM.{verb}.EVENTS"), &Value::Null);
        }
        denied("N-02", &format!("{api}.STREAM.MSG.DELETE.EVENTS"), &json!({ "seq": 1 }));

        // New style with the filter in the subject, without it, and both legacy styles.
        for (name, subject) in [(id, &their_all), (id, &own_all), (theirs, &own_all)] {
            let body = filter(name, subject.as_str().into());
            denied("N-03", &format!("{api}.CONSUMER.CREATE.EVENTS.{name}.{subject}"), &body);
            denied("N-03", &format!("{api}.CONSUMER.CREATE.EVENTS.{name}"), &body);
            denied("N-03", &format!("{api}.CONSUMER.CREATE.EVENTS"), &body);
            denied("N-03", &format!("{api}.CONSUMER.DURABLE.CREATE.EVENTS.{name}"), &body);
        }
        let many = filter(id, json!([own_all, their_all]));
        denied("N-03", &format!("{api}.CONSUMER.CREATE.EVENTS.{id}"), &many);
        denied("N-03", &format!("{api}.CONSUMER.CREATE.EVENTS.{id}.{own_all}"), &many);
        for name in [id, theirs] {
            for verb in ["DELETE", "RESET", "PAUSE", "UNPIN", "LEADER.STEPDOWN"] {
                denied("N-03", &format!("{api}.CONSUMER.{verb}.EVENTS.{name}"), &Value::Null);
            }
        }
        for verb in ["INFO", "MSG.NEXT"] {
            denied("N-03", &format!("{api}.CONSUMER.{verb}.EVENTS.{theirs}"), &Value::Null);
        }

        for verb in [
            "STREAM.MSG.GET.EVENTS",
            "DIRECT.GET.EVENTS",
            "STREAM.SNAPSHOT.EVENTS",
            "STREAM.RESTORE.EVENTS",
            "STREAM.INFO.EVENTS",
            "STREAM.NAMES",
            "STREAM.LIST",
            "CONSUMER.NAMES.EVENTS",
            "CONSUMER.LIST.EVENTS",
            "STREAM.TEMPLATE.CREATE.X",
            "INFO",
        ] {
            denied("N-04", &format!("{api}.{verb}"), &json!({ "seq": 1 }));
        }
        denied("N-04", &format!("{api}.DIRECT.GET.EVENTS.{their_event}"), &Value::Null);
        let mirror = json!({ "name": "MINE", "mirror": { "name": "EVENTS" } });
        denied("N-04", &format!("{api}.STREAM.CREATE.MINE"), &mirror);
        let source = json!({ "name": "MINE", "sources": [{ "name": "EVENTS", "filter_subject": their_all }] });
        denied("N-04", &format!("{api}.STREAM.CREATE.MINE"), &source);
    }
    denied("N-06", &format!("$JS.ACK.EVENTS.{theirs}.1.1.1.0.0"), &Value::Null);
    denied("N-06", "$JS.ACK.EVENTS", &Value::Null);
    denied("N-07", &own_event, &json!({ "forged": true }));

    // A request may name any subject for its answer; with two accounts there is nobody at the other end.
    for reply in [
        their_event.clone(),
        own_event.clone(),
        format!("$JS.ACK.EVENTS.{theirs}.1.1.1.0.0"),
        format!("$JS.API.CONSUMER.MSG.NEXT.EVENTS.{theirs}"),
        format!("UBOS.CONSUMER.MSG.NEXT.EVENTS.{theirs}"),
        "$JS.API.STREAM.DELETE.EVENTS".to_owned(),
        format!("_INBOX_{theirs}.a.b"),
    ] {
        attempt("N-05", Expected::NothingComesOfIt, "answer", &info, &Value::Null, &reply);
        attempt("N-05", Expected::NothingComesOfIt, "answer", &next, &json!({ "batch": 1, "no_wait": true }), &reply);
        attempt(
            "N-05",
            Expected::NothingComesOfIt,
            "answer",
            &format!("$JS.ACK.EVENTS.{id}.1.1.1.0.0"),
            &Value::Null,
            &reply,
        );
    }
    all
}
