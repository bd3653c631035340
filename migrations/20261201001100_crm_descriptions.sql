-- What else is told of clients and contacts: where a client is, by post and on the web, what it does, what a person's job is called.
alter table crm.clients add column addresses jsonb not null default '[]';
alter table crm.clients add column website text;
alter table crm.clients add column industry text;
alter table crm.clients add column notes text;
create index clients_industry on crm.clients (tenant_id, industry, created_at, id) where industry is not null;

alter table crm.contacts add column title text collate shared.by_name;
