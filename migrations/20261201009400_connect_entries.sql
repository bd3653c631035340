-- What of ours a ledger has, and under which id: a ledger that tells of an entry names its own id of it, and an invoice or a bill says of
-- itself only that some ledger has it. It is kept when a connection is given up, so that one that is agreed to again knows what is there.

create table connect.entries
(
    tenant_id     uuid        not null,
    connection_id uuid        not null,
    -- The ledger's id.
    entry_id      text        not null,
    -- `invoice` or `bill`, and which one.
    kind          text        not null check (kind in ('invoice', 'bill')),
    record_id     uuid        not null,
    booked_at     timestamptz not null default clock_timestamp(),
    primary key (tenant_id, connection_id, entry_id)
);
create unique index entries_record on connect.entries (tenant_id, record_id, connection_id);
select shared.secure_tenant_table('connect.entries', '{}', '{ubos_worker}');
