"""What a check found."""

from typing import Any

# Pieces of evidence that are shown for one invariant; all of them are counted.
SHOWN = 5


class Finding:
    """One invariant's verdict in the making."""

    def __init__(self, invariant: str, title: str):
        self.invariant = invariant
        self.title = title
        self.checked = 0
        self.violations = 0
        self.shown: list[str] = []
        self.skipped: str | None = None
        self.note = ""

    def check(self, holds: bool, *evidence: Any) -> None:
        """Counts one thing that was looked at; `evidence` says what is wrong with it."""
        self.checked += 1
        if not holds:
            self.violate(*evidence)

    def violate(self, *evidence: Any) -> None:
        self.violations += 1
        if len(self.shown) < SHOWN:
            self.shown.append(" ".join(str(piece) for piece in evidence))

    def skip(self, reason: str) -> None:
        self.skipped = reason

    @property
    def status(self) -> str:
        if self.violations:
            return "VIOLATION"
        # Nothing looked at is nothing proven.
        return "skip" if self.skipped is not None or self.checked == 0 else "ok"

    def __str__(self) -> str:
        detail = {
            "ok": f"{self.checked:,} checked{self.note}",
            "skip": self.skipped or "nothing of the kind in the evidence",
            "VIOLATION": f"{self.violations:,} of {self.checked:,}{self.note}",
        }[self.status]
        head = f"{self.status:<9} {self.invariant:<4} {self.title}: {detail}"
        return "\n".join([head, *(f"            {piece}" for piece in self.shown)])

    def as_dict(self) -> dict[str, Any]:
        return {
            "invariant": self.invariant,
            "title": self.title,
            "status": self.status,
            "checked": self.checked,
            "violations": self.violations,
            "evidence": self.shown,
            "reason": self.skipped,
        }


CHECKS: list[tuple[str, str, Any]] = []


def invariant(name: str, title: str):
    """Registers a check; it gets the evidence and its finding."""

    def register(function):
        CHECKS.append((name, title, function))
        return function

    return register
