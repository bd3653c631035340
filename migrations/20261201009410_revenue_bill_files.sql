-- Files that are to become bills: what was read of each, or why it could not be, so that whoever enters bills sees what waits.
create table revenue.bill_files
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    file_id uuid not null,
    status text collate "C" not null,
    bill_id uuid,
    problem text collate "C",
    detail text,
    same_bill_id uuid,
    format text collate "C",
    vendor_id uuid,
    sender_name text,
    sender_vat_id text,
    sender_email text,
    iban text,
    reference text,
    issued_on date,
    due_on date,
    currency text,
    total_minor bigint,
    tax_minor bigint,
    due_minor bigint,
    warnings jsonb not null,
    handed_in_by uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index bill_files_created on revenue.bill_files (tenant_id, created_at, id);
create index bill_files_updated on revenue.bill_files (tenant_id, updated_at, id);
create index bill_files_file on revenue.bill_files (tenant_id, file_id, created_at, id);
create index bill_files_status on revenue.bill_files (tenant_id, status, created_at, id);
create index bill_files_bill on revenue.bill_files (tenant_id, bill_id, created_at, id) where bill_id is not null;
create index bill_files_problem on revenue.bill_files (tenant_id, problem, created_at, id) where problem is not null;
create index bill_files_vendor on revenue.bill_files (tenant_id, vendor_id, created_at, id) where vendor_id is not null;
create index bill_files_reference on revenue.bill_files (tenant_id, reference, created_at, id) where reference is not null;
create index bill_files_handed_in_by on revenue.bill_files (tenant_id, handed_in_by, created_at, id) where handed_in_by is not null;
select projections.register('revenue.bill_files');
