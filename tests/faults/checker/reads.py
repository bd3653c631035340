"""Read models: folded again from the events, and as clients saw them."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from .evidence import Event, Evidence
from .verdict import Finding, invariant


def base(event: Event) -> dict[str, Any]:
    return {"created_at": event.at, "updated_at": event.at}


def client(row: dict[str, Any] | None, event: Event) -> dict[str, Any]:
    """docs: a client's row, column by column."""
    p = event.payload
    match event.type:
        case "client.created":
            row = base(event) | {"name": p["name"], "kind": p.get("kind", "organisation"), "email": p.get("email"),
                                 "phone": p.get("phone"), "status": "prospect", "owner_id": None, "tags": [],
                                 "blocked_reason": None}
        case "client.renamed":
            row["name"] = p["name"]
        case "client.contact_details_changed":
            row["email"], row["phone"] = p.get("email"), p.get("phone")
        case "client.status_changed":
            row["status"] = p["to"]
        case "client.owner_assigned":
            row["owner_id"] = p["owner_id"]
        case "client.tagged":
            row["tags"] = [tag for tag in row["tags"] if tag != p["tag"]] + [p["tag"]]
        case "client.untagged":
            row["tags"] = [tag for tag in row["tags"] if tag != p["tag"]]
        case "client.blocked":
            row["blocked_reason"] = p["reason"]
        case "client.unblocked":
            row["blocked_reason"] = None
    return row


def contact(row: dict[str, Any] | None, event: Event) -> dict[str, Any]:
    p = event.payload
    match event.type:
        case "contact.created":
            row = base(event) | {"name": p["name"], "email": p.get("email"), "phone": p.get("phone"), "client_id": None,
                                 "clients": [], "archived": False}
        case "contact.renamed":
            row["name"] = p["name"]
        case "contact.contact_details_changed":
            row["email"], row["phone"] = p.get("email"), p.get("phone")
        case "contact.linked_to_client":
            link = {"client_id": p["client_id"], "role": p["role"], "primary": p["primary"]}
            row["clients"] = [c for c in row["clients"] if c["client_id"] != p["client_id"]] + [link]
        case "contact.unlinked_from_client":
            row["clients"] = [c for c in row["clients"] if c["client_id"] != p["client_id"]]
        case "contact.archived":
            row["archived"] = True
        case "contact.restored":
            row["archived"] = False
    primary = [c for c in row["clients"] if c["primary"]] or row["clients"]
    row["client_id"] = primary[0]["client_id"] if primary else None
    return row


FOLDS = {"crm.clients": ("crm.client", client), "crm.contacts": ("crm.contact", contact)}


def same(column: str, ours: Any, theirs: Any) -> bool:
    if column.endswith("_at") and ours and theirs:
        return datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)
    return ours == theirs


@invariant("P1", "rows are what a fold of the events by somebody else gives")
def folded(evidence: Evidence, finding: Finding) -> None:
    for table, (kind, fold) in FOLDS.items():
        if not evidence.has(f"read/{table}.jsonl"):
            continue
        rows = {(row["tenant_id"], row["id"]): row for row in evidence.optional(f"read/{table}.jsonl")}
        for (tenant, of_kind, aggregate), events in evidence.streams.items():
            if of_kind != kind:
                continue
            expected = None
            for event in events:
                expected = fold(expected, event)
                expected |= {"id": aggregate, "tenant_id": tenant, "version": event.sequence, "position": event.position,
                             "updated_at": event.at}
            row = rows.pop((tenant, aggregate), None)
            differs = [c for c, v in expected.items() if row is None or not same(c, v, row.get(c))]
            finding.check(not differs, table, aggregate, "differs in", differs, "expected", expected, "found", row)
        for key, row in rows.items():
            finding.violate(table, key, "has a row and no events", row)


@invariant("P2", "every checkpoint is at the log's end and counted every event")
def checkpoints(evidence: Evidence, finding: Finding) -> None:
    head = evidence.events[-1].position if evidence.events else 0
    for row in evidence.optional("read/projections.checkpoints.jsonl"):
        if row["slot"] == "live":
            finding.check(row["position"] == head == row["events"], row["group_name"], "is at", row["position"],
                          "with", row["events"], "events, the log at", head)


@invariant("P5", "no stream is parked that nothing poisoned")
def parked(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has("read/projections.parked.jsonl"):
        return finding.skip("parked streams were not dumped")
    poisoned = {str(fault.get("detail", {}).get("aggregate")) for fault in evidence.faults if fault["kind"] == "poison"}
    finding.checked += 1
    for row in evidence.optional("read/projections.parked.jsonl"):
        finding.check(row["aggregate_id"] in poisoned, row["group_name"], row["aggregate_id"], row["error"])


def seen(evidence: Evidence):
    """Successful questions about one record: request, its stream, and the version that was shown."""
    for operation in evidence.queries:
        for request in operation.oks:
            body = request["answer"] or {}
            if operation.first["name"] == "crm.client.read" and "version" in body:
                yield request, evidence.streams.get((request["tenant"], "crm.client", body["id"]), []), body


@invariant("P3", "what a question shows was so at that version")
def shown(evidence: Evidence, finding: Finding) -> None:
    for request, events, body in seen(evidence):
        expected = None
        for event in events[: body["version"]]:
            expected = client(expected, event)
        name = expected["name"] if expected and body["version"] <= len(events) else None
        finding.check(name == body["name"], "request", request["request"], "shows", body["name"], "at", body["version"],
                      "but the log says", name)


@invariant("P4", "a question sees what its position promises")
def read_your_writes(evidence: Evidence, finding: Finding) -> None:
    for request, events, body in seen(evidence):
        if request["min_position"] is None:
            continue
        owed = sum(event.position <= request["min_position"] for event in events)
        finding.check(body["version"] >= owed, "request", request["request"], "shows version", body["version"], "and is owed", owed)
        told = request["position"]
        finding.check(told is None or told >= request["min_position"], "request", request["request"], "is at", told)


@invariant("P6", "nobody sees a record grow younger")
def monotonic(evidence: Evidence, finding: Finding) -> None:
    looks = defaultdict(list)
    for request, _, body in seen(evidence):
        looks[request["client"], body["id"]].append((request["invoked"], request["completed"], body["version"], request["request"]))
    for key, several in looks.items():
        ended = sorted(several, key=lambda look: look[1])
        newest, index = 0, 0
        for invoked, _, version, number in sorted(several):
            while index < len(ended) and ended[index][1] < invoked:
                newest = max(newest, ended[index][2])
                index += 1
            finding.check(version >= newest, key, "saw version", newest, "and then, in request", number, version)
