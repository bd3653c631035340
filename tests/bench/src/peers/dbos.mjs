// Runs of four durable steps, each of which inserts one row: node dbos.mjs <at once> <seconds>
import { DBOS } from '@dbos-inc/dbos-sdk';
import crypto from 'node:crypto';
import pg from 'pg';
import { closed } from './lib.mjs';

const [atOnce, seconds] = process.argv.slice(2).map(Number);
const url = process.env.DATABASE_URL;
const pool = new pg.Pool({ connectionString: url, max: atOnce });
await pool.query('create table if not exists effects (id uuid primary key, tag text not null, client uuid not null)');

const tag = async (client, step) => {
  await pool.query('insert into effects values ($1, $2, $3)', [crypto.randomUUID(), `tag ${step}`, client]);
  return { id: client, version: step + 1 };
};
const run = DBOS.registerWorkflow(
  async (client) => {
    for (const step of [1, 2, 3, 4]) await DBOS.runStep(() => tag(client, step), { name: `step${step}` });
  },
  { name: 'four_tags' },
);
DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: url,
  systemDatabasePoolSize: atOnce,
  logLevel: 'error',
  runAdminServer: false,
});
await DBOS.launch();
await closed(atOnce, seconds, () => run(crypto.randomUUID()));
await DBOS.shutdown();
process.exit(0);
