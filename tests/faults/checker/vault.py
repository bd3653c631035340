"""Opens what the log keeps sealed, from the format as ADR 21 and the vault's documentation describe it."""

import base64
import hashlib
from collections import defaultdict
from functools import lru_cache
from typing import Any, Iterable
from uuid import UUID

HOLE = b"null"
MARK = b',"$sealed":'
# Format, generation, nonce.
HEAD, NONCE = 17, 5


class Broken(Exception):
    """Something sealed does not open where it stands."""


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def place(*parts: bytes) -> bytes:
    """What a sealed text is bound to: each part with its length before it."""
    return b"".join(number(len(part), 8) + part for part in parts)


def decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def raw(text: str) -> bytes:
    """PostgreSQL's `bytea` as JSON has it."""
    return bytes.fromhex(text.removeprefix("\\x"))


def opened(key: bytes, bound: bytes, sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = sealed[:HEAD]
    if len(head) < HEAD or head[0] != 1:
        raise Broken("it is of no known format")
    try:
        return AESGCM(key).decrypt(head[NONCE:], sealed[HEAD:], bound + place(head[:NONCE]))
    except InvalidTag:
        raise Broken("it was sealed with another key or for another place") from None


def generation(sealed: bytes) -> int:
    return int.from_bytes(sealed[1:NONCE], "big")


class Vault:
    """The keys of every subject, from the vault's tables and the key-encryption key."""

    def __init__(self, key: str, data_keys: Iterable[dict[str, Any]], subject_keys: Iterable[dict[str, Any]]):
        kek = base64.b64decode(key)
        self.name = hashlib.sha256(b"ubos kek" + kek).digest()[:8].hex()
        self.data: dict[tuple[str, int], bytes] = {}
        for row in data_keys:
            if row["wrapped_by"] == self.name:
                bound = place(b"data key", UUID(row["tenant_id"]).bytes, number(row["generation"], 4))
                self.data[row["tenant_id"], row["generation"]] = opened(kek, bound, raw(row["wrapped"]))
        self.subjects: dict[tuple[str, str], dict[int, bytes | None]] = defaultdict(dict)
        for row in subject_keys:
            wrapped = row["wrapped"] and raw(row["wrapped"])
            self.subjects[row["tenant_id"], row["subject_id"]][row["generation"]] = wrapped

    @lru_cache(maxsize=100_000)
    def key(self, tenant: str, subject: str, which: int) -> bytes:
        wrapped = self.subjects[tenant, subject].get(which)
        data = wrapped and self.data.get((tenant, generation(wrapped)))
        if not wrapped or not data:
            raise Broken(f"there is no key {which} of {subject}")
        bound = place(b"subject key", UUID(tenant).bytes, UUID(subject).bytes, number(which, 4))
        return opened(data, bound, wrapped)

    def open(self, tenant: str, subject: str, sealed: bytes, *parts: bytes) -> bytes:
        bound = place(b"subject", UUID(tenant).bytes, UUID(subject).bytes, *parts)
        return opened(self.key(tenant, subject, generation(sealed)), bound, sealed)

    def payload(self, row: dict[str, Any], stored: str) -> bytes:
        """An event's payload as it was before it was sealed. `stored` is the very text that the log has."""
        head, _, sealed = stored.encode().removesuffix(b'"}').rpartition(b'"')
        if not head.endswith(MARK):
            raise Broken("nothing sealed stands at its end")
        masked = head.removesuffix(MARK) + b"}"
        values = self.open(
            row["tenant_id"], row["aggregate_id"], decoded(sealed.decode()), b"event", row["aggregate_type"].encode(),
            number(row["sequence"], 8), row["event_type"].encode(), number(row["event_version"], 4), masked,
        )
        pieces, done, at = [], 0, 0
        while at < len(values):
            hole, length = int.from_bytes(values[at : at + 8], "big"), int.from_bytes(values[at + 8 : at + 16], "big")
            pieces += [masked[done:hole], values[at + 16 : at + 16 + length]]
            done, at = hole + len(HOLE), at + 16 + length
        return b"".join([*pieces, masked[done:]])

    def state(self, row: dict[str, Any]) -> bytes:
        """A snapshot's state as it was before it was sealed."""
        return self.open(
            row["tenant_id"], row["aggregate_id"], decoded(row["state"]["$sealed"]), b"snapshot",
            row["aggregate_type"].encode(), number(row["version"], 8), number(row["state_version"], 4),
        )
