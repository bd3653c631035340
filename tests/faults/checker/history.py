"""What clients were told beside what the log says."""

from collections import defaultdict

from .evidence import Event, Evidence, Operation
from .verdict import Finding, invariant


def answers(evidence: Evidence) -> list[tuple[Operation, dict]]:
    """Commands that were done, with the first answer that said so."""
    return [(operation, operation.oks[0]) for operation in evidence.commands if operation.outcome == "ok"]


def mark(operation: Operation) -> str | None:
    """The text that only this operation wrote, if it wrote one of its own."""
    body = operation.first["body"] or {}
    return body.get("name") or (body.get("invitee") or {}).get("name")


def marked(evidence: Evidence) -> dict[tuple[str, str], list[Event]]:
    """Events that users' commands wrote, by tenant and the text in them. A booking's text is the invitee's name."""
    found = defaultdict(list)
    for event in evidence.events:
        if event.actor.get("kind") == "user" and isinstance(event.payload, dict):
            text = event.payload.get("name") or event.payload.get("invitee_name")
            if isinstance(text, str):
                found[event.tenant, text].append(event)
    return found


def keys(evidence: Evidence) -> dict[tuple[str, str], dict]:
    """Stored answers of users' keys."""
    rows = evidence.optional("log/idempotency.jsonl")
    return {(row["tenant_id"], row["key"]): row for row in rows if row["scope"].startswith("user ")}


@invariant("E1", "what was acknowledged is in the log, as it was acknowledged")
def durable(evidence: Evidence, finding: Finding) -> None:
    for operation, ok in answers(evidence):
        answer, first = ok["answer"], operation.first
        event = evidence.at_position.get(answer["position"])
        is_so = (
            event is not None
            and event.tenant == first["tenant"]
            and event.aggregate == answer["id"]
            and event.sequence == answer["version"]
            and event.command == first["name"]
        )
        finding.check(is_so, "operation", operation.number, first["name"], "was answered", answer, "the log has", event)
        text = first["body"].get("name") if first["body"] else None
        if is_so and text is not None and first["name"] in ("crm.client.create", "crm.client.rename"):
            finding.check(event.payload.get("name") == text, "operation", operation.number, "wrote", text, "not", event)


@invariant("E2", "what was refused left nothing behind")
def refused(evidence: Evidence, finding: Finding) -> None:
    texts, stored = marked(evidence), keys(evidence)
    owners = defaultdict(set)
    for operation in evidence.commands:
        if operation.outcome != "fail":
            owners[operation.first["tenant"], operation.first["key"]].add(operation.number)
    for operation in evidence.commands:
        if operation.outcome != "fail":
            continue
        tenant, key, text = operation.first["tenant"], operation.first["key"], mark(operation)
        left = texts.get((tenant, text), []) if text else []
        finding.check(not left, "operation", operation.number, "was refused and wrote", left[:2])
        # A key that was used for another request before keeps that one's answer.
        kept = (tenant, key) in stored and not owners[tenant, key]
        finding.check(not kept, "operation", operation.number, "was refused and its key has", stored.get((tenant, key)))


@invariant("E3", "what nobody knows the outcome of was done once and whole, or not at all")
def unknown(evidence: Evidence, finding: Finding) -> None:
    texts, stored, users = marked(evidence), keys(evidence), defaultdict(set)
    for operation in evidence.commands:
        users[operation.first["tenant"], operation.first["key"]].add(operation.number)
    for operation in evidence.commands:
        if operation.outcome != "info":
            continue
        tenant, key, text = operation.first["tenant"], operation.first["key"], mark(operation)
        if len(users[tenant, key]) > 1:
            # The stored answer may be the other request's; I1 and I3 say what such a key did.
            continue
        row = stored.get((tenant, key))
        written = [event for event in texts.get((tenant, text), []) if event.command == operation.first["name"]] if text else []
        finding.check(len(written) <= 1, "operation", operation.number, "wrote", written[:3])
        whole = bool(written) == (row is not None) if text else True
        finding.check(whole, "operation", operation.number, "has the stored answer", row, "and the events", written[:2])
        if row is not None and written:
            last = evidence.streams[tenant, written[0].kind, written[0].aggregate][row["version"] - 1 :][:1]
            finding.check(bool(last) and last[0].position == row["position"], "operation", operation.number, "stored", row)


@invariant("E9", "of commands that expect one version, one at most succeeds")
def races(evidence: Evidence, finding: Finding) -> None:
    winners = defaultdict(set)
    for operation, ok in answers(evidence):
        expected = operation.first["if_match"]
        if expected is None:
            continue
        winners[operation.first["path"], expected].add(operation.first["key"])
        finding.check(ok["answer"]["version"] == expected + 1, "operation", operation.number, "expected", expected, ok["answer"])
    for (path, expected), won in winners.items():
        finding.check(len(won) == 1, path, "at version", expected, "was changed by", won)


@invariant("E11", "who asks after an answer comes after it in the log")
def real_time(evidence: Evidence, finding: Finding) -> None:
    done = []
    for operation, ok in answers(evidence):
        # A stored answer is older than the request that got it; the operation's first try is what counts.
        done.append((operation.invoked, min(r["completed"] for r in operation.oks), ok["answer"]["position"], operation))
    shared = defaultdict(int)
    for operation in evidence.commands:
        shared[operation.first["tenant"], operation.first["key"]] += 1
    by_end = sorted(done, key=lambda item: item[1])
    newest, index = (0, None), 0
    for invoked, _, position, operation in sorted(done, key=lambda item: item[0]):
        while index < len(by_end) and by_end[index][1] < invoked:
            newest = max(newest, (by_end[index][2], by_end[index][3].number))
            index += 1
        if shared[operation.first["tenant"], operation.first["key"]] > 1:
            continue
        finding.check(
            position > newest[0], "operation", operation.number, "at", position, "was asked after", newest, "was answered"
        )


@invariant("E14", "no event is from nowhere")
def nowhere(evidence: Evidence, finding: Finding) -> None:
    if not evidence.commands:
        return finding.skip("there is no history")
    asked = {(operation.first["tenant"], mark(operation)) for operation in evidence.commands}
    known = {(o.first["tenant"], o.first["key"]) for o in evidence.commands}
    positions = {row["position"] for pair, row in keys(evidence).items() if pair in known}
    last_of = {}
    for event in evidence.events:
        last_of[event.tenant, event.aggregate, event.correlation] = event.position
    runs = {event.aggregate for event in evidence.events if event.kind == "workflow.run"}
    for event in evidence.events:
        if event.position <= evidence.seeded:
            continue
        if event.actor.get("kind") == "user":
            # The key remembers the last event of its command, or of the unit.
            end = max(event.end, last_of[event.tenant, event.aggregate, event.correlation])
            text = event.payload.get("name") if isinstance(event.payload, dict) else None
            finding.check(
                end in positions or (event.tenant, text) in asked, "position", event.position, event.type, "nobody asked for"
            )
        elif event.actor.get("kind") == "workflow":
            finding.check(event.actor.get("run_id") in runs, "position", event.position, "is of no run:", event.actor)


@invariant("E15", "every client finds each of its acknowledged numbers, and no number that it never sent")
def counters(evidence: Evidence, finding: Finding) -> None:
    texts = marked(evidence)
    sent, acknowledged = defaultdict(set), defaultdict(set)
    for operation in evidence.commands:
        counter = operation.first["counter"]
        if counter is None:
            continue
        client = operation.first["client"]
        sent[client].add(counter)
        if operation.outcome == "ok":
            acknowledged[client].add(counter)
            there = texts.get((operation.first["tenant"], mark(operation)), [])
            finding.check(bool(there), client, "was told that", mark(operation), "is written, and it is not")
    for tenant, text in texts:
        client, slash, number = text.rpartition("/")
        if slash and client in sent and number.isdigit():
            finding.check(int(number) in sent[client], "tenant", tenant, "has", text, "which was never sent")


@invariant("I1", "one key has one effect")
def once(evidence: Evidence, finding: Finding) -> None:
    texts = marked(evidence)
    for operation in evidence.commands:
        text = mark(operation)
        if text is None:
            continue
        written = [e for e in texts.get((operation.first["tenant"], text), []) if e.command == operation.first["name"]]
        effects = {event.aggregate for event in written}
        finding.check(len(effects) <= 1 and len(written) <= 2, "operation", operation.number, text, "is there", len(written), "times")


@invariant("I2", "one key has one answer")
def one_answer(evidence: Evidence, finding: Finding) -> None:
    told = defaultdict(set)
    for operation in evidence.commands:
        for request in operation.oks:
            answer = request["answer"]
            told[operation.first["tenant"], operation.first["key"]].add((answer["id"], answer["version"], answer["position"]))
    for key, answered in told.items():
        finding.check(len(answered) == 1, key, "was answered", sorted(answered))


@invariant("I3", "a key that comes with another body is refused")
def reused(evidence: Evidence, finding: Finding) -> None:
    by_key = defaultdict(list)
    for operation in evidence.commands:
        by_key[operation.first["tenant"], operation.first["key"]].append(operation)
    for key, operations in by_key.items():
        bodies = {str(operation.first["body"]) + operation.first["path"] for operation in operations}
        if len(bodies) < 2:
            continue
        won = {str(o.first["body"]) + o.first["path"] for o in operations if o.outcome == "ok"}
        finding.check(len(won) <= 1, key, "did", won)
        for operation in operations:
            if operation.outcome == "fail":
                code = operation.requests[-1]["code"]
                finding.check(code == "idempotency-key-reused", "operation", operation.number, "was refused with", code)


@invariant("C1", "a value that must be unique has one holder")
def claims(evidence: Evidence, finding: Finding) -> None:
    winners = defaultdict(set)
    for operation, ok in answers(evidence):
        if operation.first["name"] == "crm.contact.create" and operation.first["body"].get("email"):
            winners[operation.first["tenant"], operation.first["body"]["email"].lower()].add(ok["answer"]["id"])
    for address, holders in winners.items():
        finding.check(len(holders) == 1, address, "is held by", holders)


@invariant("C2", "a client has one primary contact, and whoever takes the place over leaves no moment without one")
def primary(evidence: Evidence, finding: Finding) -> None:
    first = defaultdict(set)
    for event in evidence.events:
        if event.type != "contact.linked_to_client":
            continue
        client = event.tenant, event.payload["client_id"]
        if event.payload["primary"]:
            first[client].add(event.aggregate)
        elif event.aggregate in first[client]:
            first[client].remove(event.aggregate)
            # Nothing in the load gives the place up but for somebody else.
            finding.check(event.end > event.position, client, "has no primary contact after", event)
        if event.end == event.position:
            finding.check(len(first[client]) <= 1, client, "has the primary contacts", first[client], "after", event)
        elif event.unit[1] + 1 == event.unit[2]:
            after = evidence.at_position.get(event.end)
            taken = after is not None and after.type == event.type and after.payload["client_id"] == client[1]
            finding.check(taken and after.payload["primary"], client, "gives a place up, and the unit ends with", after)
    for operation, ok in answers(evidence):
        if operation.first["name"] == "crm.contact.link_to_client" and operation.first["body"].get("primary"):
            event = evidence.at_position.get(ok["answer"]["position"])
            is_so = event is not None and event.type == "contact.linked_to_client" and event.payload["primary"]
            finding.check(is_so, "operation", operation.number, "made", ok["answer"]["id"], "primary, the log has", event)


@invariant("H1", "no answer says that something broke on our side")
def faults(evidence: Evidence, finding: Finding) -> None:
    for operation in evidence.operations:
        for request in operation.requests:
            if request["status"] is not None:
                finding.check(request["status"] != 500, "request", request["request"], request["path"], request["code"])
