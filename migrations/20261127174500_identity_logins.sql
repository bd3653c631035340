-- The providers that a firm's people log in at, as its row shows them.
alter table identity.tenants add column login_issuers jsonb not null default '[]';
