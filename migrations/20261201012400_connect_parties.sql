-- What a ledger calls a client or a vendor of ours. Not every ledger has a place for our id, and where somebody makes one of two there, ours
-- is the other one from then on. It is kept when a connection is given up, as what is booked is.

create table connect.parties
(
    tenant_id     uuid        not null,
    connection_id uuid        not null,
    -- Who buys and who sells may stand apart there.
    book          text        not null check (book in ('sales', 'purchases')),
    -- Our id.
    reference     text        not null,
    -- The ledger's.
    party_id      text        not null,
    noted_at      timestamptz not null default clock_timestamp(),
    primary key (tenant_id, connection_id, book, reference)
);
create index parties_there on connect.parties (tenant_id, connection_id, book, party_id);
select shared.secure_tenant_table('connect.parties', '{}', '{ubos_worker}');
