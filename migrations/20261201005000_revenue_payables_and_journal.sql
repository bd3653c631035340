-- What the firm owes its vendors: vendors, bills with their lines and payments, who approves, and the journal of all that is owed. The
-- journal's rows are written once, each by the event that made it, so it grows and never changes.
create table revenue.vendors
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    vat_id text,
    email text,
    phone text,
    address jsonb,
    iban text,
    currency text,
    account_code text,
    tax_code text,
    ledgers jsonb not null,
    archived boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index vendors_created on revenue.vendors (tenant_id, created_at, id);
create index vendors_updated on revenue.vendors (tenant_id, updated_at, id);
create index vendors_name on revenue.vendors (tenant_id, name, id);
create index vendors_name_folded on revenue.vendors (tenant_id, name collate shared.folded);
create index vendors_vat on revenue.vendors (tenant_id, vat_id, created_at, id) where vat_id is not null;
create index vendors_email on revenue.vendors (tenant_id, email, created_at, id) where email is not null;
select projections.register('revenue.vendors');
create table revenue.bills
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    vendor_id uuid,
    reference text not null,
    reference_rule text collate "C" not null,
    reference_year bigint not null,
    alike_bill_id uuid,
    suspected_of_id uuid,
    status text collate "C" not null,
    source text collate "C" not null,
    issued_on date,
    due_on date,
    currency text not null,
    total_minor bigint not null,
    outstanding_minor bigint not null,
    file_id uuid,
    note text,
    project_ids jsonb not null,
    received_by uuid,
    policy_id uuid,
    rule text,
    steps jsonb not null,
    step bigint,
    approver_ids jsonb not null,
    escalated boolean not null,
    reason text,
    connection_id uuid,
    external_id text,
    ledger_error text,
    paid_on date,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index bills_created on revenue.bills (tenant_id, created_at, id);
create index bills_updated on revenue.bills (tenant_id, updated_at, id);
create index bills_vendor on revenue.bills (tenant_id, vendor_id, created_at, id) where vendor_id is not null;
create index bills_reference on revenue.bills (tenant_id, reference, created_at, id);
create index bills_suspected_of on revenue.bills (tenant_id, suspected_of_id, created_at, id) where suspected_of_id is not null;
create index bills_status on revenue.bills (tenant_id, status, created_at, id);
create index bills_source on revenue.bills (tenant_id, source, created_at, id);
create index bills_issued_on on revenue.bills (tenant_id, issued_on, id) where issued_on is not null;
create index bills_due_on on revenue.bills (tenant_id, due_on, id) where due_on is not null;
create index bills_currency on revenue.bills (tenant_id, currency, created_at, id);
create index bills_total_minor on revenue.bills (tenant_id, total_minor, id);
create index bills_file on revenue.bills (tenant_id, file_id, created_at, id) where file_id is not null;
create index bills_external on revenue.bills (tenant_id, external_id, created_at, id) where external_id is not null;
select projections.register('revenue.bills');
create table revenue.bill_lines
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    bill_id uuid not null,
    place bigint not null,
    description text not null,
    currency text not null,
    net_minor bigint not null,
    tax_minor bigint not null,
    account_code text,
    tax_code text,
    project_id uuid,
    superseded boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index bill_lines_created on revenue.bill_lines (tenant_id, created_at, id);
create index bill_lines_updated on revenue.bill_lines (tenant_id, updated_at, id);
create index bill_lines_bill on revenue.bill_lines (tenant_id, bill_id, created_at, id);
create index bill_lines_place on revenue.bill_lines (tenant_id, place, id);
create index bill_lines_account_code on revenue.bill_lines (tenant_id, account_code, created_at, id) where account_code is not null;
create index bill_lines_project on revenue.bill_lines (tenant_id, project_id, created_at, id) where project_id is not null;
select projections.register('revenue.bill_lines');
create table revenue.bill_payments
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    bill_id uuid not null,
    vendor_id uuid not null,
    currency text not null,
    amount_minor bigint not null,
    paid_on date not null,
    method text collate "C" not null,
    reference text,
    reversed_on date,
    reversal_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index bill_payments_created on revenue.bill_payments (tenant_id, created_at, id);
create index bill_payments_updated on revenue.bill_payments (tenant_id, updated_at, id);
create index bill_payments_bill on revenue.bill_payments (tenant_id, bill_id, created_at, id);
create index bill_payments_vendor on revenue.bill_payments (tenant_id, vendor_id, created_at, id);
create index bill_payments_paid_on on revenue.bill_payments (tenant_id, paid_on, id);
create index bill_payments_reference on revenue.bill_payments (tenant_id, reference, created_at, id) where reference is not null;
select projections.register('revenue.bill_payments');
create table revenue.approval_policies
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    subject text collate "C" not null,
    rules jsonb not null,
    separation_of_duties boolean not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index approval_policies_created on revenue.approval_policies (tenant_id, created_at, id);
create index approval_policies_updated on revenue.approval_policies (tenant_id, updated_at, id);
create index approval_policies_name on revenue.approval_policies (tenant_id, name, id);
create index approval_policies_subject on revenue.approval_policies (tenant_id, subject, created_at, id);
select projections.register('revenue.approval_policies');
create table revenue.payables_settings
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    reference_rule text collate "C" not null,
    pay_within_days bigint,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index payables_settings_created on revenue.payables_settings (tenant_id, created_at, id);
select projections.register('revenue.payables_settings');
create table revenue.journal_entries
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    kind text collate "C" not null,
    booked_on date not null,
    currency text not null,
    amount_minor bigint not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    client_id uuid,
    vendor_id uuid,
    primary key (tenant_id, id)
);
create index journal_entries_created on revenue.journal_entries (tenant_id, created_at, id);
create index journal_entries_kind on revenue.journal_entries (tenant_id, kind, created_at, id);
create index journal_entries_booked_on on revenue.journal_entries (tenant_id, booked_on, id);
create index journal_entries_aggregate on revenue.journal_entries (tenant_id, aggregate_id, created_at, id);
create index journal_entries_client on revenue.journal_entries (tenant_id, client_id, created_at, id) where client_id is not null;
create index journal_entries_vendor on revenue.journal_entries (tenant_id, vendor_id, created_at, id) where vendor_id is not null;
select projections.register('revenue.journal_entries');
create table revenue.journal_postings
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    entry_id uuid not null,
    place bigint not null,
    booked_on date not null,
    account text collate "C" not null,
    account_code text,
    currency text not null,
    debit_minor bigint not null,
    credit_minor bigint not null,
    client_id uuid,
    vendor_id uuid,
    project_id uuid,
    primary key (tenant_id, id)
);
create index journal_postings_created on revenue.journal_postings (tenant_id, created_at, id);
create index journal_postings_entry on revenue.journal_postings (tenant_id, entry_id, created_at, id);
create index journal_postings_booked_on on revenue.journal_postings (tenant_id, booked_on, id);
create index journal_postings_account on revenue.journal_postings (tenant_id, account, created_at, id);
select projections.register('revenue.journal_postings');
