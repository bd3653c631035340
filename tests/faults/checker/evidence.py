"""The evidence folder in a shape that the checks can ask."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, Iterator

from .vault import Broken, Vault


# Members whose values are few.
FEW = {"tenant", "client", "kind", "method", "outcome", "tenant_id", "aggregate_type", "scope", "command"}


def shared(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are the same strings as every other's: an hour of evidence must fit into memory."""
    return {intern(name): intern(value) if name in FEW and type(value) is str else value for name, value in pairs}


DECODER = json.JSONDecoder(object_pairs_hook=shared)


def lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open() as text:
        for line in text:
            yield DECODER.decode(line)


def canonical(value: Any) -> bytes:
    """Ten bytes that are equal for equal JSON values, however they are spelt."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=10).digest()


@dataclass(slots=True)
class Event:
    """An event of the log, without what only one check asks for."""

    position: int
    id: str
    tenant: str
    kind: str
    aggregate: str
    sequence: int
    type: str
    version: int
    # Opened, if it was sealed.
    payload: Any
    digest: bytes
    # What the log has in its place.
    stored: Any
    actor: dict[str, Any]
    command: str
    correlation: str | None
    causation: str | None
    # The unit that it is part of: which, its place from 1, how many events it has.
    unit: tuple[str, int, int] | None
    at: str

    @property
    def end(self) -> int:
        """Where the unit ends that it is part of; by itself, it is its own end."""
        return self.position + self.unit[2] - self.unit[1] if self.unit else self.position


@dataclass
class Operation:
    """Everything that a client did to get one thing done."""

    number: int
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def first(self) -> dict[str, Any]:
        return self.requests[0]

    @property
    def invoked(self) -> float:
        return min(request["invoked"] for request in self.requests)

    @property
    def oks(self) -> list[dict[str, Any]]:
        return [request for request in self.requests if request["outcome"] == "ok"]

    @property
    def outcome(self) -> str:
        """`ok` if any request was; `fail` if the last word is a refusal and every other request is one too."""
        outcomes = {request["outcome"] for request in self.requests}
        if "ok" in outcomes:
            return "ok"
        return "fail" if outcomes == {"fail"} else "info"


class Evidence:
    """One folder. Files are read when a check asks for them, and kept if more than one does."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.run: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        self.faults = list(self.optional("faults.jsonl"))
        self.vault = self.keys()
        # Sealed and not to be opened, by position.
        self.broken: dict[int, Broken] = {}
        self.events: list[Event] = []
        for row in lines(self.folder / "log" / "events.jsonl"):
            metadata, payload = row["metadata"], self.opened(row)
            unit = metadata.get("unit")
            self.events.append(
                Event(
                    position=row["position"],
                    id=row["event_id"],
                    tenant=intern(row["tenant_id"]),
                    kind=intern(row["aggregate_type"]),
                    aggregate=intern(row["aggregate_id"]),
                    sequence=row["sequence"],
                    type=intern(row["event_type"]),
                    version=row["event_version"],
                    payload=payload,
                    digest=canonical(payload),
                    stored=row["payload"],
                    actor=metadata["actor"],
                    command=intern(metadata["command"]),
                    correlation=metadata.get("correlation_id"),
                    causation=metadata.get("causation_id"),
                    unit=unit and (unit["id"], unit["index"], unit["size"]),
                    at=row["recorded_at"],
                )
            )
        self.at_position = {event.position: event for event in self.events}
        self.streams: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
        for event in self.events:
            self.streams[event.tenant, event.kind, event.aggregate].append(event)
        operations: dict[int, Operation] = {}
        for request in self.optional("history.jsonl"):
            operations.setdefault(request["op"], Operation(request["op"])).requests.append(request)
        self.operations = list(operations.values())
        self.commands = [operation for operation in self.operations if operation.first["kind"] == "command"]
        self.queries = [operation for operation in self.operations if operation.first["kind"] == "query"]
        self.seeded = int(self.run.get("demo_until_position") or 0)

    def keys(self) -> Vault | None:
        """What opens the log, if anything in it is sealed."""
        key = self.run.get("vault_key")
        return key and Vault(key, self.optional("vault/data_keys.jsonl"), self.optional("vault/subject_keys.jsonl"))

    def opened(self, row: dict[str, Any]) -> Any:
        """The payload of an event's row as whoever wrote it meant it."""
        if not row.get("sealed_text"):
            return row["payload"]
        try:
            if self.vault is None:
                raise Broken("the run has no key")
            return DECODER.decode(self.vault.payload(row, row["sealed_text"]).decode())
        except (Broken, ValueError) as broken:
            self.broken[row["position"]] = broken
            return row["payload"]

    def optional(self, name: str) -> Iterator[dict[str, Any]]:
        file = self.folder / name
        return lines(file) if file.exists() else iter(())

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def injected(self, *kinds: str) -> bool:
        return any(fault["kind"] in kinds for fault in self.faults)
