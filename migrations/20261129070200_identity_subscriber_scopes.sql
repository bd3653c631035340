-- Which events a program may read, if not all of the firm's.
alter table identity.subscribers add column scopes jsonb not null default '[]';
