//! What every metric is: a help text for whoever reads `/metrics`, and which counters are there at zero from the start,
//! because the first increase of a counter that was absent before is seen by no `rate()`.
//!
//! A metric that is not in the list fails a test, and so does one that docs/operations.md does not name.

use event_store::{COMMAND_OUTCOMES, CommandInfo};
use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge};

/// What a role works with, and so what it has metrics of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Whatever runs; no role says so.
    Process,
    /// Requests.
    Http,
    /// Commands over HTTP, and whoever logs in to send them.
    Commands,
    /// Queries over HTTP.
    Queries,
    /// Appends to the log; the projections' role does when somebody is erased.
    Append,
    /// What happens, as it happens.
    Feed,
    /// Who may do what.
    Access,
    /// The relay.
    Relay,
    /// The read models.
    Projections,
    /// Runs of workflows.
    Workflow,
    /// What reactions ask for; the projections' role erases.
    Reactions,
    /// Whoever reads events from NATS.
    Subscribers,
    /// Providers outside: who comes in from there, and how grants live on.
    Providers,
    /// Endpoints that are sent events.
    Webhooks,
}

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
    part: Part,
    series: Series,
    help: &'static str,
}

const fn counts(name: &'static str, part: Part, series: Series, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, part, series, help }
}

const fn shows(name: &'static str, part: Part, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, part, series: Series::Theirs, help }
}

const fn spreads(name: &'static str, part: Part, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, part, series: Series::Theirs, help }
}

/// Every metric, in the order of docs/operations.md.
const METRICS: &[Metric] = &[
    shows("ubos_build_info", Part::Process, "Always 1; the labels say which release runs and of which commit."),
    counts("http_requests_total", Part::Http, Series::Routes, "Answers by method, route and status."),
    spreads(
        "http_request_duration_seconds",
        Part::Http,
        "Time from a request's head to its answer, by method and route.",
    ),
    shows("http_requests_in_flight", Part::Http, "Requests in work."),
    shows("http_requests_waiting", Part::Http, "Requests that wait for a place in work."),
    spreads("http_queue_wait_seconds", Part::Http, "How long requests waited for a place in work."),
    counts(
        "http_requests_shed_total",
        Part::Http,
        Series::Theirs,
        "Requests answered 503 without any work, by reason.",
    ),
    counts(
        "rate_limit_refused_total",
        Part::Http,
        Series::Theirs,
        "Requests answered 429, by the quota that was used up.",
    ),
    shows("rate_limit_local", Part::Http, "1 while Redis does not answer and this process counts alone."),
    spreads("rate_limit_redis_seconds", Part::Http, "Time of calls to Redis for quotas."),
    counts("rate_limit_redis_failures_total", Part::Http, Series::One, "Calls to Redis for quotas that failed."),
    counts(
        "http_heads_refused_total",
        Part::Http,
        Series::Of("status", &["400", "408", "431"]),
        "Requests whose head could not be read, by status.",
    ),
    counts(
        "http_connections_given_up_total",
        Part::Http,
        Series::Of("waited_for", &["request", "answer"]),
        "Connections that let us wait, for a request or for taking its answer.",
    ),
    counts(
        "http_connections_refused_total",
        Part::Http,
        Series::One,
        "Connections that ended at once because their address has too many.",
    ),
    counts(
        "http_log_lines_left_out_total",
        Part::Http,
        Series::One,
        "Log lines that were not written because there were too many.",
    ),
    counts("commands_total", Part::Append, Series::Commands, "Commands by name and outcome."),
    spreads("command_duration_seconds", Part::Append, "Time from a command to its events in the log, by command."),
    spreads("append_batch_commands", Part::Append, "Commands in a batch of the appender."),
    spreads("append_batch_seconds", Part::Append, "Time of a batch of the appender."),
    shows("append_queue_commands", Part::Append, "Commands that wait for the next batch of the appender."),
    counts("append_conflicts_total", Part::Append, Series::One, "Decisions made again because somebody was faster."),
    counts(
        "append_refusals_total",
        Part::Append,
        Series::One,
        "Commands that the log refused because the stream had moved on.",
    ),
    counts("append_poisoned_batches_total", Part::Append, Series::One, "Batches that one command spoilt."),
    counts("append_connection_failures_total", Part::Append, Series::One, "Connections that the appender lost."),
    counts(
        "append_foreign_events_total",
        Part::Append,
        Series::One,
        "Events that other processes appended, as this one noticed.",
    ),
    counts(
        "units_appended_total",
        Part::Append,
        Series::One,
        "Units that entered the log: commands on several streams as one.",
    ),
    counts("events_appended_total", Part::Append, Series::One, "Events that this process put into the log."),
    spreads("load_batch_streams", Part::Append, "Streams that were loaded together."),
    shows("access_firms", Part::Access, "Firms whose rights are in memory."),
    counts("access_firms_read_total", Part::Access, Series::One, "How often a firm's rights were read from the log."),
    counts(
        "access_firms_changed_total",
        Part::Access,
        Series::One,
        "How often a firm's rights were forgotten because they changed.",
    ),
    counts("audit_refusals_total", Part::Commands, Series::One, "Changes that were refused to somebody we know."),
    counts("audit_refusals_dropped_total", Part::Commands, Series::One, "Refusals that there was no room to note."),
    counts("audit_key_uses_dropped_total", Part::Http, Series::One, "Uses of keys that there was no room to note."),
    counts(
        "logins_total",
        Part::Commands,
        Series::Of("outcome", &["in", "not_in", "refused"]),
        "Logins through a provider, by outcome.",
    ),
    counts(
        "portal_logins_total",
        Part::Commands,
        Series::Of("outcome", &["in", "another_page", "refused"]),
        "Logins of portal users with a link, by outcome.",
    ),
    counts(
        "vault_keys_destroyed_total",
        Part::Process,
        Series::One,
        "Keys of erased persons that this process has forgotten.",
    ),
    counts(
        "connection_refreshes_total",
        Part::Providers,
        Series::Of("outcome", &["refreshed", "refused", "failed"]),
        "Grants of providers that were due to be replaced, by outcome.",
    ),
    counts(
        "provider_messages_total",
        Part::Providers,
        Series::Theirs,
        "What providers said by themselves, by provider and outcome.",
    ),
    shows("provider_connections", Part::Providers, "Connections of firms, by provider and by where they stand."),
    shows(
        "provider_sync_lag_seconds",
        Part::Providers,
        "Of connections that work, how long the round of a sync is overdue that is most overdue, by provider.",
    ),
    shows(
        "provider_jobs_waiting",
        Part::Providers,
        "Jobs that go through connections and have not ended, by provider.",
    ),
    shows(
        "provider_calls_left",
        Part::Providers,
        "Calls left of the day of the connection that has fewest, by provider that counts by days.",
    ),
    shows("subscriber_waiting_events", Part::Subscribers, "Events that wait for a subscriber."),
    shows(
        "subscriber_unacknowledged_events",
        Part::Subscribers,
        "Events that a subscriber has and has not acknowledged.",
    ),
    shows("subscriber_acknowledged_timestamp_seconds", Part::Subscribers, "When a subscriber acknowledged last."),
    shows("subscriber_connections", Part::Subscribers, "Connections of subscribers."),
    counts(
        "subscriber_admissions_total",
        Part::Subscribers,
        Series::Of("outcome", &["in", "out", "unknown"]),
        "Subscribers that asked to come in, by outcome.",
    ),
    counts(
        "subscriber_connections_ended_total",
        Part::Subscribers,
        Series::One,
        "Connections of subscribers that we ended.",
    ),
    shows("relay_leader", Part::Relay, "1 while this process leads the relay."),
    shows("relay_lag_events", Part::Relay, "Events of the log that are not published; 0 where another process leads."),
    shows("relay_oldest_unpublished_seconds", Part::Relay, "How long the oldest unpublished event has waited."),
    counts("relay_published_total", Part::Relay, Series::One, "Events that this process published."),
    counts("relay_publish_retries_total", Part::Relay, Series::One, "How often publishing began again after trouble."),
    counts(
        "relay_streams_healed_total",
        Part::Relay,
        Series::One,
        "How often the stream was lost or came back shorter.",
    ),
    shows("relay_dead_letters", Part::Relay, "Events that NATS refuses."),
    shows("feed_follows_log", Part::Feed, "1 while the log is read because NATS brings nothing."),
    counts("feed_holes_healed_total", Part::Feed, Series::One, "Holes in what NATS brought, filled from the log."),
    counts("feed_repeats_skipped_total", Part::Feed, Series::One, "Messages that NATS brought once more."),
    counts("feed_foreign_messages_total", Part::Feed, Series::One, "Messages that are not of this log."),
    counts("feed_unreadable_messages_total", Part::Feed, Series::One, "Messages that are no events."),
    shows("projection_lag_events", Part::Projections, "Events that a group has not read."),
    shows(
        "projection_missing_events",
        Part::Projections,
        "Positions that a group passed without an event; not 0 is a defect.",
    ),
    shows("projection_parked_keys", Part::Projections, "Streams that a group could not apply."),
    counts("projection_events_total", Part::Projections, Series::Groups, "Events that a group was given."),
    counts("projection_parkings_total", Part::Projections, Series::Groups, "How often a group parked a stream."),
    spreads("projection_batch_events", Part::Projections, "Events in a batch of a group."),
    spreads("projection_batch_seconds", Part::Projections, "Time of a batch of a group."),
    shows("workflow_runs", Part::Workflow, "Runs that have not ended, by where they stand."),
    counts(
        "workflow_runs_total",
        Part::Workflow,
        Series::Of("status", &["started", "parked", "succeeded", "cancelled", "compensated"]),
        "Runs that started, parked and ended.",
    ),
    counts(
        "workflow_runs_not_started_total",
        Part::Workflow,
        Series::One,
        "Runs beyond what one event, request or firm may lead to.",
    ),
    counts(
        "workflow_runs_skipped_total",
        Part::Workflow,
        Series::One,
        "Runs left out because one for the same went on.",
    ),
    counts("workflow_schedules_due_total", Part::Workflow, Series::One, "Times of schedules that started a run."),
    shows("workflow_tasks_due", Part::Workflow, "Runs that wait for a worker."),
    shows("workflow_intake_position", Part::Workflow, "The log was read for triggers up to here."),
    counts("workflow_condition_errors_total", Part::Workflow, Series::One, "Conditions that could not be evaluated."),
    counts("workflow_unreadable_definitions_total", Part::Workflow, Series::One, "Definitions that could not be read."),
    counts("workflow_unreadable_events_total", Part::Workflow, Series::One, "Events that the engine could not read."),
    spreads("workflow_timer_lateness_seconds", Part::Workflow, "How late a due run was taken."),
    spreads("workflow_segment_duration_seconds", Part::Workflow, "Time to decide and append a segment of a run."),
    spreads("workflow_step_duration_seconds", Part::Workflow, "Time to decide a step, by command."),
    counts(
        "webhook_deliveries_total",
        Part::Webhooks,
        Series::Of("outcome", &["taken", "failed", "gone", "given_up"]),
        "Messages to the endpoints of firms, by what became of them.",
    ),
    shows("reaction_lag_events", Part::Reactions, "Events that a reaction has not read."),
    shows("reaction_jobs", Part::Reactions, "Jobs that have not ended, by reaction and by where they stand."),
    counts("reaction_jobs_total", Part::Reactions, Series::Theirs, "Tries to do a job, by reaction and outcome."),
    spreads("reaction_job_duration_seconds", Part::Reactions, "Time of a try to do a job, by reaction."),
];

/// Describes the metrics of these parts, and has their counters stand at zero.
pub fn begin(parts: &[Part], commands: &[CommandInfo]) {
    gauge!("ubos_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => env!("UBOS_COMMIT")).set(1.0);
    for metric in METRICS.iter().filter(|metric| metric.part == Part::Process || parts.contains(&metric.part)) {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
        for labels in series(metric, parts, commands) {
            counter!(metric.name, labels).absolute(0);
        }
    }
}

/// The labels of the series that a counter begins with.
fn series(metric: &Metric, parts: &[Part], commands: &[CommandInfo]) -> Vec<Vec<Label>> {
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
            if parts.contains(&Part::Commands) {
                let templates = ["", "/{action}", "/{id}/{action}"];
                routes.extend(templates.map(|rest| ("POST", format!("/v1/{{context}}/{{collection}}{rest}"))));
            }
            if parts.contains(&Part::Queries) {
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
    fn some_role_has_every_metric() {
        let had: Vec<Part> = crate::roles::ROLES.iter().flat_map(|role| role.metrics).copied().collect();
        let nobodys: Vec<&str> =
            METRICS.iter().filter(|m| m.part != Part::Process && !had.contains(&m.part)).map(|m| m.name).collect();
        assert!(nobodys.is_empty(), "no role says that it has {nobodys:?}");
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
        for Metric { name, kind, help, .. } in METRICS {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: _total is for counters");
            let words: Vec<&str> = name.split('_').collect();
            assert!(!words.iter().any(|word| NOT_BASE_UNITS.contains(word)), "{name}: base units");
            assert!(!["counter", "gauge", "histogram", "summary"].iter().any(|t| words.contains(t)), "{name}");
            assert!(!["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)), "{name}");
            assert!(help.ends_with('.') && help.len() > 10 && !help.contains('\n'), "{name}: {help}");
        }
    }

    #[test]
    fn the_series_of_commands_are_those_that_are_counted() {
        let commands = crate::documents::every_command();
        let metric = METRICS.iter().find(|metric| metric.name == "commands_total").unwrap();
        let all = series(metric, &[Part::Commands], &commands);
        assert_eq!(all.len(), commands.len() * COMMAND_OUTCOMES.len());
        assert!(COMMAND_OUTCOMES.contains(&"done") && COMMAND_OUTCOMES.contains(&"fault"));
    }
}
