-- A portal session says where it stands as a session of a user does.
alter table portal.portal_sessions add column status text collate "C" not null default 'active';
update portal.portal_sessions set status = 'ended' where ended_at is not null;
