-- What people of a client may do of single engagements.
alter table portal.portal_users add column engagement_grants jsonb not null default '[]';
