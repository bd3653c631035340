"""Jobs: each event that asks for one has one, each has ended, and its email came."""

from collections import Counter

from .evidence import Evidence
from .verdict import Finding, invariant

# Kinds of events that ask for a job of a reaction.
ASKING = {
    "email.invitation": {"user.invited", "portal_user.invited"},
    "email.appointment": {
        "appointment.requested", "appointment.booked", "appointment.rescheduled", "appointment.reschedule_requested",
        "appointment.declined", "appointment.cancelled",
    },
    "identity.erasure": {"erasure.requested"},
}
# Those whose email is known by the event that asks for it.
WRITING = {"email.invitation", "email.appointment"}
FILE, EMAILS = "reactions/jobs.jsonl", "emails.jsonl"


@invariant("R1", "an event that asks for a job leads to one, and nothing else does")
def once(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has(FILE):
        return finding.skip("the jobs were not dumped")
    jobs = [job for job in evidence.optional(FILE) if job["reaction"] in ASKING]
    found = Counter((job["reaction"], job["key"]) for job in jobs)
    asked = {(reaction, event.id): event for reaction, kinds in ASKING.items() for event in evidence.events if event.type in kinds}
    for of, event in asked.items():
        finding.check(found[of] == 1, "position", event.position, event.type, "has", found[of], "jobs of", of[0])
    for job in jobs:
        event = asked.get((job["reaction"], job["key"]))
        is_its = event and (event.position, event.tenant, event.aggregate) == (job["position"], job["tenant_id"], job["subject_id"])
        finding.check(bool(is_its), "job", job["id"], "of", job["reaction"], "is of no event that asks for it:", job["key"])


@invariant("R2", "every job has ended or is parked with a reason, and nobody holds it")
def at_rest(evidence: Evidence, finding: Finding) -> None:
    for job in evidence.optional(FILE):
        finding.check(
            job["state"] in ("done", "dropped") or job["state"] == "parked" and job["code"],
            "job", job["id"], "of", job["reaction"], "is", job["state"], job["code"] or "for no reason",
        )
        finding.check(job["lease"] is None, "job", job["id"], "is", job["state"], "and held")


@invariant("R3", "what is done has come, and what has come was asked for")
def came(evidence: Evidence, finding: Finding) -> None:
    if not evidence.has(EMAILS):
        return finding.skip("nobody has written down the emails")
    emails = {email["message_id"].strip("<>").split("@")[0]: email["to"] for email in evidence.optional(EMAILS)}
    jobs = {job["key"]: job for job in evidence.optional(FILE) if job["reaction"] in WRITING}
    asked = addresses(evidence)
    for key, job in jobs.items():
        address = asked.get(key)
        if job["state"] == "done":
            finding.check(key in emails, "job", job["id"], "is done, and no email came for", address)
        elif job["state"] == "parked":
            finding.check(str(address).startswith("refused-"), "job", job["id"], "is parked, and nobody refuses", address)
    for key, to in emails.items():
        finding.check(key in jobs and asked.get(key) == to, "an email to", to, "is of no job:", key)


def addresses(evidence: Evidence) -> dict[str, str | None]:
    """Where the email of each event goes: the address of a portal user and of a guest stands in their first event."""
    found: dict[str, str | None] = {}
    of_person: dict[str, str | None] = {}
    for event in evidence.events:
        match event.type:
            case "user.invited":
                found[event.id] = event.payload.get("email")
            case "portal_user.created":
                of_person[event.aggregate] = event.payload.get("email")
            case "appointment.requested" | "appointment.booked" if "invitee_email" in event.payload:
                of_person[event.aggregate] = event.payload["invitee_email"]
        if event.type == "portal_user.invited" or event.type in ASKING["email.appointment"]:
            found[event.id] = of_person.get(event.aggregate)
    return found
