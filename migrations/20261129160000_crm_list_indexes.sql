-- Every filter and every order of clients and contacts has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index crm.clients_email;
drop index crm.contacts_client;
drop index crm.contacts_email;

create index clients_updated on crm.clients (tenant_id, updated_at, id);
create index clients_kind on crm.clients (tenant_id, kind, created_at, id);
create index clients_email on crm.clients (tenant_id, email, created_at, id) where email is not null;
create index clients_status on crm.clients (tenant_id, status, created_at, id);
create index clients_owner on crm.clients (tenant_id, owner_id, created_at, id) where owner_id is not null;
create index contacts_updated on crm.contacts (tenant_id, updated_at, id);
create index contacts_email on crm.contacts (tenant_id, email, created_at, id) where email is not null;
create index contacts_client on crm.contacts (tenant_id, client_id, created_at, id) where client_id is not null;
