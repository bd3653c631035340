-- Rights for single resources, as the rows show them.
alter table identity.users add column grants jsonb not null default '[]';
alter table identity.teams add column grants jsonb not null default '[]';
alter table identity.roles add column grants jsonb not null default '[]';
