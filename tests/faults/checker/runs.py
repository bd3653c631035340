"""Workflows: one run per trigger, each effect once, every run where it may stand."""

from collections import Counter, defaultdict

from .evidence import Evidence
from .verdict import Finding, invariant


def runs(evidence: Evidence):
    return {stream: events for stream, events in evidence.streams.items() if stream[1] == "workflow.run"}


@invariant("W1", "a run's commands have each effect once")
def once(evidence: Evidence, finding: Finding) -> None:
    created = defaultdict(Counter)
    for event in evidence.events:
        if event.actor.get("kind") == "workflow" and event.kind != "workflow.run" and event.sequence == 1:
            created[event.actor["run_id"]][event.command, event.kind] += 1
    steps = {stream[2]: Counter(e.payload.get("step") for e in events if e.type.endswith("step.succeeded"))
             for stream, events in runs(evidence).items()}
    for run, effects in created.items():
        for effect, count in effects.items():
            finding.check(count == 1, "run", run, "did", effect, count, "times; its steps", dict(steps.get(run, {})))


@invariant("W2", "a step is completed once")
def completed(evidence: Evidence, finding: Finding) -> None:
    for stream, events in runs(evidence).items():
        ended = Counter(event.payload.get("step") for event in events if event.type.endswith("step.succeeded"))
        for step, count in ended.items():
            finding.check(count == 1, "run", stream[2], "completed", step, count, "times")


@invariant("W9", "what a run did is in the log with the record of it, or not at all")
def whole(evidence: Evidence, finding: Finding) -> None:
    told = {(event.tenant, event.unit[0]) for event in evidence.events if event.unit and event.kind == "workflow.run"}
    for event in evidence.events:
        if event.actor.get("kind") == "workflow" and event.kind != "workflow.run":
            unit = event.unit and (event.tenant, event.unit[0])
            finding.check(unit in told, "position", event.position, event.type, "of run", event.actor["run_id"], "is not told of")


@invariant("W6", "every run has ended, waits or is parked, and none is held by anybody")
def at_rest(evidence: Evidence, finding: Finding) -> None:
    rows = {row["id"]: row for row in evidence.optional("read/workflow.runs.jsonl")}
    if not rows:
        return finding.skip("the runs were not dumped")
    tasks = {row["run_id"] for row in evidence.optional("engine/tasks.jsonl") if row.get("state") in (None, "due")}
    for stream, events in runs(evidence).items():
        row = rows.pop(stream[2], None)
        status = row and row["status"]
        finding.check(status in ("succeeded", "waiting", "parked", "cancelled", "compensated"), "run", stream[2], "is", status)
        finding.check(stream[2] not in tasks, "run", stream[2], "is", status, "and still due")
    for run in rows:
        finding.violate("run", run, "has a row and no events")


@invariant("W7", "a run keeps its definition")
def pinned(evidence: Evidence, finding: Finding) -> None:
    for stream, events in runs(evidence).items():
        started = [event for event in events if "definition_id" in event.payload]
        finding.check(len(started) == 1 and started[0].sequence == 1, "run", stream[2], "started", len(started), "times")


@invariant("W8", "one trigger starts one run of a definition")
def triggers(evidence: Evidence, finding: Finding) -> None:
    started, definitions = Counter(), set()
    for stream, events in runs(evidence).items():
        first = events[0].payload
        trigger = first.get("trigger", {})
        started[stream[0], first.get("definition_id"), trigger.get("event_id")] += 1
        definitions.add((stream[0], first.get("definition_id"), trigger.get("event_type")))
    for trigger, count in started.items():
        finding.check(count == 1, trigger, "started", count, "runs")
    # What booked after a definition's first run must have a run of it too.
    kinds = {(tenant, kind): definition for tenant, definition, kind in definitions}
    since = {}
    for event in evidence.events:
        definition = kinds.get((event.tenant, event.type))
        if definition is None:
            continue
        has = started[event.tenant, definition, event.id] > 0
        if has:
            since.setdefault((event.tenant, definition), event.position)
        elif (event.tenant, definition) in since:
            finding.check(False, "position", event.position, event.type, "started no run of", definition)
