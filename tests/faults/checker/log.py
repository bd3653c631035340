"""The log by itself: dense, contiguous, unique, in order, and as its schemas say."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

from .evidence import Evidence, lines
from .verdict import Finding, invariant

SCHEMAS = Path(__file__).resolve().parents[3] / "event-schemas" / "json"
# Payloads of one kind that are held against its schema.
PAYLOADS_PER_KIND = 200


@invariant("E4", "versions of every stream are 1 to n")
def contiguous(evidence: Evidence, finding: Finding) -> None:
    for stream, events in evidence.streams.items():
        sequences = [event.sequence for event in events]
        finding.check(sequences == list(range(1, len(events) + 1)), stream, "has", sequences[:20])
    rows = {(row["tenant_id"], row["aggregate_type"], row["aggregate_id"]): row for row in evidence.optional("log/streams.jsonl")}
    for stream, events in evidence.streams.items():
        row = rows.pop(stream, None)
        said = row and (row["version"], row["first_position"], row["position"])
        finding.check(said == (len(events), events[0].position, events[-1].position), stream, "is noted as", said)
    for stream in rows:
        finding.violate(stream, "is noted and has no event")
    finding.note = f" with {len(evidence.events):,} events"


@invariant("E5", "event ids, positions and keys are unique")
def unique(evidence: Evidence, finding: Finding) -> None:
    for what, values in (
        ("event id", (event.id for event in evidence.events)),
        ("position", (event.position for event in evidence.events)),
        ("key", ((r["tenant_id"], r["scope"], r["key"]) for r in evidence.optional("log/idempotency.jsonl"))),
        ("claim", ((r["tenant_id"], r["scope"], r["value"]) for r in evidence.optional("log/claims.jsonl"))),
    ):
        counts = Counter(values)
        finding.checked += len(counts)
        for value, count in counts.items():
            if count > 1:
                finding.violate(what, value, "is there", count, "times")


@invariant("E6", "positions are 1 to the head, without a gap")
def dense(evidence: Evidence, finding: Finding) -> None:
    head = next(iter(lines(evidence.folder / "log" / "head.jsonl")))["position"]
    before = 0
    for event in evidence.events:
        finding.check(event.position == before + 1, "after", before, "comes", event.position)
        before = event.position
    finding.check(before == head, "the log ends at", before, "and the head says", head)


@invariant("E8", "times never run against positions")
def times(evidence: Evidence, finding: Finding) -> None:
    before = None
    for event in evidence.events:
        at = datetime.fromisoformat(event.at)
        finding.check(before is None or at >= before, "position", event.position, "is of", at, "after", before)
        before = at


@invariant("E12", "what an event was caused by is there before it, of the same tenant and correlation")
def causes(evidence: Evidence, finding: Finding) -> None:
    by_id = {event.id: event for event in evidence.events}
    for event in evidence.events:
        if event.causation is None:
            continue
        cause = by_id.get(event.causation)
        holds = (
            cause is not None
            and cause.position < event.position
            and cause.tenant == event.tenant
            and cause.correlation == event.correlation
        )
        finding.check(holds, "position", event.position, "is caused by", event.causation, "which is", cause)


@invariant("E13", "payloads are what their published schemas say")
def schemas(evidence: Evidence, finding: Finding) -> None:
    if not SCHEMAS.is_dir():
        return finding.skip("the schemas are not beside the checker")
    try:
        import jsonschema
    except ImportError:
        return finding.skip("jsonschema is not installed")
    kinds = defaultdict(list)
    for event in evidence.events:
        chosen = kinds[event.kind.split(".")[0], event.type, event.version]
        if len(chosen) < PAYLOADS_PER_KIND:
            chosen.append(event)
    known = {}
    for file in SCHEMAS.rglob("*.json"):
        # crm/client.created.v2.json
        known[file.parent.name, file.name.removesuffix(".json")] = file
    for (domain, kind, version), events in kinds.items():
        file = known.get((domain, f"{kind}.v{version}")) or known.get(("json", f"{domain}.{kind}.v{version}"))
        if file is None:
            finding.violate(domain, kind, "version", version, "has no published schema")
            continue
        schema = json.loads(file.read_text())
        validator = jsonschema.validators.validator_for(schema)(schema)
        for event in events:
            error = next(validator.iter_errors(event.payload), None)
            finding.check(error is None, "position", event.position, kind, error and error.message)


@invariant("E10", "no snapshot is ahead of its stream")
def snapshots(evidence: Evidence, finding: Finding) -> None:
    for row in evidence.optional("log/snapshots.jsonl"):
        stream = row["tenant_id"], row["aggregate_type"], row["aggregate_id"]
        length = len(evidence.streams.get(stream, ()))
        finding.check(0 < row["version"] <= length, stream, "has", length, "events and a snapshot of", row["version"])
