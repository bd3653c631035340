"""Evidence in which all is well passes; each way to spoil it is reported by the invariant that it breaks."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from .. import judge
from ..evidence import Evidence
from ..verdict import CHECKS
from . import sample


def verdicts(contents):
    with tempfile.TemporaryDirectory() as folder:
        sample.write(Path(folder), contents)
        return {finding.invariant: finding for finding in judge.judge(Evidence(folder))}


def drop(name, index):
    return lambda files: files[name].pop(index)


def put(name, index, /, **changes):
    return lambda files: files[name][index].update(changes)


def add(name, line):
    return lambda files: files[name].append(line)


def again(name, index, /, **changes):
    return lambda files: files[name].append(files[name][index] | changes)


def payload(position, /, **changes):
    return lambda files: files["log/events.jsonl"][position - 1]["payload"].update(changes)


def metadata(position, **changes):
    return lambda files: files["log/events.jsonl"][position - 1]["metadata"].update(changes)


def header(index, name, value):
    return lambda files: files["stream/messages.jsonl"][index]["headers"].update({name: [value]})


def answer(index, **changes):
    return lambda files: files["history.jsonl"][index]["answer"].update(changes)


HISTORY, EVENTS, KEYS = "history.jsonl", "log/events.jsonl", "log/idempotency.jsonl"
JOBS = "reactions/jobs.jsonl"
MESSAGES, SUBSCRIBER = "stream/messages.jsonl", "subscriber.jsonl"
STRANGER = {"sequence": 9, "subject": "s", "payload": "{}", "time": sample.at(9), "headers": {
    "Nats-Msg-Id": ["x"], "ce-globalposition": ["77"], "Ubos-Log": [sample.LOG]}}

# Which invariant must report it, what was spoilt, how.
SPOILT = [
    ("E1", "an acknowledged event is lost", drop(EVENTS, 1)),
    ("E1", "an answer names another record", answer(0, id=sample.CONTACT)),
    ("E1", "another text was written than was sent", payload(1, name="c1/000077")),
    ("E2", "a refused creation is in the log", payload(3, name="c3/000001")),
    ("E2", "a refused command left its key", add(KEYS, {"tenant_id": sample.TENANT, "scope": "user x", "key": "key-7",
                                                       "aggregate_id": sample.CLIENT, "version": 3, "position": 3})),
    ("E3", "a command without an answer has a key and no event", add(KEYS, {
        "tenant_id": sample.TENANT, "scope": "user x", "key": "key-6", "aggregate_id": sample.uid(1), "version": 1, "position": sample.NEXT})),
    ("E4", "a version is there twice", put(EVENTS, 1, sequence=1)),
    ("E4", "a stream is noted shorter than it is", put("log/streams.jsonl", 0, version=1)),
    ("E5", "an event id is there twice", put(EVENTS, 2, event_id=sample.uid(0x1001))),
    ("E5", "a claim is there twice", again("log/claims.jsonl", 0)),
    ("E6", "a position is missing", drop(EVENTS, 7)),
    ("E6", "the head is ahead", put("log/head.jsonl", 0, position=sample.NEXT)),
    ("E8", "a time runs backwards", put(EVENTS, 4, recorded_at=sample.at(1))),
    ("E9", "a command that expected version 1 made version 3", answer(1, version=3)),
    ("E9", "two commands that expected the same version were done", put(HISTORY, 6, outcome="ok", status=200, answer={
        "id": sample.CLIENT, "version": 2, "position": 2, "replayed": False})),
    ("E10", "a snapshot is ahead of its stream", put("log/snapshots.jsonl", 0, version=3)),
    ("E11", "who asked later is earlier in the log", put(HISTORY, 1, invoked=3.6, completed=3.9)),
    ("E12", "a cause is missing", metadata(5, causation_id=sample.uid(0x9999))),
    ("E12", "a correlation changes along the chain", metadata(6, correlation_id=sample.uid(0x9999))),
    ("E13", "a payload breaks its schema", payload(2, name=7)),
    ("E14", "an event that nobody asked for", lambda files: files[EVENTS].append(
        sample.event(3) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "aggregate_id": sample.uid(0x209),
                           "payload": {"name": "nobody"}})),
    ("E14", "an event of a run that is not there", metadata(6, actor={"kind": "workflow", "run_id": sample.uid(9)})),
    ("E15", "a client's acknowledged number is lost", payload(1, name="c1/000055")),
    ("E15", "a number that was never sent", payload(2, name="c1/000056")),
    ("S1", "a key is not there", drop("vault/subject_keys.jsonl", 0)),
    ("S1", "a key is of another stream", lambda files: files["vault/subject_keys.jsonl"][0].update(
        wrapped=files["vault/subject_keys.jsonl"][1]["wrapped"])),
    ("S1", "a snapshot was sealed for another version", lambda files: files["log/snapshots.jsonl"][0].update(
        state={"$sealed": sample.state(version=1)}, state_version=1)),
    ("S2", "a name stands in the log in plain text", put(EVENTS, 1, plain=True)),
    ("I1", "one key was executed twice", lambda files: files[EVENTS].append(
        sample.event(1) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "aggregate_id": sample.uid(0x109)})),
    ("I2", "a repeat was answered otherwise", lambda files: files[HISTORY].append(
        files[HISTORY][0] | {"request": 99, "answer": {"id": sample.CLIENT, "version": 2, "position": 2, "replayed": True}})),
    ("I3", "a key was taken for two requests", put(HISTORY, 7, outcome="ok", status=200, answer={
        "id": sample.uid(1), "version": 1, "position": sample.NEXT, "replayed": False})),
    ("I3", "a reused key was refused for another reason", put(HISTORY, 7, code="invalid-input")),
    ("C1", "an address has two holders", put(HISTORY, 4, outcome="ok", status=201, answer={
        "id": sample.uid(1), "version": 1, "position": sample.NEXT, "replayed": False})),
    ("C2", "two contacts of a client are primary", payload(10, primary=True)),
    ("C2", "a place is given up for nobody", lambda files: files[EVENTS][9]["metadata"].pop("unit")),
    ("C2", "a unit gives a place up and nobody takes it", payload(11, primary=False)),
    ("U1", "half of a unit is in the log", drop(EVENTS, 10)),
    ("U1", "another event came between", put(EVENTS, 10, position=sample.NEXT)),
    ("U1", "an event says another size", lambda files: files[EVENTS][10]["metadata"]["unit"].update(size=3)),
    ("U1", "a unit was appended twice", lambda files: files[EVENTS].extend(
        sample.event(position) | {"position": sample.NEXT + n, "event_id": sample.uid(0x1ffe + n)}
        for n, position in enumerate(sample.UNIT))),
    ("H1", "something broke on our side", put(HISTORY, 5, status=500, code="fault")),
    ("O1", "an event is not in the stream", drop(MESSAGES, 3)),
    ("O2", "the stream is out of order", lambda files: files[MESSAGES].insert(0, files[MESSAGES].pop(4))),
    ("O3", "the relay stands still", put("log/relay.jsonl", 0, position=7)),
    ("O3", "a stretch of the log was never marked", drop("log/relay_marks.jsonl", 0)),
    ("O4", "a message carries another body", put(MESSAGES, 1, payload='{"name":"forged"}')),
    ("O4", "a message says another version", header(1, "ce-aggregateversion", "9")),
    ("O7", "a message is from nowhere", add(MESSAGES, STRANGER)),
    ("J3", "a consumer has acknowledged what is not there", lambda files: files["stream/consumers.json"][0].update(
        ack_floor={"stream_seq": 99})),
    ("N4", "a subscriber missed an event", drop(SUBSCRIBER, 2)),
    ("N4", "a subscriber got two bodies for one event", again(SUBSCRIBER, 2, sha256="other")),
    ("N5", "a durable consumer missed an event", lambda files: files["durable.json"]["received"][1].__setitem__(0, 5)),
    ("P1", "a row shows an old name", put("read/crm.clients.jsonl", 0, name="c1/000001")),
    ("P1", "a row is missing", drop("read/crm.contacts.jsonl", 0)),
    ("P1", "a row is of nobody", again("read/crm.clients.jsonl", 0, id=sample.uid(0x999))),
    ("P2", "a checkpoint is behind", put("read/projections.checkpoints.jsonl", 0, position=7)),
    ("P2", "a checkpoint skipped an event", put("read/projections.checkpoints.jsonl", 0, events=7)),
    ("P3", "a question shows what never was", put(HISTORY, 9, answer={"id": sample.CLIENT, "version": 2, "name": "never"})),
    ("P4", "a question is older than its position", put(HISTORY, 8, answer={
        "id": sample.CLIENT, "version": 1, "name": "c1/000001"})),
    ("P5", "a stream is parked", add("read/projections.parked.jsonl", {"group_name": "crm", "aggregate_id": "x", "error": "e"})),
    ("P6", "a record grows younger", put(HISTORY, 9, answer={"id": sample.CLIENT, "version": 1, "name": "c1/000001"})),
    ("W1", "a step's command was done twice", lambda files: files[EVENTS].append(
        sample.event(6) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "aggregate_id": sample.uid(0x509)})),
    ("W2", "a step was completed twice", lambda files: files[EVENTS].append(
        sample.event(7) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "sequence": 4})),
    ("W9", "an effect stands alone", lambda files: files[EVENTS][5]["metadata"].pop("unit")),
    ("W9", "an effect is in a unit without its run", metadata(6, unit={"id": sample.uid(0x999), "index": 1, "size": 2})),
    ("W6", "a run is at work for ever", put("read/workflow.runs.jsonl", 0, status="running")),
    ("W6", "a run is still due", add("engine/tasks.jsonl", {"run_id": sample.RUN, "state": "due"})),
    ("W7", "a run started twice", lambda files: files[EVENTS].append(
        sample.event(5) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "sequence": 4})),
    ("W8", "a trigger started two runs", lambda files: files[EVENTS].append(
        sample.event(5) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "aggregate_id": sample.uid(0x409)})),
    ("R1", "an event led to no job", drop(JOBS, 0)),
    ("R1", "an event led to two jobs", again(JOBS, 0, id=2)),
    ("R1", "a job is of no event", again(JOBS, 0, id=2, key=sample.uid(0x999))),
    ("R1", "a job is of another event", put(JOBS, 0, position=3)),
    ("R2", "a job is due for ever", put(JOBS, 0, state="due")),
    ("R2", "a job is parked for no reason", put(JOBS, 0, state="parked")),
    ("R2", "a job is held by nobody who lives", put(JOBS, 0, lease=sample.uid(0x998))),
    ("R3", "an email is lost", drop("emails.jsonl", 0)),
    ("R3", "an email went to somebody else", put("emails.jsonl", 0, to="eve@a.example")),
    ("R3", "a portal user's email went to somebody else", put("emails.jsonl", 1, to="ada@a.example")),
    ("R3", "a guest's letter is lost", drop("emails.jsonl", 2)),
    ("R3", "a guest's letter went to somebody else", put("emails.jsonl", 2, to="ada@a.example")),
    ("R3", "an email came that nobody asked for", again("emails.jsonl", 0, message_id=f"<{sample.uid(0x997)}@ubos.example>")),
    ("R3", "an email was given up that nobody refuses", put(JOBS, 0, state="parked", code="refused")),
    ("W8", "a trigger started no run", lambda files: files[EVENTS].append(
        sample.event(4) | {"position": sample.NEXT, "event_id": sample.uid(0x1fff), "aggregate_id": sample.uid(0x309)})),
]


class Checker(unittest.TestCase):
    def test_a_sound_run_passes(self):
        for name, finding in verdicts(sample.files()).items():
            self.assertEqual(finding.status, "ok", f"{name}: {finding}")

    def test_each_spoilt_run_is_reported(self):
        for name, what, spoil in SPOILT:
            with self.subTest(f"{name}: {what}"):
                files = sample.files()
                spoil(files)
                finding = verdicts(files)[name]
                self.assertEqual(finding.status, "VIOLATION", f"{what}: {finding}")
                self.assertTrue(finding.shown)

    def test_every_invariant_has_a_way_to_be_spoilt(self):
        self.assertEqual({name for name, *_ in CHECKS}, {name for name, *_ in SPOILT})

    def test_forged_messages_are_forgiven_only_when_they_were_injected(self):
        files = sample.files()
        files[MESSAGES].append(STRANGER)
        files["faults.jsonl"].append({"at": 2.0, "kind": "duplicate", "target": "nats", "detail": {}})
        self.assertEqual(verdicts(files)["O7"].status, "ok")

    def test_an_event_may_come_late_only_where_a_message_of_somebody_else_took_its_place(self):
        files = sample.files()
        files[MESSAGES].insert(4, files[MESSAGES].pop(3))
        self.assertEqual(verdicts(files)["O2"].status, "VIOLATION")
        files[MESSAGES].insert(3, STRANGER | {"headers": {}})
        self.assertEqual(verdicts(files)["O2"].status, "ok")
        files[MESSAGES].insert(4, files[MESSAGES].pop(6))
        self.assertEqual(verdicts(files)["O2"].status, "VIOLATION")

    def test_what_cannot_be_judged_is_never_called_sound(self):
        files = sample.files()
        for name in ("stream/messages.jsonl", "subscriber.jsonl", "read/workflow.runs.jsonl"):
            del files[name]
        found = verdicts(files)
        for name in ("O1", "N4", "W6"):
            self.assertEqual(found[name].status, "skip", found[name])

    def test_evidence_that_cannot_be_read_is_no_verdict(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(judge.run(folder), 2)
        self.assertIn("cannot be judged", said.getvalue())


if __name__ == "__main__":
    unittest.main()
