"""Runs every check and writes the verdict."""

import json
import sys
import traceback

from . import history, jobs, log, reads, runs, stream  # noqa: F401  each registers its checks
from .evidence import Evidence
from .verdict import CHECKS, Finding


def judge(evidence: Evidence) -> list[Finding]:
    findings = []
    for name, title, function in CHECKS:
        finding = Finding(name, title)
        function(evidence, finding)
        findings.append(finding)
    return findings


def run(folder: str) -> int:
    """0 without violations, 1 with some, 2 if the evidence cannot be read."""
    try:
        evidence = Evidence(folder)
        findings = judge(evidence)
    except Exception:
        traceback.print_exc()
        print(f"the evidence in {folder} cannot be judged", file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    violated = [finding.invariant for finding in findings if finding.status == "VIOLATION"]
    held = sum(finding.status == "ok" for finding in findings)
    print(f"{held} invariants hold, {len(violated)} are violated {violated or ''}")
    verdict = {"violated": violated, "findings": [finding.as_dict() for finding in findings]}
    (evidence.folder / "verdict.json").write_text(json.dumps(verdict, indent=2))
    return 1 if violated else 0
