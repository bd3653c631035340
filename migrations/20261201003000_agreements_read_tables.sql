-- The read tables of agreements: templates with their versions, proposals with their lines, contracts with those who get them. What a client sees
-- is tied by a column of its own, which is empty while something is a draft.

create schema agreements;
create table agreements.templates
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text collate shared.by_name not null,
    kind text collate "C" not null,
    latest bigint not null,
    body text not null,
    fields jsonb not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index templates_created on agreements.templates (tenant_id, created_at, id);
create index templates_updated on agreements.templates (tenant_id, updated_at, id);
create index templates_key on agreements.templates (tenant_id, key, id);
create index templates_name on agreements.templates (tenant_id, name, id);
create index templates_name_folded on agreements.templates (tenant_id, name collate shared.folded);
create index templates_kind on agreements.templates (tenant_id, kind, created_at, id);
select projections.register('agreements.templates');
create table agreements.template_versions
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    template_id uuid not null,
    number bigint not null,
    name text collate shared.by_name not null,
    body text not null,
    fields jsonb not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index template_versions_created on agreements.template_versions (tenant_id, created_at, id);
create index template_versions_template on agreements.template_versions (tenant_id, template_id, created_at, id);
create index template_versions_number on agreements.template_versions (tenant_id, number, created_at, id);
select projections.register('agreements.template_versions');
create table agreements.proposals
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    shown_to_client_id uuid,
    contact_id uuid,
    deal_id uuid,
    engagement_id uuid,
    supersedes_proposal_id uuid,
    superseded_by_proposal_id uuid,
    revision bigint not null,
    title text collate shared.by_name not null,
    template text,
    template_version bigint,
    body text,
    status text collate "C" not null,
    currency text not null,
    rounding text collate "C" not null,
    net_minor bigint not null,
    tax_minor bigint not null,
    total_minor bigint not null,
    taxes jsonb not null,
    valid_until date not null,
    expires_at timestamptz,
    sent_at timestamptz,
    viewed_at timestamptz,
    closed_at timestamptz,
    signer_name text,
    signer_email text,
    portal_user_id uuid,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index proposals_created on agreements.proposals (tenant_id, created_at, id);
create index proposals_updated on agreements.proposals (tenant_id, updated_at, id);
create index proposals_client on agreements.proposals (tenant_id, client_id, created_at, id);
create index proposals_contact on agreements.proposals (tenant_id, contact_id, created_at, id) where contact_id is not null;
create index proposals_deal on agreements.proposals (tenant_id, deal_id, created_at, id) where deal_id is not null;
create index proposals_engagement on agreements.proposals (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index proposals_supersedes_proposal on agreements.proposals (tenant_id, supersedes_proposal_id, created_at, id) where supersedes_proposal_id is not null;
create index proposals_title on agreements.proposals (tenant_id, title, id);
create index proposals_title_folded on agreements.proposals (tenant_id, title collate shared.folded);
create index proposals_template on agreements.proposals (tenant_id, template, created_at, id) where template is not null;
create index proposals_status on agreements.proposals (tenant_id, status, created_at, id);
create index proposals_total_minor on agreements.proposals (tenant_id, total_minor, id);
create index proposals_valid_until on agreements.proposals (tenant_id, valid_until, id);
select projections.register('agreements.proposals');
create table agreements.proposal_lines
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    proposal_id uuid not null,
    shown_to_client_id uuid,
    number bigint not null,
    description text not null,
    details text,
    quantity text not null,
    unit text collate "C" not null,
    unit_price_minor bigint not null,
    net_minor bigint not null,
    currency text not null,
    tax jsonb not null,
    optional boolean not null,
    accepted boolean not null,
    dropped boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index proposal_lines_created on agreements.proposal_lines (tenant_id, created_at, id);
create index proposal_lines_proposal on agreements.proposal_lines (tenant_id, proposal_id, created_at, id);
create index proposal_lines_number on agreements.proposal_lines (tenant_id, number, id);
select projections.register('agreements.proposal_lines');
create table agreements.contracts
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    shown_to_client_id uuid,
    proposal_id uuid,
    deal_id uuid,
    engagement_id uuid,
    title text collate shared.by_name not null,
    template text,
    template_version bigint,
    body text,
    parties jsonb not null,
    status text collate "C" not null,
    lines jsonb not null,
    currency text,
    total_minor bigint,
    sign_by date,
    expires_at timestamptz,
    sent_at timestamptz,
    connection_id uuid,
    envelope_id text,
    reminded_on date,
    signed_at timestamptz,
    document_file_id uuid,
    document_sha256 text,
    activated_at timestamptz,
    closed_at timestamptz,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index contracts_created on agreements.contracts (tenant_id, created_at, id);
create index contracts_updated on agreements.contracts (tenant_id, updated_at, id);
create index contracts_client on agreements.contracts (tenant_id, client_id, created_at, id);
create index contracts_proposal on agreements.contracts (tenant_id, proposal_id, created_at, id) where proposal_id is not null;
create index contracts_deal on agreements.contracts (tenant_id, deal_id, created_at, id) where deal_id is not null;
create index contracts_engagement on agreements.contracts (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index contracts_title on agreements.contracts (tenant_id, title, id);
create index contracts_title_folded on agreements.contracts (tenant_id, title collate shared.folded);
create index contracts_template on agreements.contracts (tenant_id, template, created_at, id) where template is not null;
create index contracts_status on agreements.contracts (tenant_id, status, created_at, id);
create index contracts_envelope on agreements.contracts (tenant_id, envelope_id, created_at, id) where envelope_id is not null;
select projections.register('agreements.contracts');
create table agreements.contract_recipients
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    contract_id uuid not null,
    shown_to_client_id uuid,
    name text collate shared.by_name,
    email text,
    role text collate "C" not null,
    turn bigint not null,
    status text collate "C" not null,
    signed_at timestamptz,
    reason text,
    dropped boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index contract_recipients_created on agreements.contract_recipients (tenant_id, created_at, id);
create index contract_recipients_contract on agreements.contract_recipients (tenant_id, contract_id, created_at, id);
create index contract_recipients_email on agreements.contract_recipients (tenant_id, email, created_at, id) where email is not null;
create index contract_recipients_role on agreements.contract_recipients (tenant_id, role, created_at, id);
create index contract_recipients_turn on agreements.contract_recipients (tenant_id, turn, id);
create index contract_recipients_status on agreements.contract_recipients (tenant_id, status, created_at, id);
select projections.register('agreements.contract_recipients');
