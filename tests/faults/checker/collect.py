"""Dumps the log, the stream, the read tables, the jobs and the engine's tables into an evidence folder, while nothing is written."""

import asyncio
import json
from pathlib import Path

# In the order of the log; elsewhere order means nothing and costs time.
ORDERED = {"events": "position"}
# What is sealed is bound to the text around it, letter by letter.
SEALED = """ || case when payload::jsonb ? '$sealed' then jsonb_build_object('sealed_text', payload::text) else '{}' end"""
BATCH = 1_000


def run(postgres: str, nats_url: str, stream: str, out: str) -> None:
    folder = Path(out)
    for name in ("log", "read", "engine", "reactions", "stream", "vault"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tables(postgres, folder)
    asyncio.run(messages(nats_url, stream, folder / "stream"))


def tables(postgres: str, folder: Path) -> None:
    import psycopg

    with psycopg.connect(postgres) as connection:
        # One snapshot for everything.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        found = connection.execute(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'p') and not c.relispartition order by 1, 2"
        ).fetchall()
        read = dict.fromkeys(row[0] for row in connection.execute("select group_name from projections.tables"))
        for schema, table in found:
            if schema == "eventstore":
                file = folder / "log" / f"{table}.jsonl"
            elif schema in ("engine", "reactions", "vault"):
                file = folder / schema / f"{table}.jsonl"
            elif schema in read or schema == "projections":
                file = folder / "read" / f"{schema}.{table}.jsonl"
            else:
                continue
            is_log = schema == "eventstore" and table in ORDERED
            order, more = (f" order by {ORDERED[table]}", SEALED) if is_log else ("", "")
            # A cursor on the server: a log need not fit into memory.
            with connection.cursor(name="dump") as cursor, file.open("w") as lines:
                cursor.itersize = 10_000
                cursor.execute(f'select (to_jsonb(t){more})::text from "{schema}"."{table}" t{order}')
                lines.writelines(row[0] + "\n" for row in cursor)


async def messages(url: str, name: str, folder: Path) -> None:
    import nats
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    client = await nats.connect(url.split(","))
    context = client.jetstream()
    info = await context.stream_info(name)
    consumers = await context.consumers_info(name)
    (folder / "info.json").write_text(json.dumps({"config": plain(info.config), "state": plain(info.state)}, default=str))
    (folder / "consumers.json").write_text(json.dumps([plain(consumer) for consumer in consumers], default=str))
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, mem_storage=True, inactive_threshold=60
    )
    reader = await context.pull_subscribe_bind(stream=name, consumer=(await context.add_consumer(name, config)).name)
    left = info.state.messages
    with (folder / "messages.jsonl").open("w") as lines:
        while left > 0:
            for message in await reader.fetch(min(BATCH, left), timeout=10):
                left -= 1
                lines.write(
                    json.dumps(
                        {
                            "sequence": message.metadata.sequence.stream,
                            "subject": message.subject,
                            "headers": {key: [value] for key, value in (message.headers or {}).items()},
                            "payload": message.data.decode("utf-8", "replace"),
                            "time": message.metadata.timestamp.isoformat(),
                        }
                    )
                    + "\n"
                )
    await client.close()


def plain(value: object) -> object:
    """A reply of NATS as plain data."""
    return value.as_dict() if hasattr(value, "as_dict") else vars(value)
