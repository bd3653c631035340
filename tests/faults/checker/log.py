"""The log by itself: dense, contiguous, unique, in order, and as its schemas say."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .evidence import Event, Evidence, lines
from .vault import Broken
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


@invariant("U1", "a unit is in the log as a whole, its events one after the other, or not at all")
def units(evidence: Evidence, finding: Finding) -> None:
    found = defaultdict(list)
    for event in evidence.events:
        if event.unit:
            found[event.tenant, event.unit[0]].append(event)
    for unit, events in found.items():
        size, first = events[0].unit[2], events[0]
        there = [(event.unit[1], event.unit[2], event.position, event.at, event.correlation) for event in events]
        whole = [(n + 1, size, first.position + n, first.at, first.correlation) for n in range(size)]
        finding.check(size > 1 and there == whole, unit, "should be", whole[:5], "and is", there[:5])
        # What enters the log together has one actor, on behalf of one firm.
        finding.check(len({json.dumps(event.actor, sort_keys=True) for event in events}) == 1, unit, "has several actors")
    finding.note = f" in {len(found):,} units"


def kinds(evidence: Evidence) -> dict[tuple[str, str, int], list[Event]]:
    """Events by domain, type and version."""
    found = defaultdict(list)
    for event in evidence.events:
        found[event.kind.split(".")[0], event.type, event.version].append(event)
    return found


def published() -> dict[tuple[str, str], dict[str, Any]]:
    """Schemas by domain and name: crm/client.created.v2.json."""
    files = SCHEMAS.rglob("*.json")
    return {(file.parent.name, file.name.removesuffix(".json")): json.loads(file.read_text()) for file in files}


@invariant("E13", "payloads are what their published schemas say")
def schemas(evidence: Evidence, finding: Finding) -> None:
    if not SCHEMAS.is_dir():
        return finding.skip("the schemas are not beside the checker")
    try:
        import jsonschema
    except ImportError:
        return finding.skip("jsonschema is not installed")
    known = published()
    for (domain, kind, version), events in kinds(evidence).items():
        schema = known.get((domain, f"{kind}.v{version}"))
        if schema is None:
            finding.violate(domain, kind, "version", version, "has no published schema")
            continue
        validator = jsonschema.validators.validator_for(schema)(schema)
        for event in events[:PAYLOADS_PER_KIND]:
            error = next(validator.iter_errors(event.payload), None)
            finding.check(error is None, "position", event.position, kind, error and error.message)


@invariant("E10", "no snapshot is ahead of its stream")
def snapshots(evidence: Evidence, finding: Finding) -> None:
    for row in evidence.optional("log/snapshots.jsonl"):
        stream = row["tenant_id"], row["aggregate_type"], row["aggregate_id"]
        length = len(evidence.streams.get(stream, ()))
        finding.check(0 < row["version"] <= length, stream, "has", length, "events and a snapshot of", row["version"])


@invariant("S1", "what is sealed opens with the key of its stream, where it stands")
def opens(evidence: Evidence, finding: Finding) -> None:
    for event in evidence.events:
        if isinstance(event.stored, dict) and "$sealed" in event.stored:
            finding.check(event.position not in evidence.broken, event, evidence.broken.get(event.position))
    for row in evidence.optional("log/snapshots.jsonl"):
        if "$sealed" not in row.get("state", ()):
            continue
        try:
            broken = None if evidence.vault else "the run has no key"
            json.loads(evidence.vault.state(row) if evidence.vault else "{}")
        except (Broken, ValueError) as error:
            broken = error
        finding.check(broken is None, "the snapshot of", row["aggregate_type"], row["aggregate_id"], broken)


def said(schema: dict[str, Any], value: Any) -> Any:
    """The personal values that are not null in a payload, as its schema marks them."""
    if schema.get("x-personal"):
        yield from () if value is None else (value,)
        return
    for name, field in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from said(field, value[name])
    if isinstance(schema.get("items"), dict) and isinstance(value, list):
        for item in value:
            yield from said(schema["items"], item)
    for variants in ("oneOf", "anyOf", "allOf"):
        for variant in schema.get(variants, ()):
            yield from said(variant, value)


@invariant("S2", "nothing personal stands in the log for everybody to read")
def sealed(evidence: Evidence, finding: Finding) -> None:
    if evidence.vault is None:
        return finding.skip("the run had no vault")
    known = published()
    for (domain, kind, version), events in kinds(evidence).items():
        schema = known.get((domain, f"{kind}.v{version}"))
        if schema is None or "x-personal" not in json.dumps(schema):
            continue
        for event in events:
            personal = next(said(schema, event.stored), None)
            finding.check(personal is None, "position", event.position, kind, "says", personal)
