// Emmett's projector on a backlog: events per second that a batch upsert of one row per stream keeps up with.
// node emmett.mjs <seconds>
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';
import { report } from './lib.mjs';

const seconds = Number(process.argv[2]);
const url = process.env.DATABASE_URL;
const STREAMS = 20000;
const BATCH = 1000;
// It takes a second connection within a session, so it gets more than it has calls in flight.
const pool = new pg.Pool({ connectionString: url, max: 40 });
const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
const name = (stream, n) => ({ name: `Engines ${stream} for the ${n}. time` });
const known = await pool.query('select count(*) from emt_streams').then((found) => Number(found.rows[0].count), () => 0);
if (known < STREAMS) {
  await store.schema.migrate();
  let next = known;
  const writer = async () => {
    while (next < STREAMS) {
      const stream = next++;
      const events = [1, 2, 3, 4, 5].map((n) => ({ type: 'ClientRenamed', data: name(stream, n), metadata: {} }));
      await store.appendToStream(`client-${stream}`, events);
    }
  };
  await Promise.all(Array.from({ length: 16 }, writer));
}
await pool.query('create table if not exists clients (id text primary key, version bigint not null, name text not null)');
await pool.query('truncate clients');
const total = Number((await pool.query('select count(*) from emt_messages')).rows[0].count);
let seen = 0;
let finish;
const finished = new Promise((resolve) => (finish = resolve));
const projection = {
  name: `clients_${Date.now()}`,
  kind: 'async',
  canHandle: ['ClientRenamed'],
  handle: async (events, context) => {
    const rows = new Map(events.map((event) => [event.metadata.streamName, event]));
    const client = context.connection?.client ?? (await context.connection.open());
    await client.query(
      `insert into clients select * from unnest($1::text[], $2::bigint[], $3::text[])
       on conflict (id) do update set version = excluded.version, name = excluded.name`,
      [
        [...rows.keys()],
        [...rows.values()].map((event) => Number(event.metadata.streamPosition)),
        [...rows.values()].map((event) => event.data.name),
      ],
    );
    seen += events.length;
    if (seen >= total) finish();
  },
};
const consumer = store.consumer({ pulling: { batchSize: BATCH } });
consumer.projector({
  processorId: projection.name,
  projection,
  startFrom: 'BEGINNING',
  connectionOptions: { connectionString: url },
});
const started = performance.now();
const running = consumer.start().catch((error) => console.error(error));
await Promise.race([finished, running, new Promise((resolve) => setTimeout(resolve, seconds * 1000))]);
const rate = (seen / (performance.now() - started)) * 1000;
await consumer.stop().catch(() => {});
report(rate, [], 0);
process.exit(0);
