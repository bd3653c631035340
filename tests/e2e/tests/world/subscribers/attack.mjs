// Tries what a subscriber may not, with the official client, and says what became of each attempt.

import { connect } from "@nats-io/transport-node";
import { createInterface } from "node:readline";

const { UBOS_SUBSCRIBER: subscriber, UBOS_SECRET: token, UBOS_NATS_URL: servers } = process.env;
const connection = await connect({ servers, token, inboxPrefix: `_INBOX_${subscriber}` });
let errors = [];
(async () => {
  for await (const status of connection.status()) if (status.type === "error") errors.push(String(status.error?.message));
})();

async function outcome(subject) {
  await connection.flush();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const denied = errors.some((error) => /permissions violation/i.test(error) && error.includes(subject));
  errors = [];
  return denied ? "denied" : "allowed";
}

for await (const line of createInterface({ input: process.stdin })) {
  const attempt = JSON.parse(line);
  const { subject, body, reply } = attempt;
  let said;
  if (attempt.do === "subscribe") {
    connection.subscribe(subject, { callback: () => {} });
    said = await outcome(subject);
  } else {
    connection.publish(subject, body, reply ? { reply } : {});
    said = await outcome(attempt.do === "publish" ? subject : reply);
  }
  console.log(JSON.stringify({ ...attempt, outcome: said }));
}
await connection.close();
