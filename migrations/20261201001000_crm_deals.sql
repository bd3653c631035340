-- What clients may engage the firm for, the stages through which that goes, and what they have engaged it for. Every filter and
-- order of their lists has an index (docs/adr/0039).

create table crm.pipelines
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text collate shared.by_name not null,
    stages jsonb not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index pipelines_created on crm.pipelines (tenant_id, created_at, id);
create index pipelines_updated on crm.pipelines (tenant_id, updated_at, id);
create index pipelines_key on crm.pipelines (tenant_id, key, id);
create index pipelines_name on crm.pipelines (tenant_id, name, id);
create index pipelines_name_folded on crm.pipelines (tenant_id, name collate shared.folded);
select projections.register('crm.pipelines');

create table crm.deals
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    client_id uuid not null,
    contact_id uuid,
    owner_id uuid,
    status text collate "C" not null,
    pipeline text not null,
    stage text not null,
    value_minor bigint,
    currency text,
    probability bigint not null,
    estimated boolean not null,
    expected_close_on date,
    closed_at timestamptz,
    lost_reason text,
    archived boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index deals_created on crm.deals (tenant_id, created_at, id);
create index deals_updated on crm.deals (tenant_id, updated_at, id);
create index deals_name on crm.deals (tenant_id, name, id);
create index deals_name_folded on crm.deals (tenant_id, name collate shared.folded);
create index deals_client on crm.deals (tenant_id, client_id, created_at, id);
create index deals_contact on crm.deals (tenant_id, contact_id, created_at, id) where contact_id is not null;
create index deals_owner on crm.deals (tenant_id, owner_id, created_at, id) where owner_id is not null;
create index deals_status on crm.deals (tenant_id, status, created_at, id);
create index deals_pipeline on crm.deals (tenant_id, pipeline, created_at, id);
create index deals_stage on crm.deals (tenant_id, stage, created_at, id);
create index deals_currency on crm.deals (tenant_id, currency, created_at, id) where currency is not null;
create index deals_probability on crm.deals (tenant_id, probability, id);
create index deals_expected_close_on on crm.deals (tenant_id, expected_close_on, id) where expected_close_on is not null;
create index deals_closed on crm.deals (tenant_id, closed_at, id) where closed_at is not null;
select projections.register('crm.deals');

create table crm.engagements
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    client_id uuid not null,
    deal_id uuid,
    contract_id uuid,
    owner_id uuid,
    status text collate "C" not null,
    starts_on date not null,
    ends_on date,
    value_minor bigint,
    currency text,
    reason text,
    closed_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index engagements_created on crm.engagements (tenant_id, created_at, id);
create index engagements_updated on crm.engagements (tenant_id, updated_at, id);
create index engagements_name on crm.engagements (tenant_id, name, id);
create index engagements_name_folded on crm.engagements (tenant_id, name collate shared.folded);
create index engagements_client on crm.engagements (tenant_id, client_id, created_at, id);
create index engagements_deal on crm.engagements (tenant_id, deal_id, created_at, id) where deal_id is not null;
create index engagements_contract on crm.engagements (tenant_id, contract_id, created_at, id) where contract_id is not null;
create index engagements_owner on crm.engagements (tenant_id, owner_id, created_at, id) where owner_id is not null;
create index engagements_status on crm.engagements (tenant_id, status, created_at, id);
create index engagements_starts_on on crm.engagements (tenant_id, starts_on, id);
create index engagements_ends_on on crm.engagements (tenant_id, ends_on, id) where ends_on is not null;
create index engagements_currency on crm.engagements (tenant_id, currency, created_at, id) where currency is not null;
create index engagements_closed on crm.engagements (tenant_id, closed_at, id) where closed_at is not null;
select projections.register('crm.engagements');
