//! What every metric is: a help text for whoever reads `/metrics`, and which counters are there at zero from the start,
//! because the first increase of a counter that was absent before is seen by no `rate()`.
//!
//! A metric that is not in the list fails a test, and so does one that docs/operations.md does not name.

use crate::roles::Role;
use event_store::{COMMAND_OUTCOMES, CommandInfo};
use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge};

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The series that a counter begins with.
#[derive(Debug, Clone, Copy)]
enum Series {
    /// One, without labels.
    One,
    /// One per value of a label.
    Of(&'static str, &'static [&'static str]),
    /// One per group of the read models.
    Groups,
    /// One per command and outcome.
    Commands,
    /// Every route with the statuses that alarms are made of.
    Routes,
    /// Those who count make them themselves when they start, or it is no counter.
    Theirs,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    kind: Kind,
    roles: &'static [Role],
    series: Series,
    help: &'static str,
}

const fn counts(name: &'static str, roles: &'static [Role], series: Series, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, roles, series, help }
}

const fn shows(name: &'static str, roles: &'static [Role], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, roles, series: Series::Theirs, help }
}

const fn spreads(name: &'static str, roles: &'static [Role], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, roles, series: Series::Theirs, help }
}

const APIS: &[Role] = &[Role::CommandApi, Role::QueryApi];
const COMMANDS: &[Role] = &[Role::CommandApi];
/// They append to the log; the projections' role does when somebody is erased.
const WRITERS: &[Role] = &[Role::CommandApi, Role::Workflow, Role::Projections];
const RELAY: &[Role] = &[Role::Relay];
const PROJECTIONS: &[Role] = &[Role::Projections];
const WORKFLOW: &[Role] = &[Role::Workflow];
const MAILER: &[Role] = &[Role::Mailer];
const EVENT_GATEWAY: &[Role] = &[Role::EventGateway];
const KEEPERS: &[Role] = &[Role::CommandApi, Role::QueryApi, Role::Workflow, Role::EventGateway];
const EVERYBODY: &[Role] = &[
    Role::CommandApi,
    Role::QueryApi,
    Role::Relay,
    Role::Projections,
    Role::Workflow,
    Role::Mailer,
    Role::EventGateway,
];

/// Every metric, in the order of docs/operations.md.
const METRICS: &[Metric] = &[
    shows("ubos_build_info", EVERYBODY, "Always 1; the labels say which release runs and of which commit."),
    counts("http_requests_total", APIS, Series::Routes, "Answers by method, route and status."),
    spreads("http_request_duration_seconds", APIS, "Time from a request's head to its answer, by method and route."),
    shows("http_requests_in_flight", APIS, "Requests in work."),
    shows("http_requests_waiting", APIS, "Requests that wait for a place in work."),
    spreads("http_queue_wait_seconds", APIS, "How long requests waited for a place in work."),
    counts("http_requests_shed_total", APIS, Series::Theirs, "Requests answered 503 without any work, by reason."),
    counts("rate_limit_refused_total", APIS, Series::Theirs, "Requests answered 429, by the quota that was used up."),
    shows("rate_limit_local", APIS, "1 while Redis does not answer and this process counts alone."),
    spreads("rate_limit_redis_seconds", APIS, "Time of calls to Redis for quotas."),
    counts("rate_limit_redis_failures_total", APIS, Series::One, "Calls to Redis for quotas that failed."),
    counts(
        "http_heads_refused_total",
        APIS,
        Series::Of("status", &["400", "408", "431"]),
        "Requests whose head could not be read, by status.",
    ),
    counts(
        "http_connections_given_up_total",
        APIS,
        Series::Of("waited_for", &["request", "answer"]),
        "Connections that let us wait, for a request or for taking its answer.",
    ),
    counts(
        "http_connections_refused_total",
        APIS,
        Series::One,
        "Connections that ended at once because their address has too many.",
    ),
    counts(
        "http_log_lines_left_out_total",
        APIS,
        Series::One,
        "Log lines that were not written because there were too many.",
    ),
    counts("commands_total", WRITERS, Series::Commands, "Commands by name and outcome."),
    spreads("command_duration_seconds", WRITERS, "Time from a command to its events in the log, by command."),
    spreads("append_batch_commands", WRITERS, "Commands in a batch of the appender."),
    spreads("append_batch_seconds", WRITERS, "Time of a batch of the appender."),
    shows("append_queue_commands", WRITERS, "Commands that wait for the next batch of the appender."),
    counts("append_conflicts_total", WRITERS, Series::One, "Decisions made again because somebody was faster."),
    counts(
        "append_refusals_total",
        WRITERS,
        Series::One,
        "Commands that the log refused because the stream had moved on.",
    ),
    counts("append_poisoned_batches_total", WRITERS, Series::One, "Batches that one command spoilt."),
    counts("append_connection_failures_total", WRITERS, Series::One, "Connections that the appender lost."),
    counts(
        "append_foreign_events_total",
        WRITERS,
        Series::One,
        "Events that other processes appended, as this one noticed.",
    ),
    counts(
        "units_appended_total",
        WRITERS,
        Series::One,
        "Units that entered the log: commands on several streams as one.",
    ),
    counts("events_appended_total", WRITERS, Series::One, "Events that this process put into the log."),
    spreads("load_batch_streams", WRITERS, "Streams that were loaded together."),
    shows("access_firms", KEEPERS, "Firms whose rights are in memory."),
    counts("access_firms_read_total", KEEPERS, Series::One, "How often a firm's rights were read from the log."),
    counts(
        "access_firms_changed_total",
        KEEPERS,
        Series::One,
        "How often a firm's rights were forgotten because they changed.",
    ),
    counts("audit_refusals_total", COMMANDS, Series::One, "Changes that were refused to somebody we know."),
    counts("audit_refusals_dropped_total", COMMANDS, Series::One, "Refusals that there was no room to note."),
    counts("audit_key_uses_dropped_total", APIS, Series::One, "Uses of keys that there was no room to note."),
    counts(
        "logins_total",
        COMMANDS,
        Series::Of("outcome", &["in", "not_in", "refused"]),
        "Logins through a provider, by outcome.",
    ),
    counts(
        "portal_logins_total",
        COMMANDS,
        Series::Of("outcome", &["in", "another_page", "refused"]),
        "Logins of portal users with a link, by outcome.",
    ),
    counts(
        "vault_keys_destroyed_total",
        EVERYBODY,
        Series::One,
        "Keys of erased persons that this process has forgotten.",
    ),
    shows("subscriber_waiting_events", EVENT_GATEWAY, "Events that wait for a subscriber."),
    shows("subscriber_unacknowledged_events", EVENT_GATEWAY, "Events that a subscriber has and has not acknowledged."),
    shows("subscriber_acknowledged_timestamp_seconds", EVENT_GATEWAY, "When a subscriber acknowledged last."),
    shows("subscriber_connections", EVENT_GATEWAY, "Connections of subscribers."),
    counts(
        "subscriber_admissions_total",
        EVENT_GATEWAY,
        Series::Of("outcome", &["in", "out", "unknown"]),
        "Subscribers that asked to come in, by outcome.",
    ),
    counts(
        "subscriber_connections_ended_total",
        EVENT_GATEWAY,
        Series::One,
        "Connections of subscribers that we ended.",
    ),
    shows("relay_leader", RELAY, "1 while this process leads the relay."),
    shows("relay_lag_events", RELAY, "Events of the log that are not published; 0 where another process leads."),
    shows("relay_oldest_unpublished_seconds", RELAY, "How long the oldest unpublished event has waited."),
    counts("relay_published_total", RELAY, Series::One, "Events that this process published."),
    counts("relay_publish_retries_total", RELAY, Series::One, "How often publishing began again after trouble."),
    counts("relay_streams_healed_total", RELAY, Series::One, "How often the stream was lost or came back shorter."),
    shows("relay_dead_letters", RELAY, "Events that NATS refuses."),
    shows("feed_follows_log", PROJECTIONS, "1 while the log is read because NATS brings nothing."),
    counts("feed_holes_healed_total", PROJECTIONS, Series::One, "Holes in what NATS brought, filled from the log."),
    counts("feed_repeats_skipped_total", PROJECTIONS, Series::One, "Messages that NATS brought once more."),
    counts("feed_foreign_messages_total", PROJECTIONS, Series::One, "Messages that are not of this log."),
    counts("feed_unreadable_messages_total", PROJECTIONS, Series::One, "Messages that are no events."),
    shows("projection_lag_events", PROJECTIONS, "Events that a group has not read."),
    shows(
        "projection_missing_events",
        PROJECTIONS,
        "Positions that a group passed without an event; not 0 is a defect.",
    ),
    shows("projection_parked_keys", PROJECTIONS, "Streams that a group could not apply."),
    counts("projection_events_total", PROJECTIONS, Series::Groups, "Events that a group was given."),
    counts("projection_parkings_total", PROJECTIONS, Series::Groups, "How often a group parked a stream."),
    spreads("projection_batch_events", PROJECTIONS, "Events in a batch of a group."),
    spreads("projection_batch_seconds", PROJECTIONS, "Time of a batch of a group."),
    shows("workflow_runs", WORKFLOW, "Runs that have not ended, by where they stand."),
    counts(
        "workflow_runs_total",
        WORKFLOW,
        Series::Of("status", &["started", "parked", "succeeded", "cancelled", "compensated"]),
        "Runs that started, parked and ended.",
    ),
    counts(
        "workflow_runs_not_started_total",
        WORKFLOW,
        Series::One,
        "Runs beyond what one event, request or firm may lead to.",
    ),
    counts("workflow_runs_skipped_total", WORKFLOW, Series::One, "Runs left out because one for the same went on."),
    counts("workflow_schedules_due_total", WORKFLOW, Series::One, "Times of schedules that started a run."),
    shows("workflow_tasks_due", WORKFLOW, "Runs that wait for a worker."),
    shows("workflow_intake_position", WORKFLOW, "The log was read for triggers up to here."),
    counts("workflow_condition_errors_total", WORKFLOW, Series::One, "Conditions that could not be evaluated."),
    counts("workflow_unreadable_definitions_total", WORKFLOW, Series::One, "Definitions that could not be read."),
    counts("workflow_unreadable_events_total", WORKFLOW, Series::One, "Events that the engine could not read."),
    spreads("workflow_timer_lateness_seconds", WORKFLOW, "How late a due run was taken."),
    spreads("workflow_segment_duration_seconds", WORKFLOW, "Time to decide and append a segment of a run."),
    spreads("workflow_step_duration_seconds", WORKFLOW, "Time to decide a step, by command."),
    shows("mail_emails", MAILER, "Emails that are due, and those that were set aside."),
    counts(
        "mail_emails_total",
        MAILER,
        Series::Of("outcome", &["sent", "refused", "put_off"]),
        "Tries to send an email, by outcome.",
    ),
    counts(
        "mail_magic_links_total",
        MAILER,
        Series::Of("outcome", &["sent", "refused", "put_off"]),
        "Tries to send a portal user a link, by outcome.",
    ),
];

/// Describes the metrics of these roles, and has their counters stand at zero.
pub fn begin(roles: &[Role], commands: &[CommandInfo]) {
    gauge!("ubos_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => env!("UBOS_COMMIT")).set(1.0);
    for metric in METRICS.iter().filter(|metric| metric.roles.iter().any(|role| roles.contains(role))) {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
        for labels in series(metric, roles, commands) {
            counter!(metric.name, labels).absolute(0);
        }
    }
}

/// The labels of the series that a counter begins with.
fn series(metric: &Metric, roles: &[Role], commands: &[CommandInfo]) -> Vec<Vec<Label>> {
    match metric.series {
        Series::One => vec![vec![]],
        Series::Of(label, values) => values.iter().map(|value| vec![Label::new(label, *value)]).collect(),
        Series::Groups => projections::groups().iter().map(|group| vec![Label::new("group", group.name)]).collect(),
        Series::Commands => {
            let labels = |info: &CommandInfo| {
                let command = info.entry.name;
                COMMAND_OUTCOMES.map(|outcome| vec![Label::new("command", command), Label::new("outcome", outcome)])
            };
            commands.iter().flat_map(labels).collect()
        }
        Series::Routes => {
            let mut routes = vec![];
            if roles.contains(&Role::CommandApi) {
                let templates = ["", "/{action}", "/{id}/{action}"];
                routes.extend(templates.map(|rest| ("POST", format!("/v1/{{context}}/{{collection}}{rest}"))));
            }
            if roles.contains(&Role::QueryApi) {
                for (_, _, resource) in projections::resources() {
                    routes.push(("GET", format!("/v1/{}", resource.path)));
                    routes.push(("GET", format!("/v1/{}/{{id}}", resource.path)));
                }
            }
            let with = |method: &'static str, route: &str, status: &'static str| {
                vec![Label::new("method", method), Label::new("route", route.to_owned()), Label::new("status", status)]
            };
            let statuses = ["200", "500", "503"];
            routes.iter().flat_map(|&(method, ref route)| statuses.map(|status| with(method, route, status))).collect()
        }
        Series::Theirs => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "tests", "fuzz"].contains(&&*name) {
                sources(&path, found);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }

    /// What the sources count, show and spread, by name.
    fn used() -> BTreeMap<String, Kind> {
        let (mut files, mut used) = (vec![], BTreeMap::new());
        sources(&root(), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (word, kind) in [("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram)] {
                let call = format!("{word}!(");
                for rest in text.split(&call).skip(1) {
                    if let Some((name, _)) = rest.trim_start().strip_prefix('"').and_then(|name| name.split_once('"')) {
                        used.insert(name.to_owned(), kind);
                    }
                }
            }
        }
        used
    }

    #[test]
    fn every_metric_is_described_and_every_description_is_of_a_metric() {
        let described: BTreeMap<String, Kind> =
            METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind)).collect();
        assert_eq!(described.len(), METRICS.len(), "no name twice");
        assert_eq!(described, used());
    }

    #[test]
    fn the_handbook_names_every_metric() {
        let handbook = fs::read_to_string(root().join("docs/operations.md")).unwrap();
        let missing: Vec<_> =
            METRICS.iter().map(|m| m.name).filter(|name| !handbook.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/operations.md does not name {missing:?}");
    }

    #[test]
    fn names_and_help_texts_are_as_prometheus_wants_them() {
        // What `promtool check metrics` complains of.
        const NOT_BASE_UNITS: [&str; 12] = [
            "milliseconds",
            "ms",
            "microseconds",
            "us",
            "minutes",
            "hours",
            "days",
            "kilobytes",
            "kb",
            "mb",
            "megabytes",
            "percent",
        ];
        for Metric { name, kind, help, roles, .. } in METRICS {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: _total is for counters");
            let words: Vec<&str> = name.split('_').collect();
            assert!(!words.iter().any(|word| NOT_BASE_UNITS.contains(word)), "{name}: base units");
            assert!(!["counter", "gauge", "histogram", "summary"].iter().any(|t| words.contains(t)), "{name}");
            assert!(!["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)), "{name}");
            assert!(help.ends_with('.') && help.len() > 10 && !help.contains('\n'), "{name}: {help}");
            assert!(!roles.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_series_of_commands_are_those_that_are_counted() {
        let commands = crate::generate::commands();
        let metric = METRICS.iter().find(|metric| metric.name == "commands_total").unwrap();
        let all = series(metric, &[Role::CommandApi], &commands);
        assert_eq!(all.len(), commands.len() * COMMAND_OUTCOMES.len());
        assert!(COMMAND_OUTCOMES.contains(&"done") && COMMAND_OUTCOMES.contains(&"fault"));
    }
}
