"""JetStream beside the log, and what a subscriber received."""

import json
from collections import defaultdict

from .evidence import Evidence, canonical
from .verdict import Finding, invariant

STRANGERS = ("duplicate", "reorder", "stranger")


def header(message: dict, name: str) -> str | None:
    values = message["headers"].get(name)
    return values[0] if values else None


def everyones(evidence: Evidence):
    """All messages, each with whether the relay published it: those say which log they are from, and are from it."""
    log_ids = {row["log_id"] for row in evidence.optional("log/histories.jsonl") if row.get("log_id")}
    log_ids |= {row["log_id"] for row in evidence.optional("log/relay.jsonl") if row.get("log_id")}
    for message in evidence.optional("stream/messages.jsonl"):
        yield message, header(message, "Ubos-Log") in log_ids and header(message, "Ubos-Retried") is None


def ours(evidence: Evidence):
    """The messages that the relay published."""
    return (message for message, is_ours in everyones(evidence) if is_ours)


def starts_after(evidence: Evidence) -> int:
    """Positions up to here were older than what the stream keeps, when it was filled."""
    row = next(evidence.optional("log/relay.jsonl"), {})
    return int(row.get("stream_from") or 1) - 1


@invariant("O1", "every event is in the stream")
def at_least_once(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has("stream/messages.jsonl"):
        return finding.skip("the stream was not dumped")
    there = {header(message, "Nats-Msg-Id") for message in ours(evidence)}
    after = starts_after(evidence)
    for event in evidence.events:
        if event.position > after:
            finding.check(event.id in there, "position", event.position, event.id, "is not in the stream")


@invariant("O2", "first occurrences in the stream are in the log's order")
def order(evidence: Evidence, finding: Finding) -> None:
    # A message says which sequence it follows. Somebody else's that gets in between takes the place of one of the relay's,
    # and the one behind that fits again; so as many events as others had messages there may come later.
    newest, seen, strangers, late = 0, set(), 0, set()
    for message, is_ours in everyones(evidence):
        position = int(header(message, "ce-globalposition") or 0) if is_ours else 0
        if not is_ours or position in seen:
            strangers += 1
            continue
        seen.add(position)
        if newest and 0 < position - newest - 1 <= strangers:
            late.update(range(newest + 1, position))
        in_order = position > newest or position in late
        finding.check(in_order, "sequence", message["sequence"], "holds", position, "after", newest)
        if position > newest:
            newest, strangers = position, 0


@invariant("O3", "the relay's cursor is at the log's end and its marks cover the log")
def cursor(evidence: Evidence, finding: Finding) -> None:
    relay = next(evidence.optional("log/relay.jsonl"), None)
    if relay is None:
        return finding.skip("the relay's row was not dumped")
    head = evidence.events[-1].position if evidence.events else 0
    finding.check(relay["position"] == head, "the cursor is at", relay["position"], "of", head)
    reached = 0
    for mark in sorted(evidence.optional("log/relay_marks.jsonl"), key=lambda mark: mark["up_to_position"]):
        finding.check(mark["after_position"] == reached, "a mark begins after", mark["after_position"], "not", reached)
        reached = mark["up_to_position"]
    finding.check(reached == relay["position"], "marks end at", reached, "the cursor is at", relay["position"])


@invariant("O4", "every message says what its event says")
def bodies(evidence: Evidence, finding: Finding) -> None:
    for message in ours(evidence):
        event = evidence.at_position.get(int(header(message, "ce-globalposition") or 0))
        if event is None:
            continue
        place = ("sequence", message["sequence"], "position", event.position)
        said = (header(message, "Nats-Msg-Id"), header(message, "ce-tenantid"), header(message, "ce-subject"),
                header(message, "ce-aggregateversion"), header(message, "ce-type"))
        is_so = (event.id, event.tenant, event.aggregate, str(event.sequence), event.type)
        finding.check(said == is_so, *place, "says", said, "but is", is_so)
        if header(message, "Ubos-Claim-Check") is None:
            try:
                same = canonical(json.loads(message["payload"])) == event.digest
            except ValueError:
                same = False
            finding.check(same, *place, "carries", message["payload"][:200])


@invariant("O7", "nothing in the stream is from nowhere")
def nowhere(evidence: Evidence, finding: Finding) -> None:
    for message in ours(evidence):
        position = int(header(message, "ce-globalposition") or 0)
        event = evidence.at_position.get(position)
        known = event is not None and event.id == header(message, "Nats-Msg-Id")
        if not known and evidence.injected(*STRANGERS):
            # Forged on purpose; O1 and O4 say whether the real ones are there too.
            continue
        finding.check(known, "sequence", message["sequence"], "position", position, "is no event of the log")


@invariant("J3", "no durable consumer has acknowledged more than the stream holds")
def consumers(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has("stream/consumers.json"):
        return finding.skip("consumers were not dumped")
    last = evidence.json("stream/info.json")["state"]["last_seq"]
    for consumer in evidence.json("stream/consumers.json"):
        floor = (consumer.get("ack_floor") or {}).get("stream_seq") or 0
        finding.check(floor <= last, consumer.get("name"), "has acknowledged", floor, "of", last)


@invariant("N4", "a subscriber received every event, and each with one body")
def subscriber(evidence: Evidence, finding: Finding) -> None:
    bodies, ids, newest = defaultdict(set), defaultdict(set), 0
    for message in evidence.optional("subscriber.jsonl"):
        if message["position"] is not None:
            bodies[message["position"]].add(message["sha256"])
            ids[message["position"]].add(message["id"])
            newest = max(newest, message["position"])
    if not bodies:
        return finding.skip("no subscriber listened")
    after = starts_after(evidence)
    for event in evidence.events:
        if event.position <= after:
            continue
        finding.check(event.id in ids[event.position], "position", event.position, "was never received")
        if not evidence.injected(*STRANGERS):
            finding.check(len(bodies[event.position]) <= 1, "position", event.position, "came with several bodies")


@invariant("N5", "a durable consumer received every event")
def durable(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has("durable.json"):
        return finding.skip("no durable consumer listened")
    received = {position for first, last in evidence.json("durable.json")["received"] for position in range(first, last + 1)}
    after = starts_after(evidence)
    for event in evidence.events:
        if event.position > after:
            finding.check(event.position in received, "position", event.position, "was never received")
