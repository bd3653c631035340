"""Verifies signed messages with the official library of Standard Webhooks, and sees that it refuses what was changed."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def refuses(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


with open(sys.argv[1], encoding="utf-8") as file:
    messages = json.load(file)

assert messages, "there are no messages"
for message in messages:
    body, headers = message["body"], message["headers"]
    for secret in message["secrets"]:
        assert Webhook(secret).verify(body, headers) == json.loads(body)
        assert refuses(secret, body + " ", headers), "one byte more"
        assert refuses(secret, body, headers | {"webhook-id": headers["webhook-id"] + "x"}), "another id"
        late = str(int(headers["webhook-timestamp"]) - 600)
        assert refuses(secret, body, headers | {"webhook-timestamp": late}), "another time"
    assert refuses("whsec_" + "A" * 43 + "=", body, headers), "another secret"
print(f"{len(messages)} messages are verified by standardwebhooks, and refused where they were changed")
