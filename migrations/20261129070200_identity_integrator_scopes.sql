-- Which events a program may read, if not all of the firm's.
alter table identity.integrators add column scopes jsonb not null default '[]';
