"""Reads a firm's events from UBOS, those that were first and then each as it happens. Needs `pip install nats-py`."""

import asyncio
import json
import os

import nats
import nats.errors
import nats.js.errors

# By aggregate, the version that was handled last. Keep it in your database, in the transaction that handles the event.
handled = {}


async def take(message) -> None:
    aggregate, version = message.header["ce-subject"], int(message.header["ce-aggregateversion"])
    known = handled.get(aggregate, 0)
    if version > known + 1 and message.metadata.num_delivered < 5:
        # One before it is on its way again; or it is older than what the stream keeps, and then it does not come.
        await message.nak(delay=1)
        return
    if version > known:
        # Without a body it is larger than NATS takes: the header Ubos-Claim-Check says where query-api has it.
        print(json.dumps({"subject": message.subject, "position": int(message.header["ce-globalposition"]),
                          "version": version, "event": json.loads(message.data or b"null")}), flush=True)
        handled[aggregate] = version
    await message.ack()


async def main() -> None:
    subscriber = os.environ["UBOS_SUBSCRIBER"]
    connection = await nats.connect(
        os.environ["UBOS_NATS_URL"],
        token=os.environ["UBOS_SECRET"],
        inbox_prefix=f"_INBOX_{subscriber}".encode(),
        max_reconnect_attempts=-1,
    )
    events = await connection.jetstream(prefix="UBOS").pull_subscribe_bind(durable=subscriber, stream="EVENTS")
    while not connection.is_closed:
        try:
            for message in await events.fetch(batch=100, timeout=1):
                await take(message)
        except (TimeoutError, nats.errors.Error, nats.js.errors.Error):
            # Nothing new, or nobody to ask at the moment.
            await asyncio.sleep(0.1)


asyncio.run(main())
