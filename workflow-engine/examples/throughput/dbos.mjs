// node dbos.mjs <in flight> <seconds>: durable workflows of four steps, each of which writes one row, in a closed loop.
import { DBOS } from '@dbos-inc/dbos-sdk';
import pg from 'pg';

const [inFlight, seconds] = process.argv.slice(2).map(Number);
const database = `dbos_${process.pid}_${Date.now()}`;
const url = process.env.DATABASE_URL.replace(/\/[^/]*$/, `/${database}`);
const admin = new pg.Client({ connectionString: process.env.DATABASE_URL });
await admin.connect();
await admin.query(`create database ${database}`);

const pool = new pg.Pool({ connectionString: url, max: inFlight });
await pool.query('create table effect (id bigserial primary key, run text, name text not null, detail jsonb not null)');
const effect = async (run, name) => {
  const detail = { name: 'Analytical Engines', reference: run, note: 'x'.repeat(120) };
  await pool.query('insert into effect (run, name, detail) values ($1, $2, $3)', [run, name, detail]);
  return { id: run, name };
};
const onboarding = DBOS.registerWorkflow(async (run) => {
  for (const name of ['rename', 'contact', 'folder', 'tag']) {
    await DBOS.runStep(() => effect(run, name), { name });
  }
}, { name: 'onboarding' });
DBOS.setConfig({
  name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: inFlight, logLevel: 'error', runAdminServer: false,
});
await DBOS.launch();

const commits = async () => {
  const sql = 'select xact_commit::int8 as commits from pg_stat_database where datname = $1';
  return Number((await admin.query(sql, [database])).rows[0].commits);
};
const before = await commits();
const warm = performance.now() + 1000;
const end = warm + seconds * 1000;
const latencies = [];
let [all, errors] = [0, 0];
await Promise.all(Array.from({ length: inFlight }, async () => {
  while (performance.now() < end) {
    const begun = performance.now();
    try {
      await onboarding(`run ${all++}`);
      if (begun >= warm && performance.now() <= end) latencies.push(performance.now() - begun);
    } catch (error) {
      if (errors++ === 0) console.error(error);
    }
  }
}));
await DBOS.shutdown();
await pool.end();
// A session hands in its numbers when it ends.
await new Promise((resolve) => setTimeout(resolve, 500));
const after = await commits();
await admin.query(`drop database ${database} with (force)`);
await admin.end();
latencies.sort((a, b) => a - b);
const at = (part) => latencies[Math.floor((latencies.length - 1) * part)] ?? null;
const seen = { rate: latencies.length / seconds, p50: at(0.5), p99: at(0.99), commits: (after - before) / all, errors };
console.log(JSON.stringify(seen));
process.exit(0);
