"""A small run in which everything is right, as plain data that a test can spoil."""

import base64
import copy
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .. import log
from ..vault import number, place

TENANT = "00000000-0000-7000-8000-00000000000a"
LOG = "00000000-0000-7000-8000-0000000000ff"
USER = {"kind": "user", "id": "00000000-0000-7000-8000-000000000001"}


def uid(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def at(position: int) -> str:
    return f"2026-11-23T12:00:{position:02d}.000000+00:00"


CLIENT, CONTACT, APPOINTMENT, RUN, MADE = uid(0x100), uid(0x200), uid(0x300), uid(0x400), uid(0x500)
WORKFLOW = {"kind": "workflow", "run_id": RUN, "definition": "client_onboarding"}
BOOKED = {
    "event_type_id": uid(0x700), "event_type_key": "helpdesk_call", "event_type_name": "Helpdesk call", "host_id": uid(0x701),
    "starts_at": at(0), "ends_at": at(30), "blocked_from": at(0), "blocked_until": at(30), "time_zone": "Europe/Berlin",
    "client_name": "Guest", "invitee_name": "c1/000003", "invitee_email": "guest@a.example", "manage_path": "/m", "cancel_path": "/c",
}
STARTED = {
    "definition_id": uid(0x600), "definition": "client_onboarding", "definition_version": 1, "definition_hash": "h",
    "document": {}, "steps": ["contact"], "depth": 0,
    "compensates": False, "trigger": {"kind": "event", "event_id": uid(0x1004), "event_type": "appointment.booked", "event_version": 1, "domain": "scheduling",
                "aggregate_type": "scheduling.appointment", "aggregate_id": APPOINTMENT, "sequence": 1, "position": 4,
                "recorded_at": at(4), "payload": BOOKED, "correlation_id": uid(0x2004)},
}

TENANT_ID = UUID(TENANT)
SCHEMAS = log.published()
KEK, DATA, SUBJECT = (bytes([byte]) * 32 for byte in (1, 2, 3))


def seal(key: bytes, generation: int, bound: bytes, plain: bytes) -> bytes:
    head = b"\x01" + number(generation, 4)
    return head + b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, plain, bound + place(head))


def wrapped(key: bytes, generation: int, bound: bytes, plain: bytes) -> str:
    return "\\x" + seal(key, generation, bound, plain).hex()


def emptied(schema: dict[str, Any], value: Any, taken: list[Any]) -> Any:
    """The value with a mark in every place that its schema calls personal; `taken` gets what was there."""
    if schema.get("x-personal"):
        if value is None:
            return None
        taken.append(value)
        return f"<{len(taken) - 1}>"
    for variant in schema.get("anyOf", ()):
        value = emptied(variant, value, taken)
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return {name: emptied(fields.get(name, {}), field, taken) for name, field in value.items()}
    if isinstance(value, list):
        return [emptied(schema.get("items", {}), item, taken) for item in value]
    return value


def sealed(row: dict[str, Any]) -> dict[str, Any]:
    """The row as the log keeps it."""
    schema = SCHEMAS.get((row["aggregate_type"].split(".")[0], f"{row['event_type']}.v{row['event_version']}"), {})
    taken: list[Any] = []
    masked, hidden = json.dumps(emptied(schema, row["payload"], taken)), b""
    if not taken or row.get("plain"):
        return row
    # In the order in which they stand there, so that what is before a hole is not moved any more.
    for number_of, value in enumerate(taken):
        text = json.dumps(value).encode()
        hidden += number(masked.index(f'"<{number_of}>"'), 8) + number(len(text), 8) + text
        masked = masked.replace(f'"<{number_of}>"', "null")
    bound = place(b"subject", TENANT_ID.bytes, UUID(row["aggregate_id"]).bytes, b"event", row["aggregate_type"].encode(),
                  number(row["sequence"], 8), row["event_type"].encode(), number(row["event_version"], 4), masked.encode())
    text = base64.b64encode(seal(SUBJECT, 1, bound, hidden)).decode().rstrip("=")
    stored = f'{masked[:-1]},"$sealed":"{text}"}}'
    return row | {"payload": json.loads(stored), "sealed_text": stored}


def state(version: int) -> str:
    """A snapshot of the client, sealed for this version."""
    bound = place(b"subject", TENANT_ID.bytes, UUID(CLIENT).bytes, b"snapshot", b"crm.client", number(version, 8), number(1, 4))
    return base64.b64encode(seal(SUBJECT, 1, bound, b'{"name":"c1/000002"}')).decode().rstrip("=")


def subject_keys() -> list[dict[str, Any]]:
    """The tables of the vault: one key for each stream."""
    streams = {event[2] for event in EVENTS} | {uid(n) for n in (0x109, 0x209, 0x309, 0x409, 0x509)}
    return [
        {"tenant_id": TENANT, "subject_id": stream, "generation": 1,
         "wrapped": wrapped(DATA, 1, place(b"subject key", TENANT_ID.bytes, UUID(stream).bytes, number(1, 4)), SUBJECT)}
        for stream in sorted(streams)
    ]


LINK = "crm.contact.link_to_client"
INVITED = uid(0x900)
INVITATION = {"invitation_id": uid(0x901), "email": "ada@a.example", "name": "c1/000004", "roles": [{"name": "viewer"}], "expires_at": at(59), "days": 7}
PERSON = uid(0xA00)
IN_THE_PORTAL = {"client_id": CLIENT, "name": "c1/000005", "email": "eve@a.example"}


def linked(role: str, primary: bool) -> dict[str, Any]:
    return {"client_id": CLIENT, "role": role, "primary": primary}


# type, aggregate type, aggregate, sequence, payload, actor, command, causation
EVENTS = [
    ("client.created", "crm.client", CLIENT, 1, {"name": "c1/000001", "kind": "organisation"}, USER, "crm.client.create", None),
    ("client.renamed", "crm.client", CLIENT, 2, {"name": "c1/000002"}, USER, "crm.client.rename", None),
    ("contact.created", "crm.contact", CONTACT, 1, {"name": "c2/000001", "email": "x@claims.example"}, USER, "crm.contact.create", None),
    ("appointment.booked", "scheduling.appointment", APPOINTMENT, 1, BOOKED, USER, "scheduling.appointment.book", None),
    ("run.started", "workflow.run", RUN, 1, STARTED, WORKFLOW, "workflow.run.start", uid(0x1004)),
    ("contact.created", "crm.contact", MADE, 1, {"name": "Guest", "email": "guest@a.example"}, WORKFLOW, "crm.contact.create", uid(0x1004)),
    ("step.succeeded", "workflow.run", RUN, 2, {"step": "contact", "began_at": "2026-01-01T00:00:00Z", "result": {}}, WORKFLOW, "workflow.run.record", uid(0x1004)),
    ("run.succeeded", "workflow.run", RUN, 3, {}, WORKFLOW, "workflow.run.record", uid(0x1004)),
    ("contact.linked_to_client", "crm.contact", MADE, 2, linked("Heir", True), USER, LINK, None),
    # One takes the place of the other: a unit.
    ("contact.linked_to_client", "crm.contact", MADE, 3, linked("Heir", False), USER, LINK, None),
    ("contact.linked_to_client", "crm.contact", CONTACT, 2, linked("Director", True), USER, LINK, None),
    ("user.invited", "identity.user", INVITED, 1, INVITATION, USER, "identity.user.invite", None),
    ("portal_user.created", "portal.portal_user", PERSON, 1, IN_THE_PORTAL, USER, "portal.portal_user.create", None),
    ("portal_user.invited", "portal.portal_user", PERSON, 2, {"invitation_id": uid(0xA01), "expires_at": at(59), "days": 7}, USER, "portal.portal_user.invite", None),
]
# The position after the last one.
NEXT = len(EVENTS) + 1
# Positions of the units: a run's segment, and the last two.
SEGMENT, UNIT = [5, 6, 7, 8], [10, 11]


def event(position: int) -> dict[str, Any]:
    kind, aggregate_type, aggregate, sequence, payload, actor, command, causation = EVENTS[position - 1]
    places = next((places for places in (SEGMENT, UNIT) if position in places), [position])
    begun = places[0]
    correlation = uid(0x2000 + (4 if causation else begun))
    unit = {"id": uid(0x800 + begun), "index": places.index(position) + 1, "size": len(places)} if len(places) > 1 else None
    return {
        "position": position, "event_id": uid(0x1000 + position), "tenant_id": TENANT, "domain": aggregate_type.split(".")[0],
        "aggregate_type": aggregate_type, "aggregate_id": aggregate, "sequence": sequence, "event_type": kind,
        "event_version": 2 if kind == "client.created" else 1, "payload": payload, "recorded_at": at(begun),
        "metadata": {"actor": actor, "command": command, "correlation_id": correlation}
        | ({"causation_id": causation} if causation else {}) | ({"unit": unit} if unit else {}),
    }


def message(row: dict[str, Any]) -> dict[str, Any]:
    headers = {
        "Nats-Msg-Id": row["event_id"], "ce-globalposition": str(row["position"]), "ce-tenantid": row["tenant_id"],
        "ce-subject": row["aggregate_id"], "ce-aggregateversion": str(row["sequence"]), "ce-type": row["event_type"],
        "Ubos-Log": LOG,
    }
    return {"sequence": row["position"], "subject": "ubos.events.x", "headers": {k: [v] for k, v in headers.items()},
            "payload": json.dumps(row["payload"]), "time": row["recorded_at"]}


def command(number: int, client: str, name: str, path: str, body: dict, answer: tuple | None, **changes: Any) -> dict[str, Any]:
    return {
        "request": number, "op": number, "client": client, "tenant": TENANT, "kind": "command", "name": name, "method": "POST",
        "path": path, "body": body, "key": f"key-{number}", "if_match": None, "min_position": None,
        "counter": int(body["name"].split("/")[1]) if "/" in body.get("name", "") else None,
        "invoked": number * 1.0, "completed": number + 0.5, "outcome": "ok" if answer else "info",
        "status": 200 if answer else None, "code": None, "retry_after": None, "position": None,
        "answer": dict(zip(("id", "version", "position", "replayed"), (*answer, False))) if answer else None,
    } | changes


def query(number: int, version: int, name: str, min_position: int | None, **changes: Any) -> dict[str, Any]:
    return command(number, "c1", "crm.client.read", f"/v1/crm/clients/{CLIENT}", {}, None) | {
        "kind": "query", "method": "GET", "key": None, "body": None, "min_position": min_position, "outcome": "ok",
        "status": 200, "answer": {"id": CLIENT, "version": version, "name": name}, "position": min_position,
    } | changes


def files() -> dict[str, Any]:
    """Every file of the folder: a list is written as lines."""
    events = [event(position) for position in range(1, len(EVENTS) + 1)]
    booking = {"event_type": "helpdesk_call", "invitee": {"name": "c1/000003", "email": "guest@a.example"}}
    rename = f"/v1/crm/clients/{CLIENT}/rename"
    history = [
        command(1, "c1", "crm.client.create", "/v1/crm/clients", {"name": "c1/000001"}, (CLIENT, 1, 1)),
        command(2, "c1", "crm.client.rename", rename, {"name": "c1/000002"}, (CLIENT, 2, 2), if_match=1),
        command(3, "c2", "crm.contact.create", "/v1/crm/contacts", {"name": "c2/000001", "email": "x@claims.example"}, (CONTACT, 1, 3)),
        command(4, "c1", "scheduling.appointment.book", "/v1/scheduling/appointments", booking, (APPOINTMENT, 1, 4), counter=3),
        command(5, "c3", "crm.contact.create", "/v1/crm/contacts", {"name": "c3/000001", "email": "x@claims.example"}, None,
                outcome="fail", status=409, code="crm.contact.email.taken"),
        command(6, "c3", "crm.client.create", "/v1/crm/clients", {"name": "c3/000002"}, None),
        command(7, "c3", "crm.client.rename", rename, {"name": "c3/000003"}, None, if_match=1, outcome="fail", status=412,
                code="version-mismatch"),
        command(8, "c1", "crm.client.create", "/v1/crm/clients", {"name": "c1/000009"}, None, key="key-1", outcome="fail",
                status=422, code="idempotency-key-reused"),
        query(9, 2, "c1/000002", 2),
        query(10, 2, "c1/000002", None),
        command(11, "c1", LINK, f"/v1/crm/contacts/{MADE}/link-to-client", linked("Heir", True), (MADE, 2, 9)),
        command(12, "c2", LINK, f"/v1/crm/contacts/{CONTACT}/link-to-client", linked("Director", True), (CONTACT, 2, 11)),
        command(13, "c1", "identity.user.invite", "/v1/identity/users", {"name": "c1/000004", "email": "ada@a.example"}, (INVITED, 1, 12)),
        command(14, "c1", "portal.portal_user.create", "/v1/portal/portal-users", {"name": "c1/000005", "email": "eve@a.example"}, (PERSON, 1, 13)),
        command(15, "c1", "portal.portal_user.invite", f"/v1/portal/portal-users/{PERSON}/invite", {"days": 7}, (PERSON, 2, 14)),
    ]
    keys = [(1, CLIENT, 1, 1), (2, CLIENT, 2, 2), (3, CONTACT, 1, 3), (4, APPOINTMENT, 1, 4), (11, MADE, 2, 9), (12, CONTACT, 2, 11), (13, INVITED, 1, 12), (14, PERSON, 1, 13), (15, PERSON, 2, 14)]
    streams = {}
    for row in events:
        stream = row["tenant_id"], row["aggregate_type"], row["aggregate_id"]
        first = streams.get(stream, {}).get("first_position", row["position"])
        streams[stream] = {"tenant_id": stream[0], "aggregate_type": stream[1], "aggregate_id": stream[2],
                           "version": row["sequence"], "first_position": first, "position": row["position"]}
    contact = {"tenant_id": TENANT, "phone": None, "client_id": CLIENT, "archived": False}
    return copy.deepcopy({
        "run.json": {"seed": 1, "seconds": 10, "commit": "abc", "tenants": [TENANT], "demo_until_position": 0, "converged": True,
                     "vault_key": base64.b64encode(KEK).decode()},
        "vault/data_keys.jsonl": [
            {"tenant_id": TENANT, "generation": 1, "wrapped_by": hashlib.sha256(b"ubos kek" + KEK).digest()[:8].hex(),
             "wrapped": wrapped(KEK, 0, place(b"data key", TENANT_ID.bytes, number(1, 4)), DATA)}
        ],
        "vault/subject_keys.jsonl": subject_keys(),
        "history.jsonl": history,
        "faults.jsonl": [{"at": 1.0, "kind": "kill", "target": "relay-1", "detail": {}}],
        "subscriber.jsonl": [
            {"at": row["position"], "sequence": row["position"], "subject": "s", "id": row["event_id"], "position": row["position"],
             "version": row["sequence"], "aggregate": row["aggregate_id"],
             "sha256": hashlib.sha256(json.dumps(row["payload"]).encode()).hexdigest()}
            for row in events
        ],
        "durable.json": {"received": [[1, 3], [4, len(events)]]},
        "log/events.jsonl": events,
        "log/streams.jsonl": list(streams.values()),
        "log/head.jsonl": [{"shard": 0, "position": len(events)}],
        "log/idempotency.jsonl": [
            {"tenant_id": TENANT, "scope": "user x", "key": f"key-{n}", "aggregate_id": i, "version": v, "position": p, "created": v == 1}
            for n, i, v, p in keys
        ],
        "log/claims.jsonl": [{"tenant_id": TENANT, "scope": "crm.contact.email", "value": "x@claims.example"}],
        "log/snapshots.jsonl": [{"tenant_id": TENANT, "aggregate_type": "crm.client", "aggregate_id": CLIENT, "version": 2,
                                 "state_version": 1, "state": {"$sealed": state(version=2)}}],
        "log/relay.jsonl": [{"log_id": LOG, "position": len(events), "stream_from": 1}],
        "log/relay_marks.jsonl": [{"after_position": 0, "up_to_position": 5}, {"after_position": 5, "up_to_position": len(events)}],
        "stream/messages.jsonl": [message(row) for row in events],
        "stream/info.json": {"config": {}, "state": {"last_seq": len(events)}},
        "stream/consumers.json": [{"name": "durable", "ack_floor": {"stream_seq": 3}}],
        "read/crm.clients.jsonl": [
            {"tenant_id": TENANT, "position": 2, "id": CLIENT, "version": 2, "created_at": at(1), "updated_at": at(2),
             "name": "c1/000002", "kind": "organisation", "email": None, "phone": None, "status": "prospect", "owner_id": None,
             "tags": [], "blocked_reason": None}
        ],
        "read/crm.contacts.jsonl": [
            contact | {"id": CONTACT, "version": 2, "position": 11, "created_at": at(3), "updated_at": at(10), "name": "c2/000001",
                       "email": "x@claims.example", "clients": [linked("Director", True)]},
            contact | {"id": MADE, "version": 3, "position": 10, "created_at": at(5), "updated_at": at(10), "name": "Guest",
                       "email": "guest@a.example", "clients": [linked("Heir", False)]},
        ],
        "read/projections.checkpoints.jsonl": [{"group_name": "crm", "slot": "live", "position": len(events), "events": len(events)}],
        "read/projections.parked.jsonl": [],
        "read/workflow.runs.jsonl": [{"id": RUN, "status": "succeeded"}],
        "engine/tasks.jsonl": [],
        "reactions/jobs.jsonl": [
            {"id": 1, "tenant_id": TENANT, "reaction": "email.invitation", "lane": INVITED, "key": uid(0x100c), "position": 12,
             "subject_id": INVITED, "state": "done", "lease": None, "code": None},
            {"id": 3, "tenant_id": TENANT, "reaction": "email.invitation", "lane": PERSON, "key": uid(0x100e), "position": 14,
             "subject_id": PERSON, "state": "done", "lease": None, "code": None},
            {"id": 4, "tenant_id": TENANT, "reaction": "email.appointment", "lane": APPOINTMENT, "key": uid(0x1004), "position": 4,
             "subject_id": APPOINTMENT, "state": "done", "lease": None, "code": None},
        ],
        "emails.jsonl": [
            {"message_id": f"<{uid(0x100c)}@ubos.example>", "to": "ada@a.example", "answered": True},
            {"message_id": f"<{uid(0x100e)}@ubos.example>", "to": "eve@a.example", "answered": True},
            {"message_id": f"<{uid(0x1004)}@ubos.example>", "to": "guest@a.example", "answered": True},
        ],
    })


def write(folder: Path, contents: dict[str, Any]) -> None:
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "log/events.jsonl":
            content = [sealed(row) for row in content]
        if name.endswith(".jsonl"):
            file.write_text("".join(json.dumps(line) + "\n" for line in content))
        else:
            file.write_text(json.dumps(content))
