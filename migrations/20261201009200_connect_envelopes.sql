-- Which contract an envelope at a provider is, and what a provider was asked to send: noted before it is asked, because an answer may get
-- lost, and a provider may say something about an envelope before our own record names it. Nobody's name is in it.

create table connect.envelopes
(
    tenant_id     uuid        not null,
    contract_id   uuid        not null,
    connection_id uuid        not null,
    -- What the provider was told, and finds the envelope by for some days.
    key           text        not null,
    asked_at      timestamptz not null default clock_timestamp(),
    -- What the provider calls it, once that is known.
    envelope_id   text,
    primary key (tenant_id, contract_id)
);
create unique index envelopes_envelope on connect.envelopes (tenant_id, connection_id, envelope_id) where envelope_id is not null;
select shared.secure_tenant_table('connect.envelopes', '{}', '{ubos_worker}');
