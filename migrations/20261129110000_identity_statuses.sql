-- Each row of identity says where it stands in one column and with one word, and so is found by it: what was a boolean of its own
-- (disabled, withdrawn, disbanded), or could only be told from a time, is a status now. A firm that is closed stands at `closed`.
alter table identity.roles add column status text collate "C" not null default 'active';
update identity.roles set status = 'withdrawn' where withdrawn;
alter table identity.roles drop column withdrawn;

alter table identity.teams add column status text collate "C" not null default 'active';
update identity.teams set status = 'disbanded' where disbanded;
alter table identity.teams drop column disbanded;

alter table identity.service_accounts add column status text collate "C" not null default 'active';
update identity.service_accounts set status = 'disabled' where disabled;
alter table identity.service_accounts drop column disabled;

alter table identity.api_keys add column status text collate "C" not null default 'active';
update identity.api_keys set status = 'revoked' where revoked_at is not null;

alter table identity.subscribers add column status text collate "C" not null default 'active';
update identity.subscribers set status = 'revoked' where revoked_at is not null;

alter table identity.sessions add column status text collate "C" not null default 'active';
update identity.sessions set status = 'ended' where ended_at is not null;

alter table identity.erasures add column status text collate "C" not null default 'requested';
update identity.erasures set status = 'completed' where completed_at is not null;

update identity.tenants set status = 'closed' where purge_at is not null;
