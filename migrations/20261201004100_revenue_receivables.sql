-- The read tables of what clients owe: settings, profiles, taxes, numbers, plans, invoices, payments and credit notes. Column order is the
-- order of the row types.

create table revenue.billing_settings
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    seller jsonb not null,
    currency text not null,
    rounding text collate "C" not null,
    payment_terms_days bigint not null,
    invoice_series text not null,
    credit_note_series text not null,
    default_tax_rate text,
    separation_of_duties boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index billing_settings_created on revenue.billing_settings (tenant_id, created_at, id);
select projections.register('revenue.billing_settings');

create table revenue.billing_profiles
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    buyer jsonb not null,
    payment_terms_days bigint,
    language text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index billing_profiles_created on revenue.billing_profiles (tenant_id, created_at, id);
create index billing_profiles_updated on revenue.billing_profiles (tenant_id, updated_at, id);
create index billing_profiles_client on revenue.billing_profiles (tenant_id, client_id, created_at, id);
select projections.register('revenue.billing_profiles');

create table revenue.tax_rates
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text collate shared.by_name not null,
    tax jsonb not null,
    category text not null,
    rate text,
    exemption_reason text,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index tax_rates_created on revenue.tax_rates (tenant_id, created_at, id);
create index tax_rates_key on revenue.tax_rates (tenant_id, key, id);
create index tax_rates_name on revenue.tax_rates (tenant_id, name, id);
create index tax_rates_name_folded on revenue.tax_rates (tenant_id, name collate shared.folded);
create index tax_rates_category on revenue.tax_rates (tenant_id, category, created_at, id);
select projections.register('revenue.tax_rates');

create table revenue.invoice_series
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text collate shared.by_name not null,
    prefix text not null,
    digits bigint not null,
    next bigint not null,
    last_number text,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index invoice_series_created on revenue.invoice_series (tenant_id, created_at, id);
create index invoice_series_key on revenue.invoice_series (tenant_id, key, id);
create index invoice_series_name on revenue.invoice_series (tenant_id, name, id);
create index invoice_series_name_folded on revenue.invoice_series (tenant_id, name collate shared.folded);
select projections.register('revenue.invoice_series');

create table revenue.invoice_plans
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    client_id uuid not null,
    project_id uuid,
    engagement_id uuid,
    kind text collate "C" not null,
    currency text not null,
    terms jsonb not null,
    status text collate "C" not null,
    reason text,
    entry_count bigint not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index invoice_plans_created on revenue.invoice_plans (tenant_id, created_at, id);
create index invoice_plans_updated on revenue.invoice_plans (tenant_id, updated_at, id);
create index invoice_plans_name on revenue.invoice_plans (tenant_id, name, id);
create index invoice_plans_name_folded on revenue.invoice_plans (tenant_id, name collate shared.folded);
create index invoice_plans_client on revenue.invoice_plans (tenant_id, client_id, created_at, id);
create index invoice_plans_project on revenue.invoice_plans (tenant_id, project_id, created_at, id) where project_id is not null;
create index invoice_plans_engagement on revenue.invoice_plans (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index invoice_plans_kind on revenue.invoice_plans (tenant_id, kind, created_at, id);
create index invoice_plans_status on revenue.invoice_plans (tenant_id, status, created_at, id);
select projections.register('revenue.invoice_plans');

create table revenue.plan_entries
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    invoice_plan_id uuid not null,
    name text collate shared.by_name not null,
    amount_minor bigint not null,
    currency text not null,
    milestone_id uuid,
    due_on date,
    status text collate "C" not null,
    invoice_id uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index plan_entries_created on revenue.plan_entries (tenant_id, created_at, id);
create index plan_entries_updated on revenue.plan_entries (tenant_id, updated_at, id);
create index plan_entries_invoice_plan on revenue.plan_entries (tenant_id, invoice_plan_id, created_at, id);
create index plan_entries_name on revenue.plan_entries (tenant_id, name, id);
create index plan_entries_name_folded on revenue.plan_entries (tenant_id, name collate shared.folded);
create index plan_entries_milestone on revenue.plan_entries (tenant_id, milestone_id, created_at, id) where milestone_id is not null;
create index plan_entries_due_on on revenue.plan_entries (tenant_id, due_on, id) where due_on is not null;
create index plan_entries_status on revenue.plan_entries (tenant_id, status, created_at, id);
create index plan_entries_invoice on revenue.plan_entries (tenant_id, invoice_id, created_at, id) where invoice_id is not null;
select projections.register('revenue.plan_entries');

create table revenue.invoices
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    shown_to_client_id uuid,
    project_id uuid,
    engagement_id uuid,
    status text collate "C" not null,
    number text,
    currency text not null,
    issued_on date,
    due_on date,
    net_minor bigint,
    tax_minor bigint,
    total_minor bigint,
    paid_minor bigint not null,
    outstanding_minor bigint not null,
    credited_minor bigint not null,
    taxes jsonb not null,
    rounding text collate "C",
    line_count bigint not null,
    buyer_reference text,
    note text,
    seller jsonb,
    buyer jsonb,
    language text,
    settlements jsonb not null,
    credit_note_ids jsonb not null,
    sent boolean not null,
    external_id text,
    ledger_rejection text,
    reason text,
    drafted_by jsonb,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index invoices_created on revenue.invoices (tenant_id, created_at, id);
create index invoices_updated on revenue.invoices (tenant_id, updated_at, id);
create index invoices_client on revenue.invoices (tenant_id, client_id, created_at, id);
create index invoices_project on revenue.invoices (tenant_id, project_id, created_at, id) where project_id is not null;
create index invoices_engagement on revenue.invoices (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index invoices_status on revenue.invoices (tenant_id, status, created_at, id);
create index invoices_number on revenue.invoices (tenant_id, number, created_at, id) where number is not null;
create index invoices_currency on revenue.invoices (tenant_id, currency, created_at, id);
create index invoices_issued_on on revenue.invoices (tenant_id, issued_on, id) where issued_on is not null;
create index invoices_due_on on revenue.invoices (tenant_id, due_on, id) where due_on is not null;
create index invoices_external on revenue.invoices (tenant_id, external_id, created_at, id) where external_id is not null;
select projections.register('revenue.invoices');

create table revenue.invoice_lines
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    invoice_id uuid not null,
    shown_to_client_id uuid,
    place bigint,
    description text not null,
    quantity text not null,
    measure text collate "C" not null,
    unit_price_minor bigint not null,
    currency text not null,
    tax jsonb not null,
    net_minor bigint,
    tax_minor bigint,
    source jsonb,
    removed boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index invoice_lines_created on revenue.invoice_lines (tenant_id, created_at, id);
create index invoice_lines_invoice on revenue.invoice_lines (tenant_id, invoice_id, created_at, id);
select projections.register('revenue.invoice_lines');

create table revenue.payments
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    status text collate "C" not null,
    amount_minor bigint not null,
    currency text not null,
    received_on date not null,
    method text collate "C" not null,
    reference text,
    external_id text,
    allocations jsonb not null,
    unallocated_minor bigint not null,
    refunded_minor bigint not null,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index payments_created on revenue.payments (tenant_id, created_at, id);
create index payments_updated on revenue.payments (tenant_id, updated_at, id);
create index payments_client on revenue.payments (tenant_id, client_id, created_at, id);
create index payments_status on revenue.payments (tenant_id, status, created_at, id);
create index payments_currency on revenue.payments (tenant_id, currency, created_at, id);
create index payments_received_on on revenue.payments (tenant_id, received_on, id);
create index payments_method on revenue.payments (tenant_id, method, created_at, id);
create index payments_external on revenue.payments (tenant_id, external_id, created_at, id) where external_id is not null;
select projections.register('revenue.payments');

create table revenue.credit_notes
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    shown_to_client_id uuid,
    invoice_id uuid not null,
    invoice_number text not null,
    status text collate "C" not null,
    number text,
    issued_on date,
    reason text not null,
    currency text not null,
    net_minor bigint not null,
    tax_minor bigint not null,
    total_minor bigint not null,
    remaining_minor bigint not null,
    lines jsonb not null,
    amounts jsonb not null,
    seller jsonb,
    buyer jsonb,
    allocations jsonb not null,
    refunded_minor bigint not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index credit_notes_created on revenue.credit_notes (tenant_id, created_at, id);
create index credit_notes_updated on revenue.credit_notes (tenant_id, updated_at, id);
create index credit_notes_client on revenue.credit_notes (tenant_id, client_id, created_at, id);
create index credit_notes_invoice on revenue.credit_notes (tenant_id, invoice_id, created_at, id);
create index credit_notes_status on revenue.credit_notes (tenant_id, status, created_at, id);
create index credit_notes_number on revenue.credit_notes (tenant_id, number, created_at, id) where number is not null;
create index credit_notes_issued_on on revenue.credit_notes (tenant_id, issued_on, id) where issued_on is not null;
create index credit_notes_currency on revenue.credit_notes (tenant_id, currency, created_at, id);
select projections.register('revenue.credit_notes');
