"""Tries what a subscriber may not, with the official client, and says what became of each attempt."""

import asyncio
import json
import os
import sys

import nats


async def main() -> None:
    subscriber, errors = os.environ["UBOS_SUBSCRIBER"], []

    async def complain(error: Exception) -> None:
        errors.append(str(error).lower())

    connection = await nats.connect(
        os.environ["UBOS_NATS_URL"],
        token=os.environ["UBOS_SECRET"],
        inbox_prefix=f"_INBOX_{subscriber}".encode(),
        error_cb=complain,
    )

    async def outcome(subject: str) -> str:
        await connection.flush()
        await asyncio.sleep(0.02)
        denied = any("permissions violation" in error and subject.lower() in error for error in errors)
        errors.clear()
        return "denied" if denied else "allowed"

    for line in sys.stdin:
        attempt = json.loads(line)
        subject = attempt["subject"]
        if attempt["do"] == "subscribe":
            await connection.subscribe(subject)
            said = await outcome(subject)
        else:
            await connection.publish(subject, attempt["body"].encode(), reply=attempt["reply"])
            said = await outcome(subject if attempt["do"] == "publish" else attempt["reply"])
        print(json.dumps({**attempt, "outcome": said}), flush=True)
    await connection.close()


asyncio.run(main())
