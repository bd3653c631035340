-- Who approves an invoice, where the firm has a policy for invoices, as bills have it.
alter table revenue.invoices add column policy_id uuid;
alter table revenue.invoices add column rule text;
alter table revenue.invoices add column steps jsonb not null default '[]';
alter table revenue.invoices add column step bigint;
alter table revenue.invoices add column approver_ids jsonb not null default '[]';
alter table revenue.invoices add column escalated boolean not null default false;
