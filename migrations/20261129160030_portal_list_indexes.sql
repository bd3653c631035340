-- Every filter and every order of portal users and their sessions has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index portal.portal_sessions_client;
drop index portal.portal_sessions_user;
drop index portal.portal_users_client;
drop index portal.portal_users_email;

create index portal_sessions_portal_user on portal.portal_sessions (tenant_id, portal_user_id, created_at, id);
create index portal_sessions_client on portal.portal_sessions (tenant_id, client_id, created_at, id);
create index portal_sessions_ends on portal.portal_sessions (tenant_id, ends_at, id);
create index portal_sessions_status on portal.portal_sessions (tenant_id, status, created_at, id);
create index portal_users_updated on portal.portal_users (tenant_id, updated_at, id);
create index portal_users_client on portal.portal_users (tenant_id, client_id, created_at, id);
create index portal_users_contact on portal.portal_users (tenant_id, contact_id, created_at, id) where contact_id is not null;
create index portal_users_email on portal.portal_users (tenant_id, email, created_at, id);
create index portal_users_status on portal.portal_users (tenant_id, status, created_at, id);
