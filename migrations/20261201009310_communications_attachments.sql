-- The files that emails come with.
alter table communications.emails add column attachments jsonb not null default '[]';
