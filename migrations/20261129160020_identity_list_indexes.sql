-- Every filter and every order of users, keys, sessions and the other lists of identity has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index identity.api_keys_principal;
drop index identity.erasures_subject;
drop index identity.sessions_user;
drop index identity.tenants_name;
drop index identity.tenants_name_folded;
drop index identity.users_email;

create index api_keys_principal_kind on identity.api_keys (tenant_id, principal_kind, created_at, id);
create index api_keys_principal on identity.api_keys (tenant_id, principal_id, created_at, id);
create index api_keys_expires on identity.api_keys (tenant_id, expires_at, id) where expires_at is not null;
create index api_keys_status on identity.api_keys (tenant_id, status, created_at, id);
create index erasures_subject on identity.erasures (tenant_id, subject_id, created_at, id);
create index erasures_completed on identity.erasures (tenant_id, completed_at, id) where completed_at is not null;
create index erasures_status on identity.erasures (tenant_id, status, created_at, id);
create index service_accounts_status on identity.service_accounts (tenant_id, status, created_at, id);
create index sessions_user on identity.sessions (tenant_id, user_id, created_at, id);
create index sessions_ends on identity.sessions (tenant_id, ends_at, id);
create index sessions_status on identity.sessions (tenant_id, status, created_at, id);
create index subscribers_expires on identity.subscribers (tenant_id, expires_at, id) where expires_at is not null;
create index subscribers_status on identity.subscribers (tenant_id, status, created_at, id);
create index tenants_created on identity.tenants (tenant_id, created_at, id);
create index users_updated on identity.users (tenant_id, updated_at, id);
create index users_email on identity.users (tenant_id, email, created_at, id);
create index users_status on identity.users (tenant_id, status, created_at, id);
