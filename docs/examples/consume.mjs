// Reads a firm's events from UBOS, those that were first and then each as it happens.
// Needs `npm install @nats-io/transport-node @nats-io/jetstream`.

import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const { UBOS_SUBSCRIBER: subscriber, UBOS_SECRET: token, UBOS_NATS_URL: servers } = process.env;

// By aggregate, the version that was handled last. Keep it in your database, in the transaction that handles the event.
const handled = new Map();

function take(message) {
  const header = (name) => message.headers?.get(name) ?? "";
  const [aggregate, version] = [header("ce-subject"), Number(header("ce-aggregateversion"))];
  const known = handled.get(aggregate) ?? 0;
  if (version > known + 1 && message.info.deliveryCount < 5) {
    // One before it is on its way again; or it is older than what the stream keeps, and then it does not come.
    return message.nak(1_000);
  }
  if (version > known) {
    const { subject } = message;
    // Without a body it is larger than NATS takes: the header Ubos-Claim-Check says where query-api has it.
    const event = message.data.length > 0 ? message.json() : null;
    console.log(JSON.stringify({ subject, position: Number(header("ce-globalposition")), version, event }));
    handled.set(aggregate, version);
  }
  message.ack();
}

const connection = await connect({
  servers,
  token,
  inboxPrefix: `_INBOX_${subscriber}`,
  maxReconnectAttempts: -1,
  // Otherwise it gives up after being kept out twice, which also happens while nobody can say who may come in.
  ignoreAuthErrorAbort: true,
});
const stream = jetstream(connection, { apiPrefix: "UBOS" });
while (!connection.isClosed()) {
  try {
    const consumer = await stream.consumers.get("EVENTS", subscriber);
    for await (const message of await consumer.consume()) take(message);
  } catch {
    // Nobody to ask at the moment.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
