-- The read tables of crm: clients and contacts as lists and cards show them. Column order is the order of the row types.

create schema crm;

create table crm.clients
(
    tenant_id      uuid        not null,
    position       bigint      not null,
    id             uuid        not null,
    version        bigint      not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    name           text        not null,
    kind           text        not null,
    email          text,
    phone          text,
    status         text        not null,
    owner_id       uuid,
    tags           jsonb       not null,
    blocked_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index clients_created on crm.clients (tenant_id, created_at, id);
create index clients_name on crm.clients (tenant_id, name, id);
create index clients_email on crm.clients (tenant_id, email) where email is not null;
select projections.register('crm.clients');

create table crm.contacts
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name       text        not null,
    email      text,
    phone      text,
    client_id  uuid,
    clients    jsonb       not null,
    archived   boolean     not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index contacts_created on crm.contacts (tenant_id, created_at, id);
create index contacts_name on crm.contacts (tenant_id, name, id);
create index contacts_client on crm.contacts (tenant_id, client_id, id) where client_id is not null;
create index contacts_email on crm.contacts (tenant_id, email) where email is not null;
select projections.register('crm.contacts');
