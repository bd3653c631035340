// The minimal read service in Express and pg: the same token, checked with a key object that is made once.
import express from 'express';
import { createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import { jwtVerify } from 'jose';
import pg from 'pg';

const jwk = JSON.parse(fs.readFileSync(process.env.JWKS, 'utf8')).keys[0];
const key = createPublicKey({ key: jwk, format: 'jwk' });
const rules = { issuer: 'https://ubos.localhost', audience: 'ubos', algorithms: ['EdDSA'] };
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.get('/ready', (_, response) => response.end());
app.use(async (request, response, next) => {
  try {
    const token = request.headers.authorization?.slice('Bearer '.length) ?? '';
    request.tenant = (await jwtVerify(token, key, rules)).payload.tenant;
    next();
  } catch {
    response.status(401).end();
  }
});
app.get('/clients/:id', async (request, response) => {
  const found = await pool.query({
    name: 'by_id',
    text: 'select row_to_json(c)::text as row from crm.clients c where tenant_id = $1 and id = $2',
    values: [request.tenant, request.params.id],
  });
  if (!found.rowCount) return response.status(404).end();
  response.type('application/json').send(found.rows[0].row);
});
app.get('/clients', async (request, response) => {
  const limit = Number(request.query.limit);
  const found = await pool.query({
    name: 'list',
    text: 'select row_to_json(c)::text as row from crm.clients c where tenant_id = $1 order by created_at, id limit $2',
    values: [request.tenant, limit + 1],
  });
  const rows = found.rows.slice(0, limit).map((row) => row.row);
  response.type('application/json').send(`{"data":[${rows.join(',')}],"has_more":${found.rowCount > limit}}`);
});
app.listen(Number(process.env.PORT), '127.0.0.1');
