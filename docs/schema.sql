-- The database as the migrations leave it, up to 20261201012400_connect_parties.sql: to be read, not run.
--
-- Written by `cargo xtask gen` from what pg_dump says; do not edit, write a migration. After the roles, each schema has its
-- tables with all that belongs to them, then its functions. Everything is owned by ubos_owner unless it says otherwise.
-- Partitions are not here: there are as many as the log needs.

-- roles

CREATE ROLE ubos_command;
ALTER ROLE ubos_command WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE ubos_owner;
ALTER ROLE ubos_owner WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE ubos_query;
ALTER ROLE ubos_query WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE ubos_worker;
ALTER ROLE ubos_worker WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;

-- agreements

CREATE SCHEMA agreements;
GRANT USAGE ON SCHEMA agreements TO ubos_query;
GRANT USAGE ON SCHEMA agreements TO ubos_worker;

CREATE TABLE agreements.contract_recipients (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    contract_id uuid NOT NULL,
    shown_to_client_id uuid,
    name text COLLATE shared.by_name,
    email text,
    role text NOT NULL COLLATE pg_catalog."C",
    turn bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    signed_at timestamp with time zone,
    reason text,
    dropped boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.contract_recipients FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.contract_recipients
    ADD CONSTRAINT contract_recipients_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX contract_recipients_contract ON agreements.contract_recipients USING btree (tenant_id, contract_id, created_at, id);
CREATE INDEX contract_recipients_created ON agreements.contract_recipients USING btree (tenant_id, created_at, id);
CREATE INDEX contract_recipients_email ON agreements.contract_recipients USING btree (tenant_id, email, created_at, id) WHERE (email IS NOT NULL);
CREATE INDEX contract_recipients_role ON agreements.contract_recipients USING btree (tenant_id, role, created_at, id);
CREATE INDEX contract_recipients_status ON agreements.contract_recipients USING btree (tenant_id, status, created_at, id);
CREATE INDEX contract_recipients_turn ON agreements.contract_recipients USING btree (tenant_id, turn, id);
ALTER TABLE agreements.contract_recipients ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON agreements.contract_recipients TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON agreements.contract_recipients TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.contract_recipients TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.contract_recipients TO ubos_worker;

CREATE TABLE agreements.contracts (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    shown_to_client_id uuid,
    proposal_id uuid,
    deal_id uuid,
    engagement_id uuid,
    title text NOT NULL COLLATE shared.by_name,
    template text,
    template_version bigint,
    body text,
    parties jsonb NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    lines jsonb NOT NULL,
    currency text,
    total_minor bigint,
    sign_by date,
    expires_at timestamp with time zone,
    sent_at timestamp with time zone,
    connection_id uuid,
    envelope_id text,
    reminded_on date,
    signed_at timestamp with time zone,
    document_file_id uuid,
    document_sha256 text,
    activated_at timestamp with time zone,
    closed_at timestamp with time zone,
    reason text
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.contracts FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.contracts
    ADD CONSTRAINT contracts_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX contracts_client ON agreements.contracts USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX contracts_created ON agreements.contracts USING btree (tenant_id, created_at, id);
CREATE INDEX contracts_deal ON agreements.contracts USING btree (tenant_id, deal_id, created_at, id) WHERE (deal_id IS NOT NULL);
CREATE INDEX contracts_engagement ON agreements.contracts USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX contracts_envelope ON agreements.contracts USING btree (tenant_id, envelope_id, created_at, id) WHERE (envelope_id IS NOT NULL);
CREATE INDEX contracts_proposal ON agreements.contracts USING btree (tenant_id, proposal_id, created_at, id) WHERE (proposal_id IS NOT NULL);
CREATE INDEX contracts_status ON agreements.contracts USING btree (tenant_id, status, created_at, id);
CREATE INDEX contracts_template ON agreements.contracts USING btree (tenant_id, template, created_at, id) WHERE (template IS NOT NULL);
CREATE INDEX contracts_title ON agreements.contracts USING btree (tenant_id, title, id);
CREATE INDEX contracts_title_folded ON agreements.contracts USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX contracts_updated ON agreements.contracts USING btree (tenant_id, updated_at, id);
ALTER TABLE agreements.contracts ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON agreements.contracts TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON agreements.contracts TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.contracts TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.contracts TO ubos_worker;

CREATE TABLE agreements.proposal_lines (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    proposal_id uuid NOT NULL,
    shown_to_client_id uuid,
    number bigint NOT NULL,
    description text NOT NULL,
    details text,
    quantity text NOT NULL,
    unit text NOT NULL COLLATE pg_catalog."C",
    unit_price_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    currency text NOT NULL,
    tax jsonb NOT NULL,
    optional boolean NOT NULL,
    accepted boolean NOT NULL,
    dropped boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.proposal_lines FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.proposal_lines
    ADD CONSTRAINT proposal_lines_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX proposal_lines_created ON agreements.proposal_lines USING btree (tenant_id, created_at, id);
CREATE INDEX proposal_lines_number ON agreements.proposal_lines USING btree (tenant_id, number, id);
CREATE INDEX proposal_lines_proposal ON agreements.proposal_lines USING btree (tenant_id, proposal_id, created_at, id);
CREATE POLICY every_tenant ON agreements.proposal_lines TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE agreements.proposal_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON agreements.proposal_lines TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.proposal_lines TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.proposal_lines TO ubos_worker;

CREATE TABLE agreements.proposals (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    shown_to_client_id uuid,
    contact_id uuid,
    deal_id uuid,
    engagement_id uuid,
    supersedes_proposal_id uuid,
    superseded_by_proposal_id uuid,
    revision bigint NOT NULL,
    title text NOT NULL COLLATE shared.by_name,
    template text,
    template_version bigint,
    body text,
    status text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL,
    rounding text NOT NULL COLLATE pg_catalog."C",
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    taxes jsonb NOT NULL,
    valid_until date NOT NULL,
    expires_at timestamp with time zone,
    sent_at timestamp with time zone,
    viewed_at timestamp with time zone,
    closed_at timestamp with time zone,
    signer_name text,
    signer_email text,
    portal_user_id uuid,
    reason text
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.proposals FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.proposals
    ADD CONSTRAINT proposals_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX proposals_client ON agreements.proposals USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX proposals_contact ON agreements.proposals USING btree (tenant_id, contact_id, created_at, id) WHERE (contact_id IS NOT NULL);
CREATE INDEX proposals_created ON agreements.proposals USING btree (tenant_id, created_at, id);
CREATE INDEX proposals_deal ON agreements.proposals USING btree (tenant_id, deal_id, created_at, id) WHERE (deal_id IS NOT NULL);
CREATE INDEX proposals_engagement ON agreements.proposals USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX proposals_status ON agreements.proposals USING btree (tenant_id, status, created_at, id);
CREATE INDEX proposals_supersedes_proposal ON agreements.proposals USING btree (tenant_id, supersedes_proposal_id, created_at, id) WHERE (supersedes_proposal_id IS NOT NULL);
CREATE INDEX proposals_template ON agreements.proposals USING btree (tenant_id, template, created_at, id) WHERE (template IS NOT NULL);
CREATE INDEX proposals_title ON agreements.proposals USING btree (tenant_id, title, id);
CREATE INDEX proposals_title_folded ON agreements.proposals USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX proposals_total_minor ON agreements.proposals USING btree (tenant_id, total_minor, id);
CREATE INDEX proposals_updated ON agreements.proposals USING btree (tenant_id, updated_at, id);
CREATE INDEX proposals_valid_until ON agreements.proposals USING btree (tenant_id, valid_until, id);
CREATE POLICY every_tenant ON agreements.proposals TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE agreements.proposals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON agreements.proposals TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.proposals TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.proposals TO ubos_worker;

CREATE TABLE agreements.template_versions (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    template_id uuid NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    body text NOT NULL,
    fields jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.template_versions FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.template_versions
    ADD CONSTRAINT template_versions_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX template_versions_created ON agreements.template_versions USING btree (tenant_id, created_at, id);
CREATE INDEX template_versions_number ON agreements.template_versions USING btree (tenant_id, number, created_at, id);
CREATE INDEX template_versions_template ON agreements.template_versions USING btree (tenant_id, template_id, created_at, id);
CREATE POLICY every_tenant ON agreements.template_versions TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE agreements.template_versions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON agreements.template_versions TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.template_versions TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.template_versions TO ubos_worker;

CREATE TABLE agreements.templates (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    kind text NOT NULL COLLATE pg_catalog."C",
    latest bigint NOT NULL,
    body text NOT NULL,
    fields jsonb NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY agreements.templates FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY agreements.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX templates_created ON agreements.templates USING btree (tenant_id, created_at, id);
CREATE INDEX templates_key ON agreements.templates USING btree (tenant_id, key, id);
CREATE INDEX templates_kind ON agreements.templates USING btree (tenant_id, kind, created_at, id);
CREATE INDEX templates_name ON agreements.templates USING btree (tenant_id, name, id);
CREATE INDEX templates_name_folded ON agreements.templates USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX templates_updated ON agreements.templates USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON agreements.templates TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE agreements.templates ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON agreements.templates TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE agreements.templates TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE agreements.templates TO ubos_worker;

-- audit

CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO ubos_command;
GRANT USAGE ON SCHEMA audit TO ubos_query;
GRANT USAGE ON SCHEMA audit TO ubos_worker;

CREATE TABLE audit.api_key_uses (
    tenant_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    last_used_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
ALTER TABLE ONLY audit.api_key_uses FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY audit.api_key_uses
    ADD CONSTRAINT api_key_uses_pkey PRIMARY KEY (tenant_id, api_key_id);
ALTER TABLE audit.api_key_uses ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON audit.api_key_uses TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON audit.api_key_uses TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE audit.api_key_uses TO ubos_query;

CREATE TABLE audit.refusals (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    permission text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_ids uuid[] NOT NULL,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    api_key_id uuid,
    reason text NOT NULL,
    detail text NOT NULL,
    correlation_id uuid NOT NULL,
    client_address text,
    count bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT refusals_count_check CHECK ((count > 0))
);
ALTER TABLE ONLY audit.refusals FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY audit.refusals
    ADD CONSTRAINT refusals_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX refusals_age ON audit.refusals USING brin (at);
CREATE INDEX refusals_at ON audit.refusals USING btree (tenant_id, at, id);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.refusals FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON audit.refusals FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE POLICY every_tenant ON audit.refusals TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE audit.refusals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit.refusals TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE audit.refusals TO ubos_query;

CREATE FUNCTION audit.forget_refusals() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    with old as (select tenant_id, id from audit.refusals where at < now() - interval '400 days' limit 10000),
         gone as (delete from audit.refusals r using old where r.tenant_id = old.tenant_id and r.id = old.id returning 1)
    select count(*) from gone
$$;
REVOKE ALL ON FUNCTION audit.forget_refusals() FROM PUBLIC;
GRANT ALL ON FUNCTION audit.forget_refusals() TO ubos_command;

CREATE FUNCTION audit.note_api_key_uses(tenants uuid[], keys uuid[], times timestamp with time zone[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    insert into audit.api_key_uses as u (tenant_id, api_key_id, last_used_at)
    -- In one order, so that two writers never wait for each other in a circle.
    select * from unnest(tenants, keys, times) as t(tenant, key, used) order by tenant, key
    on conflict (tenant_id, api_key_id) do update set last_used_at = excluded.last_used_at
        where u.last_used_at < excluded.last_used_at
$$;
REVOKE ALL ON FUNCTION audit.note_api_key_uses(tenants uuid[], keys uuid[], times timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.note_api_key_uses(tenants uuid[], keys uuid[], times timestamp with time zone[]) TO ubos_command;
GRANT ALL ON FUNCTION audit.note_api_key_uses(tenants uuid[], keys uuid[], times timestamp with time zone[]) TO ubos_query;

CREATE FUNCTION audit.note_refusals(noted jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    insert into audit.refusals (tenant_id, id, permission, aggregate_type, aggregate_ids, actor_kind, actor, api_key_id, reason,
                                detail, correlation_id, client_address, count, first_at, last_at)
    select tenant_id, id, permission, aggregate_type, aggregate_ids, actor_kind, actor, api_key_id, reason,
           detail, correlation_id, client_address, count, first_at, last_at
    from jsonb_to_recordset(noted) as r(tenant_id uuid, id uuid, permission text, aggregate_type text, aggregate_ids uuid[],
                                        actor_kind text, actor text, api_key_id uuid, reason text, detail text,
                                        correlation_id uuid, client_address text, count bigint, first_at timestamptz,
                                        last_at timestamptz)
    on conflict (tenant_id, id) do nothing
$$;
REVOKE ALL ON FUNCTION audit.note_refusals(noted jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.note_refusals(noted jsonb) TO ubos_command;
GRANT ALL ON FUNCTION audit.note_refusals(noted jsonb) TO ubos_worker;

CREATE FUNCTION audit.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if tg_op = 'DELETE' then
        if old.at < now() - interval '400 days' then
            return old;
        end if;
    end if;
    raise exception 'the audit trail is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;

-- communications

CREATE SCHEMA communications;
GRANT USAGE ON SCHEMA communications TO ubos_query;
GRANT USAGE ON SCHEMA communications TO ubos_worker;

CREATE TABLE communications.email_templates (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    subject text NOT NULL,
    body text NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.email_templates FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.email_templates
    ADD CONSTRAINT email_templates_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX email_templates_created ON communications.email_templates USING btree (tenant_id, created_at, id);
CREATE INDEX email_templates_key ON communications.email_templates USING btree (tenant_id, key, id);
CREATE INDEX email_templates_name ON communications.email_templates USING btree (tenant_id, name, id);
CREATE INDEX email_templates_name_folded ON communications.email_templates USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX email_templates_updated ON communications.email_templates USING btree (tenant_id, updated_at, id);
ALTER TABLE communications.email_templates ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON communications.email_templates TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON communications.email_templates TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.email_templates TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.email_templates TO ubos_worker;

CREATE TABLE communications.emails (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    contact_id uuid,
    user_id uuid,
    portal_user_id uuid,
    address text,
    subject text NOT NULL,
    body text,
    template text,
    client_id uuid,
    thread_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    attempt bigint NOT NULL,
    sent_at timestamp with time zone,
    code text,
    reason text,
    attachments jsonb DEFAULT '[]'::jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.emails FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.emails
    ADD CONSTRAINT emails_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX emails_address ON communications.emails USING btree (tenant_id, address, created_at, id) WHERE (address IS NOT NULL);
CREATE INDEX emails_client ON communications.emails USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX emails_code ON communications.emails USING btree (tenant_id, code, created_at, id) WHERE (code IS NOT NULL);
CREATE INDEX emails_contact ON communications.emails USING btree (tenant_id, contact_id, created_at, id) WHERE (contact_id IS NOT NULL);
CREATE INDEX emails_created ON communications.emails USING btree (tenant_id, created_at, id);
CREATE INDEX emails_portal_user ON communications.emails USING btree (tenant_id, portal_user_id, created_at, id) WHERE (portal_user_id IS NOT NULL);
CREATE INDEX emails_status ON communications.emails USING btree (tenant_id, status, created_at, id);
CREATE INDEX emails_subject ON communications.emails USING btree (tenant_id, subject, id);
CREATE INDEX emails_template ON communications.emails USING btree (tenant_id, template, created_at, id) WHERE (template IS NOT NULL);
CREATE INDEX emails_thread ON communications.emails USING btree (tenant_id, thread_id, created_at, id) WHERE (thread_id IS NOT NULL);
CREATE INDEX emails_updated ON communications.emails USING btree (tenant_id, updated_at, id);
CREATE INDEX emails_user ON communications.emails USING btree (tenant_id, user_id, created_at, id) WHERE (user_id IS NOT NULL);
ALTER TABLE communications.emails ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON communications.emails TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON communications.emails TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.emails TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.emails TO ubos_worker;

CREATE TABLE communications.messages (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    thread_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    client_id uuid,
    portal_client_id uuid,
    project_id uuid,
    author_kind text COLLATE pg_catalog."C",
    author_id uuid,
    body text,
    status text NOT NULL COLLATE pg_catalog."C",
    edited_at timestamp with time zone,
    redacted_reason text,
    engagement_id uuid,
    portal_engagement_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.messages FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX messages_author ON communications.messages USING btree (tenant_id, author_id, created_at, id) WHERE (author_id IS NOT NULL);
CREATE INDEX messages_client ON communications.messages USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX messages_created ON communications.messages USING btree (tenant_id, created_at, id);
CREATE INDEX messages_engagement ON communications.messages USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX messages_project ON communications.messages USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX messages_status ON communications.messages USING btree (tenant_id, status, created_at, id);
CREATE INDEX messages_thread ON communications.messages USING btree (tenant_id, thread_id, created_at, id);
CREATE INDEX messages_updated ON communications.messages USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON communications.messages TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE communications.messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON communications.messages TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.messages TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.messages TO ubos_worker;

CREATE TABLE communications.notes (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    about_kind text NOT NULL COLLATE pg_catalog."C",
    about_id uuid NOT NULL,
    client_id uuid,
    project_id uuid,
    author_kind text COLLATE pg_catalog."C",
    author_id uuid,
    body text,
    status text NOT NULL COLLATE pg_catalog."C",
    edited_at timestamp with time zone,
    engagement_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX notes_about ON communications.notes USING btree (tenant_id, about_id, created_at, id);
CREATE INDEX notes_about_kind ON communications.notes USING btree (tenant_id, about_kind, created_at, id);
CREATE INDEX notes_author ON communications.notes USING btree (tenant_id, author_id, created_at, id) WHERE (author_id IS NOT NULL);
CREATE INDEX notes_client ON communications.notes USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX notes_created ON communications.notes USING btree (tenant_id, created_at, id);
CREATE INDEX notes_engagement ON communications.notes USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX notes_project ON communications.notes USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX notes_status ON communications.notes USING btree (tenant_id, status, created_at, id);
CREATE INDEX notes_updated ON communications.notes USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON communications.notes TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE communications.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON communications.notes TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.notes TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.notes TO ubos_worker;

CREATE TABLE communications.notification_preferences (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    preferences jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.notification_preferences FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.notification_preferences
    ADD CONSTRAINT notification_preferences_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX notification_preferences_created ON communications.notification_preferences USING btree (tenant_id, created_at, id);
CREATE INDEX notification_preferences_updated ON communications.notification_preferences USING btree (tenant_id, updated_at, id);
CREATE INDEX notification_preferences_user ON communications.notification_preferences USING btree (tenant_id, user_id, created_at, id);
CREATE POLICY every_tenant ON communications.notification_preferences TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE communications.notification_preferences ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON communications.notification_preferences TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.notification_preferences TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.notification_preferences TO ubos_worker;

CREATE TABLE communications.notifications (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    title text COLLATE shared.by_name,
    body text,
    about_kind text COLLATE pg_catalog."C",
    about_id uuid,
    link text,
    status text NOT NULL COLLATE pg_catalog."C",
    in_product boolean NOT NULL,
    by_email boolean NOT NULL,
    read_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.notifications FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX notifications_about ON communications.notifications USING btree (tenant_id, about_id, created_at, id) WHERE (about_id IS NOT NULL);
CREATE INDEX notifications_created ON communications.notifications USING btree (tenant_id, created_at, id);
CREATE INDEX notifications_in_product ON communications.notifications USING btree (tenant_id, in_product, created_at, id);
CREATE INDEX notifications_kind ON communications.notifications USING btree (tenant_id, kind, created_at, id);
CREATE INDEX notifications_status ON communications.notifications USING btree (tenant_id, status, created_at, id);
CREATE INDEX notifications_updated ON communications.notifications USING btree (tenant_id, updated_at, id);
CREATE INDEX notifications_user ON communications.notifications USING btree (tenant_id, user_id, created_at, id);
CREATE POLICY every_tenant ON communications.notifications TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE communications.notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON communications.notifications TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE communications.notifications TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.notifications TO ubos_worker;

CREATE TABLE communications.threads (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL,
    client_id uuid,
    portal_client_id uuid,
    project_id uuid,
    participants jsonb NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    message_count bigint NOT NULL,
    last_message_at timestamp with time zone,
    last_message_id uuid,
    reads jsonb NOT NULL,
    engagement_id uuid,
    portal_engagement_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY communications.threads FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY communications.threads
    ADD CONSTRAINT threads_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX threads_client ON communications.threads USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX threads_created ON communications.threads USING btree (tenant_id, created_at, id);
CREATE INDEX threads_engagement ON communications.threads USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX threads_kind ON communications.threads USING btree (tenant_id, kind, created_at, id);
CREATE INDEX threads_last_message ON communications.threads USING btree (tenant_id, last_message_at, id) WHERE (last_message_at IS NOT NULL);
CREATE INDEX threads_project ON communications.threads USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX threads_status ON communications.threads USING btree (tenant_id, status, created_at, id);
CREATE INDEX threads_subject ON communications.threads USING btree (tenant_id, subject, id);
CREATE INDEX threads_updated ON communications.threads USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON communications.threads TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON communications.threads TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE communications.threads ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE communications.threads TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE communications.threads TO ubos_worker;

-- connect

CREATE SCHEMA connect;
GRANT USAGE ON SCHEMA connect TO ubos_command;
GRANT USAGE ON SCHEMA connect TO ubos_query;
GRANT USAGE ON SCHEMA connect TO ubos_worker;

CREATE TABLE connect.budgets (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    name text NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    used integer NOT NULL,
    most integer NOT NULL
);
ALTER TABLE ONLY connect.budgets FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (tenant_id, connection_id, name);
ALTER TABLE connect.budgets ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connect.budgets TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connect.budgets TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE connect.budgets TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.budgets TO ubos_worker;

CREATE TABLE connect.calls (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    call_id uuid NOT NULL,
    ends_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY connect.calls FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (tenant_id, connection_id, call_id);
ALTER TABLE connect.calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connect.calls TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connect.calls TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.calls TO ubos_worker;

CREATE TABLE connect.entries (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    entry_id text NOT NULL,
    kind text NOT NULL,
    record_id uuid NOT NULL,
    booked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT entries_kind_check CHECK ((kind = ANY (ARRAY['invoice'::text, 'bill'::text])))
);
ALTER TABLE ONLY connect.entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (tenant_id, connection_id, entry_id);
CREATE UNIQUE INDEX entries_record ON connect.entries USING btree (tenant_id, record_id, connection_id);
ALTER TABLE connect.entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connect.entries TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connect.entries TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.entries TO ubos_worker;

CREATE TABLE connect.envelopes (
    tenant_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    key text NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    envelope_id text
);
ALTER TABLE ONLY connect.envelopes FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.envelopes
    ADD CONSTRAINT envelopes_pkey PRIMARY KEY (tenant_id, contract_id);
CREATE UNIQUE INDEX envelopes_envelope ON connect.envelopes USING btree (tenant_id, connection_id, envelope_id) WHERE (envelope_id IS NOT NULL);
ALTER TABLE connect.envelopes ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connect.envelopes TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connect.envelopes TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.envelopes TO ubos_worker;

CREATE TABLE connect.inbox (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    message bytea NOT NULL,
    hints jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    is_open boolean DEFAULT true NOT NULL
);
ALTER TABLE ONLY connect.inbox FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (tenant_id, connection_id, message);
CREATE INDEX inbox_open ON connect.inbox USING btree (received_at) WHERE is_open;
CREATE INDEX inbox_received ON connect.inbox USING btree (received_at);
CREATE POLICY every_tenant ON connect.inbox TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE connect.inbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connect.inbox TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.inbox TO ubos_worker;

CREATE TABLE connect.links (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    provider text NOT NULL,
    generation integer NOT NULL,
    account_id text NOT NULL,
    base_url text NOT NULL,
    access_sealed bytea NOT NULL,
    refresh_sealed bytea NOT NULL,
    access_until timestamp with time zone NOT NULL,
    authorised_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    refreshed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    is_paused boolean DEFAULT false NOT NULL,
    health text DEFAULT 'good'::text NOT NULL,
    trouble text,
    detail text,
    failures integer DEFAULT 0 NOT NULL,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    swept_at timestamp with time zone,
    sweep_from timestamp with time zone,
    heard_at timestamp with time zone,
    refresh_until timestamp with time zone,
    refresh_failures integer DEFAULT 0 NOT NULL,
    CONSTRAINT links_generation_check CHECK ((generation > 0)),
    CONSTRAINT links_health_check CHECK ((health = ANY (ARRAY['good'::text, 'degraded'::text, 'refused'::text])))
);
ALTER TABLE ONLY connect.links FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.links
    ADD CONSTRAINT links_pkey PRIMARY KEY (tenant_id, connection_id);
CREATE INDEX links_connection ON connect.links USING btree (connection_id);
CREATE INDEX links_refreshed ON connect.links USING btree (refreshed_at) WHERE (health <> 'refused'::text);
CREATE INDEX links_swept ON connect.links USING btree (swept_at NULLS FIRST) WHERE ((health <> 'refused'::text) AND (NOT is_paused));
CREATE POLICY every_tenant ON connect.links TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE connect.links ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connect.links TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.links TO ubos_worker;
GRANT SELECT(tenant_id) ON TABLE connect.links TO ubos_query;
GRANT SELECT(connection_id) ON TABLE connect.links TO ubos_query;
GRANT SELECT(provider) ON TABLE connect.links TO ubos_query;
GRANT SELECT(generation) ON TABLE connect.links TO ubos_query;
GRANT SELECT(access_until) ON TABLE connect.links TO ubos_query;
GRANT SELECT(authorised_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(refreshed_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(is_paused) ON TABLE connect.links TO ubos_query;
GRANT SELECT(health) ON TABLE connect.links TO ubos_query;
GRANT SELECT(trouble) ON TABLE connect.links TO ubos_query;
GRANT SELECT(failures) ON TABLE connect.links TO ubos_query;
GRANT SELECT(last_success_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(last_failure_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(swept_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(heard_at) ON TABLE connect.links TO ubos_query;
GRANT SELECT(refresh_until) ON TABLE connect.links TO ubos_query;
GRANT SELECT(refresh_failures) ON TABLE connect.links TO ubos_query;

CREATE TABLE connect.parties (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    book text NOT NULL,
    reference text NOT NULL,
    party_id text NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT parties_book_check CHECK ((book = ANY (ARRAY['sales'::text, 'purchases'::text])))
);
ALTER TABLE ONLY connect.parties FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.parties
    ADD CONSTRAINT parties_pkey PRIMARY KEY (tenant_id, connection_id, book, reference);
CREATE INDEX parties_there ON connect.parties USING btree (tenant_id, connection_id, book, party_id);
CREATE POLICY every_tenant ON connect.parties TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE connect.parties ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connect.parties TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.parties TO ubos_worker;

CREATE TABLE connect.syncs (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    name text NOT NULL,
    cursor_at timestamp with time zone,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    trouble text,
    detail text,
    next_at timestamp with time zone,
    subscription_until timestamp with time zone,
    done_count bigint,
    total_count bigint,
    resync_from timestamp with time zone,
    CONSTRAINT syncs_name_check CHECK ((name ~ '^[a-z][a-z0-9_/-]{0,99}$'::text))
);
ALTER TABLE ONLY connect.syncs FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connect.syncs
    ADD CONSTRAINT syncs_pkey PRIMARY KEY (tenant_id, connection_id, name);
CREATE POLICY every_tenant ON connect.syncs TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE connect.syncs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connect.syncs TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connect.syncs TO ubos_worker;
GRANT SELECT(tenant_id) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(connection_id) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(name) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(cursor_at) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(last_success_at) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(last_failure_at) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(failures) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(trouble) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(next_at) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(subscription_until) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(done_count) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(total_count) ON TABLE connect.syncs TO ubos_query;
GRANT SELECT(resync_from) ON TABLE connect.syncs TO ubos_query;

CREATE FUNCTION connect.door(of_provider text, connection uuid) RETURNS TABLE(tenant_id uuid, account_id text)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog'
    AS $$
select l.tenant_id, l.account_id from connect.links l where l.connection_id = connection and l.provider = of_provider limit 10
$$;
REVOKE ALL ON FUNCTION connect.door(of_provider text, connection uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.door(of_provider text, connection uuid) TO ubos_command;
GRANT ALL ON FUNCTION connect.door(of_provider text, connection uuid) TO ubos_worker;

CREATE FUNCTION connect.forget(tenant uuid, connection uuid, this_generation integer) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
delete from connect.links l where l.tenant_id = tenant and l.connection_id = connection and l.generation = this_generation
$$;
REVOKE ALL ON FUNCTION connect.forget(tenant uuid, connection uuid, this_generation integer) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.forget(tenant uuid, connection uuid, this_generation integer) TO ubos_command;
GRANT ALL ON FUNCTION connect.forget(tenant uuid, connection uuid, this_generation integer) TO ubos_worker;

CREATE FUNCTION connect.keep(tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea, access_for interval, refresh_for interval DEFAULT NULL::interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    moment timestamptz := clock_timestamp();
begin
    insert into connect.links as l (tenant_id, connection_id, provider, generation, account_id, base_url, access_sealed, refresh_sealed,
                                    access_until, authorised_at, refreshed_at, refresh_until)
    values (tenant, connection, of_provider, this_generation, account, base, access, refresh, moment + access_for, moment, moment,
            moment + refresh_for)
    on conflict (tenant_id, connection_id) do update
        set generation = excluded.generation, base_url = excluded.base_url, access_sealed = excluded.access_sealed,
            refresh_sealed = excluded.refresh_sealed, access_until = excluded.access_until, authorised_at = excluded.authorised_at,
            refreshed_at = excluded.refreshed_at, refresh_until = excluded.refresh_until, refresh_failures = 0, health = 'good',
            trouble = null, detail = null, failures = 0
        where l.generation = excluded.generation - 1 and l.account_id = excluded.account_id and l.provider = excluded.provider;
    return found;
end
$$;
REVOKE ALL ON FUNCTION connect.keep(tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea, access_for interval, refresh_for interval) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.keep(tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea, access_for interval, refresh_for interval) TO ubos_command;
GRANT ALL ON FUNCTION connect.keep(tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea, access_for interval, refresh_for interval) TO ubos_worker;

CREATE FUNCTION connect.next_generation(tenant uuid, connection uuid) RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
select coalesce(max(l.generation), 0) + 1 from connect.links l where l.tenant_id = tenant and l.connection_id = connection
$$;
REVOKE ALL ON FUNCTION connect.next_generation(tenant uuid, connection uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.next_generation(tenant uuid, connection uuid) TO ubos_command;
GRANT ALL ON FUNCTION connect.next_generation(tenant uuid, connection uuid) TO ubos_worker;

CREATE FUNCTION connect.spend(tenant uuid, connection uuid, names text[], spans interval[], mosts integer[], at_once integer, lasts interval, OUT call uuid, OUT wait interval, OUT short_of text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
declare
    moment timestamptz;
    budget record;
    flying bigint;
begin
    -- One at a time asks for a connection; different ones do not wait for each other.
    perform pg_advisory_xact_lock(hashtextextended('connect.budgets ' || connection::text, 0));
    moment := clock_timestamp();
    delete from connect.calls c where c.tenant_id = tenant and c.connection_id = connection and c.ends_at <= moment;
    select count(*) into flying from connect.calls c where c.tenant_id = tenant and c.connection_id = connection;
    if flying >= at_once then
        wait := interval '1 second';
        short_of := 'concurrency';
        return;
    end if;
    for budget in select n.name, n.span, n.most from unnest(names, spans, mosts) as n(name, span, most) loop
        insert into connect.budgets as b (tenant_id, connection_id, name, begins_at, ends_at, used, most)
        values (tenant, connection, budget.name, moment, moment + budget.span, 0, budget.most)
        on conflict (tenant_id, connection_id, name) do update
            set begins_at = case when b.ends_at <= moment then moment else b.begins_at end,
                ends_at   = case when b.ends_at <= moment then moment + budget.span else b.ends_at end,
                used      = case when b.ends_at <= moment then 0 else b.used end,
                most      = excluded.most;
    end loop;
    select b.name, b.ends_at - moment into short_of, wait
    from connect.budgets b
    where b.tenant_id = tenant and b.connection_id = connection and b.name = any (names) and b.used >= b.most
    order by b.ends_at desc limit 1;
    if found then
        return;
    end if;
    update connect.budgets b set used = b.used + 1
    where b.tenant_id = tenant and b.connection_id = connection and b.name = any (names);
    call := gen_random_uuid();
    insert into connect.calls (tenant_id, connection_id, call_id, ends_at) values (tenant, connection, call, moment + lasts);
end
$$;
REVOKE ALL ON FUNCTION connect.spend(tenant uuid, connection uuid, names text[], spans interval[], mosts integer[], at_once integer, lasts interval, OUT call uuid, OUT wait interval, OUT short_of text) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.spend(tenant uuid, connection uuid, names text[], spans interval[], mosts integer[], at_once integer, lasts interval, OUT call uuid, OUT wait interval, OUT short_of text) TO ubos_worker;

CREATE FUNCTION connect.take_in(tenant uuid, connection uuid, hash bytea, of_hints jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
begin
    insert into connect.inbox (tenant_id, connection_id, message, hints) values (tenant, connection, hash, of_hints)
    on conflict do nothing;
    return found;
end
$$;
REVOKE ALL ON FUNCTION connect.take_in(tenant uuid, connection uuid, hash bytea, of_hints jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION connect.take_in(tenant uuid, connection uuid, hash bytea, of_hints jsonb) TO ubos_command;
GRANT ALL ON FUNCTION connect.take_in(tenant uuid, connection uuid, hash bytea, of_hints jsonb) TO ubos_worker;

-- connections

CREATE SCHEMA connections;
GRANT USAGE ON SCHEMA connections TO ubos_query;
GRANT USAGE ON SCHEMA connections TO ubos_worker;

CREATE TABLE connections.api_calls (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    connection_id uuid NOT NULL,
    provider text NOT NULL COLLATE pg_catalog."C",
    method text NOT NULL COLLATE pg_catalog."C",
    path jsonb NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    answer_status bigint,
    answer_values jsonb NOT NULL,
    failure text,
    reason text,
    happened boolean
)
WITH (fillfactor='85');
ALTER TABLE ONLY connections.api_calls FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connections.api_calls
    ADD CONSTRAINT api_calls_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX api_calls_connection ON connections.api_calls USING btree (tenant_id, connection_id, created_at, id);
CREATE INDEX api_calls_created ON connections.api_calls USING btree (tenant_id, created_at, id);
CREATE INDEX api_calls_provider ON connections.api_calls USING btree (tenant_id, provider, created_at, id);
CREATE INDEX api_calls_status ON connections.api_calls USING btree (tenant_id, status, created_at, id);
CREATE INDEX api_calls_updated ON connections.api_calls USING btree (tenant_id, updated_at, id);
ALTER TABLE connections.api_calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connections.api_calls TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connections.api_calls TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE connections.api_calls TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connections.api_calls TO ubos_worker;

CREATE TABLE connections.connections (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    provider text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    status_since timestamp with time zone NOT NULL,
    account_id text,
    account_label text,
    authorised_at timestamp with time zone,
    last_success_at timestamp with time zone,
    last_error text,
    last_error_detail text,
    last_error_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY connections.connections FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connections.connections
    ADD CONSTRAINT connections_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX connections_account ON connections.connections USING btree (tenant_id, account_id, created_at, id) WHERE (account_id IS NOT NULL);
CREATE INDEX connections_created ON connections.connections USING btree (tenant_id, created_at, id);
CREATE INDEX connections_last_error ON connections.connections USING btree (tenant_id, last_error, created_at, id) WHERE (last_error IS NOT NULL);
CREATE INDEX connections_name ON connections.connections USING btree (tenant_id, name, id);
CREATE INDEX connections_name_folded ON connections.connections USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX connections_provider ON connections.connections USING btree (tenant_id, provider, created_at, id);
CREATE INDEX connections_status ON connections.connections USING btree (tenant_id, status, created_at, id);
CREATE INDEX connections_status_since ON connections.connections USING btree (tenant_id, status_since, id);
CREATE INDEX connections_updated ON connections.connections USING btree (tenant_id, updated_at, id);
ALTER TABLE connections.connections ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON connections.connections TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connections.connections TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE connections.connections TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connections.connections TO ubos_worker;

CREATE TABLE connections.webhook_endpoints (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    url text NOT NULL,
    events jsonb NOT NULL,
    delivery_order text NOT NULL COLLATE pg_catalog."C",
    description text,
    status text NOT NULL COLLATE pg_catalog."C",
    status_since timestamp with time zone NOT NULL,
    status_detail text,
    disabled_because text COLLATE pg_catalog."C",
    secret_rotated_at timestamp with time zone NOT NULL,
    previous_secret_until timestamp with time zone,
    last_tested_at timestamp with time zone,
    last_replay_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY connections.webhook_endpoints FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY connections.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX webhook_endpoints_created ON connections.webhook_endpoints USING btree (tenant_id, created_at, id);
CREATE INDEX webhook_endpoints_status ON connections.webhook_endpoints USING btree (tenant_id, status, created_at, id);
CREATE INDEX webhook_endpoints_updated ON connections.webhook_endpoints USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON connections.webhook_endpoints TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connections.webhook_endpoints TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE connections.webhook_endpoints ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE connections.webhook_endpoints TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE connections.webhook_endpoints TO ubos_worker;

-- crm

CREATE SCHEMA crm;
GRANT USAGE ON SCHEMA crm TO ubos_query;
GRANT USAGE ON SCHEMA crm TO ubos_worker;

CREATE TABLE crm.clients (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    kind text NOT NULL,
    email text,
    phone text,
    status text NOT NULL,
    owner_id uuid,
    tags jsonb NOT NULL,
    blocked_reason text,
    addresses jsonb DEFAULT '[]'::jsonb NOT NULL,
    website text,
    industry text,
    notes text
)
WITH (fillfactor='85');
ALTER TABLE ONLY crm.clients FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY crm.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX clients_created ON crm.clients USING btree (tenant_id, created_at, id);
CREATE INDEX clients_email ON crm.clients USING btree (tenant_id, email, created_at, id) WHERE (email IS NOT NULL);
CREATE INDEX clients_industry ON crm.clients USING btree (tenant_id, industry, created_at, id) WHERE (industry IS NOT NULL);
CREATE INDEX clients_kind ON crm.clients USING btree (tenant_id, kind, created_at, id);
CREATE INDEX clients_name ON crm.clients USING btree (tenant_id, name, id);
CREATE INDEX clients_name_folded ON crm.clients USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX clients_owner ON crm.clients USING btree (tenant_id, owner_id, created_at, id) WHERE (owner_id IS NOT NULL);
CREATE INDEX clients_status ON crm.clients USING btree (tenant_id, status, created_at, id);
CREATE INDEX clients_updated ON crm.clients USING btree (tenant_id, updated_at, id);
ALTER TABLE crm.clients ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON crm.clients TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON crm.clients TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE crm.clients TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE crm.clients TO ubos_worker;

CREATE TABLE crm.contacts (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    email text,
    phone text,
    client_id uuid,
    clients jsonb NOT NULL,
    archived boolean NOT NULL,
    title text COLLATE shared.by_name
)
WITH (fillfactor='85');
ALTER TABLE ONLY crm.contacts FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY crm.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX contacts_client ON crm.contacts USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX contacts_created ON crm.contacts USING btree (tenant_id, created_at, id);
CREATE INDEX contacts_email ON crm.contacts USING btree (tenant_id, email, created_at, id) WHERE (email IS NOT NULL);
CREATE INDEX contacts_name ON crm.contacts USING btree (tenant_id, name, id);
CREATE INDEX contacts_name_folded ON crm.contacts USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX contacts_updated ON crm.contacts USING btree (tenant_id, updated_at, id);
ALTER TABLE crm.contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON crm.contacts TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON crm.contacts TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE crm.contacts TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE crm.contacts TO ubos_worker;

CREATE TABLE crm.deals (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid NOT NULL,
    contact_id uuid,
    owner_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    pipeline text NOT NULL,
    stage text NOT NULL,
    value_minor bigint,
    currency text,
    probability bigint NOT NULL,
    estimated boolean NOT NULL,
    expected_close_on date,
    closed_at timestamp with time zone,
    lost_reason text,
    archived boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY crm.deals FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY crm.deals
    ADD CONSTRAINT deals_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX deals_client ON crm.deals USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX deals_closed ON crm.deals USING btree (tenant_id, closed_at, id) WHERE (closed_at IS NOT NULL);
CREATE INDEX deals_contact ON crm.deals USING btree (tenant_id, contact_id, created_at, id) WHERE (contact_id IS NOT NULL);
CREATE INDEX deals_created ON crm.deals USING btree (tenant_id, created_at, id);
CREATE INDEX deals_currency ON crm.deals USING btree (tenant_id, currency, created_at, id) WHERE (currency IS NOT NULL);
CREATE INDEX deals_expected_close_on ON crm.deals USING btree (tenant_id, expected_close_on, id) WHERE (expected_close_on IS NOT NULL);
CREATE INDEX deals_name ON crm.deals USING btree (tenant_id, name, id);
CREATE INDEX deals_name_folded ON crm.deals USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX deals_owner ON crm.deals USING btree (tenant_id, owner_id, created_at, id) WHERE (owner_id IS NOT NULL);
CREATE INDEX deals_pipeline ON crm.deals USING btree (tenant_id, pipeline, created_at, id);
CREATE INDEX deals_probability ON crm.deals USING btree (tenant_id, probability, id);
CREATE INDEX deals_stage ON crm.deals USING btree (tenant_id, stage, created_at, id);
CREATE INDEX deals_status ON crm.deals USING btree (tenant_id, status, created_at, id);
CREATE INDEX deals_updated ON crm.deals USING btree (tenant_id, updated_at, id);
ALTER TABLE crm.deals ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON crm.deals TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON crm.deals TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE crm.deals TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE crm.deals TO ubos_worker;

CREATE TABLE crm.engagements (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid NOT NULL,
    deal_id uuid,
    contract_id uuid,
    owner_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    starts_on date NOT NULL,
    ends_on date,
    value_minor bigint,
    currency text,
    reason text,
    closed_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY crm.engagements FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY crm.engagements
    ADD CONSTRAINT engagements_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX engagements_client ON crm.engagements USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX engagements_closed ON crm.engagements USING btree (tenant_id, closed_at, id) WHERE (closed_at IS NOT NULL);
CREATE INDEX engagements_contract ON crm.engagements USING btree (tenant_id, contract_id, created_at, id) WHERE (contract_id IS NOT NULL);
CREATE INDEX engagements_created ON crm.engagements USING btree (tenant_id, created_at, id);
CREATE INDEX engagements_currency ON crm.engagements USING btree (tenant_id, currency, created_at, id) WHERE (currency IS NOT NULL);
CREATE INDEX engagements_deal ON crm.engagements USING btree (tenant_id, deal_id, created_at, id) WHERE (deal_id IS NOT NULL);
CREATE INDEX engagements_ends_on ON crm.engagements USING btree (tenant_id, ends_on, id) WHERE (ends_on IS NOT NULL);
CREATE INDEX engagements_name ON crm.engagements USING btree (tenant_id, name, id);
CREATE INDEX engagements_name_folded ON crm.engagements USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX engagements_owner ON crm.engagements USING btree (tenant_id, owner_id, created_at, id) WHERE (owner_id IS NOT NULL);
CREATE INDEX engagements_starts_on ON crm.engagements USING btree (tenant_id, starts_on, id);
CREATE INDEX engagements_status ON crm.engagements USING btree (tenant_id, status, created_at, id);
CREATE INDEX engagements_updated ON crm.engagements USING btree (tenant_id, updated_at, id);
ALTER TABLE crm.engagements ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON crm.engagements TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON crm.engagements TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE crm.engagements TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE crm.engagements TO ubos_worker;

CREATE TABLE crm.pipelines (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    stages jsonb NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY crm.pipelines FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY crm.pipelines
    ADD CONSTRAINT pipelines_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX pipelines_created ON crm.pipelines USING btree (tenant_id, created_at, id);
CREATE INDEX pipelines_key ON crm.pipelines USING btree (tenant_id, key, id);
CREATE INDEX pipelines_name ON crm.pipelines USING btree (tenant_id, name, id);
CREATE INDEX pipelines_name_folded ON crm.pipelines USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX pipelines_updated ON crm.pipelines USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON crm.pipelines TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE crm.pipelines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON crm.pipelines TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE crm.pipelines TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE crm.pipelines TO ubos_worker;

-- database

REVOKE CONNECT,TEMPORARY ON DATABASE ubos FROM PUBLIC;
GRANT CONNECT ON DATABASE ubos TO PUBLIC;

-- engine

CREATE SCHEMA engine;
GRANT USAGE ON SCHEMA engine TO ubos_worker;
GRANT USAGE ON SCHEMA engine TO ubos_query;

CREATE TABLE engine.checkpoint (
    name text NOT NULL,
    "position" bigint NOT NULL
)
WITH (fillfactor='10');
ALTER TABLE ONLY engine.checkpoint
    ADD CONSTRAINT checkpoint_pkey PRIMARY KEY (name);
GRANT SELECT,UPDATE ON TABLE engine.checkpoint TO ubos_worker;

CREATE TABLE engine.definitions (
    tenant_id uuid NOT NULL,
    definition_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    trigger_event_type text NOT NULL,
    document jsonb NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    retired boolean DEFAULT false NOT NULL
);
ALTER TABLE ONLY engine.definitions FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY engine.definitions
    ADD CONSTRAINT definitions_pkey PRIMARY KEY (tenant_id, definition_id);
ALTER TABLE engine.definitions ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON engine.definitions TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON engine.definitions TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE engine.definitions TO ubos_worker;

CREATE TABLE engine.followed (
    tenant_id uuid NOT NULL,
    chain uuid NOT NULL,
    since timestamp with time zone NOT NULL,
    runs bigint NOT NULL
)
WITH (fillfactor='50');
ALTER TABLE ONLY engine.followed FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY engine.followed
    ADD CONSTRAINT followed_pkey PRIMARY KEY (tenant_id, chain);
CREATE POLICY every_tenant ON engine.followed TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE engine.followed ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON engine.followed TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE engine.followed TO ubos_worker;

CREATE TABLE engine.schedules (
    tenant_id uuid NOT NULL,
    definition_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY engine.schedules FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY engine.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (tenant_id, definition_id);
CREATE INDEX schedules_due ON engine.schedules USING btree (due_at);
CREATE POLICY every_tenant ON engine.schedules TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE engine.schedules ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON engine.schedules TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE engine.schedules TO ubos_worker;

CREATE TABLE engine.tasks (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    due_at timestamp with time zone,
    state text DEFAULT 'due'::text NOT NULL,
    lease uuid,
    wakes bigint DEFAULT 0 NOT NULL,
    start jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    cancel_position bigint,
    CONSTRAINT tasks_state_check CHECK ((state = ANY (ARRAY['due'::text, 'waiting'::text, 'parked'::text])))
)
WITH (fillfactor='70');
ALTER TABLE ONLY engine.tasks FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY engine.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (tenant_id, run_id);
CREATE INDEX tasks_correlation ON engine.tasks USING btree (tenant_id, (((start -> 'correlation'::text) ->> 'key'::text))) WHERE ((start -> 'correlation'::text) IS NOT NULL);
CREATE INDEX tasks_due ON engine.tasks USING btree (tenant_id, due_at);
CREATE INDEX tasks_next ON engine.tasks USING btree (due_at);
CREATE POLICY every_tenant ON engine.tasks TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE engine.tasks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON engine.tasks TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE engine.tasks TO ubos_worker;

CREATE TABLE engine.waits (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    event_type text NOT NULL,
    matching text,
    reason text,
    matched jsonb,
    aggregate_id uuid,
    after_position bigint NOT NULL,
    until timestamp with time zone,
    of_steps boolean DEFAULT false NOT NULL,
    step text NOT NULL,
    name text NOT NULL
);
ALTER TABLE ONLY engine.waits FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY engine.waits
    ADD CONSTRAINT waits_pkey PRIMARY KEY (tenant_id, run_id, step, name);
CREATE INDEX waits_event ON engine.waits USING btree (tenant_id, event_type, aggregate_id) WHERE (matched IS NULL);
CREATE INDEX waits_of_steps ON engine.waits USING btree (tenant_id, run_id) WHERE (of_steps AND (matched IS NULL));
CREATE POLICY every_tenant ON engine.waits TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON engine.waits TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE engine.waits ENABLE ROW LEVEL SECURITY;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE engine.waits TO ubos_worker;
GRANT SELECT(tenant_id) ON TABLE engine.waits TO ubos_query;
GRANT SELECT(run_id) ON TABLE engine.waits TO ubos_query;
GRANT SELECT(aggregate_id) ON TABLE engine.waits TO ubos_query;

CREATE FUNCTION engine.close(worker uuid, c_tenant uuid[], c_run uuid[], c_wakes bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    woken bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from engine.tasks t
        using unnest(c_tenant, c_run, c_wakes) as c(tenant_id, run_id, wakes)
        where t.tenant_id = c.tenant_id and t.run_id = c.run_id and t.lease = worker and t.wakes = c.wakes;
    get diagnostics woken = row_count;
    if woken = cardinality(c_run) then
        return 0;
    end if;
    update engine.tasks t
    set lease = null, state = 'due', start = null, due_at = clock_timestamp()
    from unnest(c_tenant, c_run) as c(tenant_id, run_id)
    where t.tenant_id = c.tenant_id and t.run_id = c.run_id and t.lease = worker;
    get diagnostics woken = row_count;
    return woken;
end
$$;
REVOKE ALL ON FUNCTION engine.close(worker uuid, c_tenant uuid[], c_run uuid[], c_wakes bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION engine.close(worker uuid, c_tenant uuid[], c_run uuid[], c_wakes bigint[]) TO ubos_worker;

CREATE FUNCTION engine.follow(f_tenant uuid, f_chain uuid, chain_max bigint, OUT of_chain bigint, OUT of_firm bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into engine.followed as f (tenant_id, chain, since, runs) values (f_tenant, f_chain, now(), 1)
    on conflict (tenant_id, chain) do update set runs = f.runs + 1
    returning f.runs into of_chain;
    of_firm := 0;
    if of_chain > chain_max then
        return;
    end if;
    insert into engine.followed as f (tenant_id, chain, since, runs)
    values (f_tenant, '00000000-0000-0000-0000-000000000000', now(), 1)
    on conflict (tenant_id, chain) do update
        set runs  = case when f.since < now() - interval '1 hour' then 1 else f.runs + 1 end,
            since = case when f.since < now() - interval '1 hour' then now() else f.since end
    returning f.runs into of_firm;
    if of_firm = 1 then
        -- What goes on after a week is no flood.
        delete from engine.followed f where f.tenant_id = f_tenant and f.since < now() - interval '7 days';
    end if;
end
$$;
REVOKE ALL ON FUNCTION engine.follow(f_tenant uuid, f_chain uuid, chain_max bigint, OUT of_chain bigint, OUT of_firm bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION engine.follow(f_tenant uuid, f_chain uuid, chain_max bigint, OUT of_chain bigint, OUT of_firm bigint) TO ubos_worker;

CREATE FUNCTION engine.look(l_tenant uuid, l_run uuid) RETURNS TABLE(checkpoint bigint, step text, name text, reason text, matched jsonb, unread bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
select c.position, w.step, w.name, w.reason, w.matched,
       case when w.matched is null then (
           select max(e.position)
           from eventstore.events e
           where e.tenant_id = w.tenant_id
             and e.event_type = w.event_type
             and e.domain <> 'workflow'
             and e.position > greatest(c.position, w.after_position)
             and (w.aggregate_id is null or e.aggregate_id = w.aggregate_id)
       ) end
from engine.checkpoint c
         left join engine.waits w on w.tenant_id = l_tenant and w.run_id = l_run
where c.name = 'intake'
order by w.step, w.name
$$;
REVOKE ALL ON FUNCTION engine.look(l_tenant uuid, l_run uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION engine.look(l_tenant uuid, l_run uuid) TO ubos_worker;

CREATE FUNCTION engine.note(from_position bigint, to_position bigint, worker uuid, lease_for interval, s_tenant uuid[], s_run uuid[], s_held boolean[], s_start text[], e_tenant uuid[], e_run uuid[]) RETURNS TABLE(run_id uuid, is_new boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
begin
    perform set_config('synchronous_commit', 'off', true);
    update engine.checkpoint c set position = to_position where c.name = 'intake' and c.position = from_position;
    if not found then
        return query select null::uuid, false;
        return;
    end if;
    if cardinality(s_run) > 0 then
        return query with inserted as (
            insert into engine.tasks as t (tenant_id, run_id, due_at, lease, start)
                select s.tenant_id, s.run_id,
                       clock_timestamp() + case when s.held then lease_for else interval '0' end,
                       case when s.held then worker end, s.start::jsonb
                from unnest(s_tenant, s_run, s_held, s_start) as s(tenant_id, run_id, held, start)
                on conflict do nothing
                returning t.tenant_id, t.run_id
        )
        select i.run_id, not exists (
            select from eventstore.streams s
            where s.tenant_id = i.tenant_id and s.aggregate_id = i.run_id and s.aggregate_type = 'workflow.run'
        )
        from inserted i;
    end if;
    if cardinality(e_run) > 0 then
        delete from engine.waits w
            using unnest(e_tenant, e_run) as e(tenant_id, run_id)
            where w.tenant_id = e.tenant_id and w.run_id = e.run_id;
    end if;
end
$$;
REVOKE ALL ON FUNCTION engine.note(from_position bigint, to_position bigint, worker uuid, lease_for interval, s_tenant uuid[], s_run uuid[], s_held boolean[], s_start text[], e_tenant uuid[], e_run uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION engine.note(from_position bigint, to_position bigint, worker uuid, lease_for interval, s_tenant uuid[], s_run uuid[], s_held boolean[], s_start text[], e_tenant uuid[], e_run uuid[]) TO ubos_worker;

CREATE FUNCTION engine.take(worker uuid, lease_for interval, at_most integer) RETURNS TABLE(tenant_id uuid, run_id uuid, due_at timestamp with time zone, wakes bigint, start jsonb, cancel_position bigint)
    LANGUAGE sql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
with recursive tenants as (
    (select t.tenant_id from engine.tasks t order by t.tenant_id limit 1)
    union all
    select (select t.tenant_id from engine.tasks t where t.tenant_id > tenants.tenant_id order by t.tenant_id limit 1)
    from tenants
    where tenants.tenant_id is not null
),
     due as materialized (
         select d.*
         from tenants
                  cross join lateral (
             select t.tenant_id, t.run_id, t.due_at
             from engine.tasks t
             where t.tenant_id = tenants.tenant_id
               and t.due_at <= clock_timestamp()
             order by t.due_at
             limit at_most for update skip locked
             ) d
     ),
     picked as materialized (
         select due.*, row_number() over (partition by due.tenant_id order by due.due_at) as turn
         from due
         -- Among equals by lot: whoever takes one run at a time would otherwise always take the one that waits longest,
         -- and that is the busy tenant's.
         order by turn, random()
         limit at_most
     )
update engine.tasks t
set due_at = clock_timestamp() + lease_for, lease = worker
from picked
where t.tenant_id = picked.tenant_id
  and t.run_id = picked.run_id
returning t.tenant_id, t.run_id, picked.due_at, t.wakes, t.start, t.cancel_position
$$;
REVOKE ALL ON FUNCTION engine.take(worker uuid, lease_for interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION engine.take(worker uuid, lease_for interval, at_most integer) TO ubos_worker;

-- eventstore

CREATE SCHEMA eventstore;
GRANT USAGE ON SCHEMA eventstore TO ubos_command;
GRANT USAGE ON SCHEMA eventstore TO ubos_query;
GRANT USAGE ON SCHEMA eventstore TO ubos_worker;

CREATE TABLE eventstore.claims (
    tenant_id uuid NOT NULL,
    scope text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id uuid NOT NULL
);
ALTER TABLE ONLY eventstore.claims FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.claims
    ADD CONSTRAINT claims_pkey PRIMARY KEY (tenant_id, scope, value);
ALTER TABLE eventstore.claims ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON eventstore.claims TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON eventstore.claims TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.claims TO ubos_command;
GRANT SELECT ON TABLE eventstore.claims TO ubos_worker;

CREATE TABLE eventstore.dead_letters (
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    reason text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    first_at timestamp with time zone DEFAULT now() NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY eventstore.dead_letters FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY ("position");
ALTER TABLE eventstore.dead_letters ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON eventstore.dead_letters TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON eventstore.dead_letters TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.dead_letters TO ubos_command;
GRANT SELECT ON TABLE eventstore.dead_letters TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE eventstore.dead_letters TO ubos_worker;

CREATE TABLE eventstore.events (
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    domain text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    sequence bigint NOT NULL,
    event_type text NOT NULL,
    event_version integer NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    recorded_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE ("position");
ALTER TABLE ONLY eventstore.events FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");
CREATE INDEX events_stream ON ONLY eventstore.events USING btree (tenant_id, aggregate_id, sequence);
CREATE INDEX events_kind ON ONLY eventstore.events USING btree (tenant_id, event_type, "position") WHERE (domain <> 'workflow'::text);
CREATE INDEX events_identity ON ONLY eventstore.events USING btree (tenant_id, "position") WHERE (domain = 'identity'::text);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON eventstore.events FOR EACH ROW EXECUTE FUNCTION eventstore.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON eventstore.events FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();
ALTER TABLE eventstore.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON eventstore.events TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON eventstore.events TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.events TO ubos_command;
GRANT SELECT ON TABLE eventstore.events TO ubos_query;
GRANT SELECT ON TABLE eventstore.events TO ubos_worker;

CREATE TABLE eventstore.head (
    shard smallint DEFAULT 0 NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT head_shard_check CHECK ((shard = 0))
)
WITH (fillfactor='10');
ALTER TABLE ONLY eventstore.head
    ADD CONSTRAINT head_pkey PRIMARY KEY (shard);
GRANT SELECT ON TABLE eventstore.head TO ubos_command;
GRANT SELECT ON TABLE eventstore.head TO ubos_query;
GRANT SELECT ON TABLE eventstore.head TO ubos_worker;

CREATE TABLE eventstore.histories (
    number integer NOT NULL,
    log_id uuid NOT NULL,
    after_position bigint NOT NULL,
    reason text NOT NULL,
    began_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT histories_number_check CHECK ((number > 0))
);
ALTER TABLE ONLY eventstore.histories
    ADD CONSTRAINT histories_log_id_key UNIQUE (log_id);
ALTER TABLE ONLY eventstore.histories
    ADD CONSTRAINT histories_pkey PRIMARY KEY (number);
GRANT SELECT ON TABLE eventstore.histories TO ubos_command;
GRANT SELECT ON TABLE eventstore.histories TO ubos_query;
GRANT SELECT ON TABLE eventstore.histories TO ubos_worker;

CREATE TABLE eventstore.idempotency (
    tenant_id uuid NOT NULL,
    scope text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    created boolean NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    parts text
);
ALTER TABLE ONLY eventstore.idempotency FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (tenant_id, scope, key);
CREATE INDEX idempotency_age ON eventstore.idempotency USING brin (recorded_at);
CREATE POLICY every_tenant ON eventstore.idempotency TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE eventstore.idempotency ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON eventstore.idempotency TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.idempotency TO ubos_command;
GRANT SELECT ON TABLE eventstore.idempotency TO ubos_worker;

CREATE TABLE eventstore.relay (
    shard smallint DEFAULT 0 NOT NULL,
    log_id uuid,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL,
    stream_sequence bigint DEFAULT 0 NOT NULL,
    stream_name text DEFAULT ''::text NOT NULL,
    stream_created bigint,
    stream_epoch bigint DEFAULT 0 NOT NULL,
    stream_from bigint DEFAULT 1 NOT NULL,
    reseed_from bigint,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT relay_reseed_from_check CHECK ((reseed_from > 0)),
    CONSTRAINT relay_shard_check CHECK ((shard = 0))
)
WITH (fillfactor='10');
ALTER TABLE ONLY eventstore.relay
    ADD CONSTRAINT relay_pkey PRIMARY KEY (shard);
GRANT SELECT ON TABLE eventstore.relay TO ubos_command;
GRANT SELECT ON TABLE eventstore.relay TO ubos_query;
GRANT SELECT,UPDATE ON TABLE eventstore.relay TO ubos_worker;

CREATE TABLE eventstore.relay_consumers (
    name text NOT NULL,
    config jsonb NOT NULL,
    after_position bigint NOT NULL
);
ALTER TABLE ONLY eventstore.relay_consumers
    ADD CONSTRAINT relay_consumers_pkey PRIMARY KEY (name);
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE eventstore.relay_consumers TO ubos_worker;

CREATE TABLE eventstore.relay_marks (
    up_to_position bigint NOT NULL,
    after_position bigint NOT NULL,
    published_at timestamp with time zone NOT NULL,
    CONSTRAINT relay_marks_check CHECK ((after_position < up_to_position))
);
ALTER TABLE ONLY eventstore.relay_marks
    ADD CONSTRAINT relay_marks_pkey PRIMARY KEY (up_to_position);
GRANT SELECT ON TABLE eventstore.relay_marks TO ubos_command;
GRANT SELECT ON TABLE eventstore.relay_marks TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE eventstore.relay_marks TO ubos_worker;

CREATE TABLE eventstore.repairs (
    "position" bigint NOT NULL,
    tenant_id uuid NOT NULL,
    event_type text NOT NULL,
    event_version integer NOT NULL,
    payload json NOT NULL,
    reason text NOT NULL,
    repaired_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE ONLY eventstore.repairs FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.repairs
    ADD CONSTRAINT repairs_pkey PRIMARY KEY ("position");
CREATE POLICY every_tenant ON eventstore.repairs TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE eventstore.repairs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON eventstore.repairs TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.repairs TO ubos_command;
GRANT SELECT ON TABLE eventstore.repairs TO ubos_query;
GRANT SELECT ON TABLE eventstore.repairs TO ubos_worker;

CREATE TABLE eventstore.snapshots (
    tenant_id uuid NOT NULL,
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    state_version integer NOT NULL,
    state jsonb NOT NULL
);
ALTER TABLE ONLY eventstore.snapshots FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (tenant_id, aggregate_id, aggregate_type);
CREATE POLICY every_tenant ON eventstore.snapshots TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE eventstore.snapshots ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON eventstore.snapshots TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.snapshots TO ubos_command;
GRANT SELECT ON TABLE eventstore.snapshots TO ubos_worker;

CREATE TABLE eventstore.streams (
    tenant_id uuid NOT NULL,
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    first_position bigint NOT NULL,
    "position" bigint NOT NULL
)
WITH (fillfactor='80');
ALTER TABLE ONLY eventstore.streams FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY eventstore.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (tenant_id, aggregate_id, aggregate_type);
CREATE POLICY every_tenant ON eventstore.streams TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE eventstore.streams ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON eventstore.streams TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE eventstore.streams TO ubos_command;
GRANT SELECT ON TABLE eventstore.streams TO ubos_worker;

CREATE FUNCTION eventstore.access_changes(after bigint) RETURNS TABLE(head bigint, tenants uuid[], streams uuid[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
    with recent as materialized (
        select e.domain, e.event_type, e.tenant_id, e.aggregate_id from eventstore.events e where e.position > after
    )
    select h.position,
           array(select distinct r.tenant_id from recent r where r.domain = 'identity' and r.event_type <> 'session.started'),
           array(select distinct r.aggregate_id from recent r where r.domain = 'portal' and r.event_type <> 'portal_session.started')
    from eventstore.head h
    where h.shard = 0
$$;
REVOKE ALL ON FUNCTION eventstore.access_changes(after bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.access_changes(after bigint) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.access_changes(after bigint) TO ubos_query;
GRANT ALL ON FUNCTION eventstore.access_changes(after bigint) TO ubos_worker;

CREATE FUNCTION eventstore.access_tenants() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    with recursive known as (
        (select tenant_id from eventstore.streams order by tenant_id limit 1)
        union all
        select (select s.tenant_id from eventstore.streams s where s.tenant_id > k.tenant_id order by s.tenant_id limit 1)
        from known k where k.tenant_id is not null)
    select tenant_id from known where tenant_id is not null
$$;
REVOKE ALL ON FUNCTION eventstore.access_tenants() FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.access_tenants() TO ubos_command;
GRANT ALL ON FUNCTION eventstore.access_tenants() TO ubos_query;
GRANT ALL ON FUNCTION eventstore.access_tenants() TO ubos_worker;

CREATE FUNCTION eventstore.answer(tenant uuid, key_scope text, idempotency_key text) RETURNS TABLE(fingerprint bytea, aggregate_id uuid, version bigint, "position" bigint, created boolean, parts text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select i.fingerprint, i.aggregate_id, i.version, i.position, i.created, i.parts
        from eventstore.idempotency i
        where i.tenant_id = tenant and i.scope = key_scope and i.key = idempotency_key;
end
$$;
REVOKE ALL ON FUNCTION eventstore.answer(tenant uuid, key_scope text, idempotency_key text) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.answer(tenant uuid, key_scope text, idempotency_key text) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.answer(tenant uuid, key_scope text, idempotency_key text) TO ubos_worker;

CREATE FUNCTION eventstore.append(c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[], c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[], e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[], e_id uuid[], e_type text[], e_version integer[], e_payload text[], k_cmd integer[], k_take boolean[], k_scope text[], k_value text[], s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[], n_cmd integer[] DEFAULT '{}'::integer[], n_generation integer[] DEFAULT '{}'::integer[], n_wrapped bytea[] DEFAULT '{}'::bytea[], c_parts text[] DEFAULT '{}'::text[]) RETURNS TABLE(cmd bigint, outcome text, aggregate_id uuid, version bigint, "position" bigint, created boolean, detail text, parts text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    base    bigint;
    at      timestamptz;
    refused boolean;
begin
    select h.position into base from eventstore.head h where h.shard = 0 for update;
    -- Read after the lock, so that times never run against positions.
    at := clock_timestamp();

    return query
        select c.cmd,
               case
                   when i.fingerprint = c.fingerprint then 'replayed'
                   when i.fingerprint is not null then 'key_reused'
                   else 'conflict' end,
               i.aggregate_id, coalesce(i.version, s.version, 0), coalesce(i.position, s.position, 0), i.created,
               null::text, i.parts
        from unnest(c_tenant, c_type, c_id, c_expected, c_scope, c_key, c_fingerprint)
                 with ordinality as c(tenant_id, aggregate_type, aggregate_id, expected, scope, key, fingerprint, cmd)
                 left join lateral (
            select i.*
            from eventstore.idempotency i
            where i.tenant_id = c.tenant_id and i.scope = c.scope and i.key = c.key
            limit 1
            ) i on true
                 left join lateral (
            select s.version, s.position
            from eventstore.streams s
            where s.tenant_id = c.tenant_id and s.aggregate_id = c.aggregate_id and s.aggregate_type = c.aggregate_type
            limit 1
            ) s on true
        where i.tenant_id is not null or coalesce(s.version, 0) <> c.expected;
    refused := found;
    if cardinality(k_cmd) > 0 then
        return query
            select k.cmd::bigint, 'claimed', held.aggregate_id, k.ord, 0::bigint, null::boolean, held.scope, null::text
            from unnest(k_cmd, k_take, k_scope, k_value) with ordinality as k(cmd, take, scope, value, ord)
                     cross join lateral (
                select h.*
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                limit 1
                ) held
            where k.take is distinct from false
              and (held.aggregate_type, held.aggregate_id) <> (c_type[k.cmd], c_id[k.cmd])
              and not exists (
                select
                from unnest(k_cmd, k_take, k_scope, k_value) with ordinality as r(cmd, take, scope, value, ord)
                where not r.take and r.ord < k.ord and r.scope = k.scope and r.value = k.value
                  and (c_tenant[r.cmd], c_type[r.cmd], c_id[r.cmd]) = (held.tenant_id, held.aggregate_type, held.aggregate_id));
        refused := refused or found;
    end if;
    if refused then
        return;
    end if;

    if cardinality(e_id) > 0 then
        update eventstore.head h set position = base + cardinality(e_id) where h.shard = 0;
        insert into eventstore.events
        select base + e.ord, e.id, e.tenant_id, split_part(e.aggregate_type, '.', 1), e.aggregate_type, e.aggregate_id,
               e.sequence, e.type, e.version, e.payload::json, e.metadata::json, at
        from unnest(e_id, e_tenant, e_aggregate_type, e_aggregate_id, e_sequence, e_type, e_version, e_payload, e_metadata)
                 with ordinality as e(id, tenant_id, aggregate_type, aggregate_id, sequence, type, version, payload,
                                      metadata, ord);
    end if;
    insert into eventstore.streams
    select c.tenant_id, c.aggregate_type, c.aggregate_id, c.version, base + c.first, base + c.last
    from unnest(c_tenant, c_type, c_id, c_version, c_first, c_last)
             as c(tenant_id, aggregate_type, aggregate_id, version, first, last)
    where c.last > 0
    on conflict (tenant_id, aggregate_id, aggregate_type)
        do update set version = excluded.version, position = excluded.position;
    insert into eventstore.idempotency
        (tenant_id, scope, key, fingerprint, aggregate_id, version, position, created, recorded_at, parts)
    select c.tenant_id, c.scope, c.key, c.fingerprint, c.aggregate_id, c.version,
           case c.last when 0 then c.position else base + c.last end, c.expected = 0, at, c.parts
    from unnest(c_tenant, c_id, c_expected, c_version, c_position, c_last, c_scope, c_key, c_fingerprint, c_parts)
             as c(tenant_id, aggregate_id, expected, version, position, last, scope, key, fingerprint, parts)
    where c.key is not null;
    if cardinality(k_cmd) > 0 then
        -- Nobody else changes claims while the head is locked, so a row stays where it was found.
        delete from eventstore.claims
        where ctid = any (array(
            select held.ctid
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     cross join lateral (
                select h.ctid
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                  and h.aggregate_type = c_type[k.cmd] and h.aggregate_id = c_id[k.cmd]
                limit 1
                ) held
            where not k.take));
        insert into eventstore.claims
        select c_tenant[k.cmd], k.scope, k.value, c_type[k.cmd], c_id[k.cmd]
        from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
        where k.take
        on conflict do nothing;
    end if;
    if cardinality(n_cmd) > 0 then
        insert into vault.subject_keys (tenant_id, subject_id, generation, wrapped)
        select c_tenant[n.cmd], c_id[n.cmd], n.generation, n.wrapped
        from unnest(n_cmd, n_generation, n_wrapped) as n(cmd, generation, wrapped);
    end if;
    if cardinality(s_cmd) > 0 then
        insert into eventstore.snapshots
        select c_tenant[s.cmd], c_type[s.cmd], c_id[s.cmd], s.version, s.state_version, s.state::jsonb
        from unnest(s_cmd, s_version, s_state_version, s_state) as s(cmd, version, state_version, state)
        on conflict (tenant_id, aggregate_id, aggregate_type)
            do update set version       = excluded.version,
                          state_version = excluded.state_version,
                          state         = excluded.state;
    end if;
    return query select 0::bigint, 'appended', null::uuid, 0::bigint, base, null::boolean, null::text, null::text;
end
$$;
REVOKE ALL ON FUNCTION eventstore.append(c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[], c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[], e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[], e_id uuid[], e_type text[], e_version integer[], e_payload text[], k_cmd integer[], k_take boolean[], k_scope text[], k_value text[], s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[], n_cmd integer[], n_generation integer[], n_wrapped bytea[], c_parts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.append(c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[], c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[], e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[], e_id uuid[], e_type text[], e_version integer[], e_payload text[], k_cmd integer[], k_take boolean[], k_scope text[], k_value text[], s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[], n_cmd integer[], n_generation integer[], n_wrapped bytea[], c_parts text[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.append(c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[], c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[], e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[], e_id uuid[], e_type text[], e_version integer[], e_payload text[], k_cmd integer[], k_take boolean[], k_scope text[], k_value text[], s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[], n_cmd integer[], n_generation integer[], n_wrapped bytea[], c_parts text[]) TO ubos_worker;

CREATE FUNCTION eventstore.await_turn() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET lock_timeout TO '50ms'
    AS $$
begin
    perform pg_advisory_lock(hashtextextended('eventstore.turn', 0));
    return true;
exception
    when lock_not_available then return false;
end
$$;
REVOKE ALL ON FUNCTION eventstore.await_turn() FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.await_turn() TO ubos_command;
GRANT ALL ON FUNCTION eventstore.await_turn() TO ubos_worker;

CREATE FUNCTION eventstore.begin_history(because text, after bigint) RETURNS TABLE(number integer, log_id uuid, after_position bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
#variable_conflict use_column
declare
    ends_at bigint;
    fresh   constant uuid := gen_random_uuid();
begin
    -- Nobody appends meanwhile.
    select h.position into ends_at from eventstore.head h where h.shard = 0 for update;
    if after is null or after < 0 or after > ends_at then
        raise exception 'a history begins after a position from 0 to %, not after %', ends_at, after
            using errcode = 'invalid_parameter_value';
    end if;
    perform eventstore.ensure_history();
    update eventstore.relay set log_id = fresh, reseed_from = null;
    return query
        insert into eventstore.histories (number, log_id, after_position, reason)
            select max(h.number) + 1, fresh, after, because from eventstore.histories h
            returning histories.number, histories.log_id, histories.after_position;
end
$$;
REVOKE ALL ON FUNCTION eventstore.begin_history(because text, after bigint) FROM PUBLIC;

CREATE FUNCTION eventstore.ensure_history() RETURNS uuid
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
update eventstore.relay r set log_id = gen_random_uuid() where r.log_id is null;
insert into eventstore.histories (number, log_id, after_position, reason)
select 1, r.log_id, 0, 'first' from eventstore.relay r
on conflict do nothing;
select r.log_id from eventstore.relay r
$$;
REVOKE ALL ON FUNCTION eventstore.ensure_history() FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.ensure_history() TO ubos_worker;

CREATE FUNCTION eventstore.ensure_partitions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    size    constant bigint := 20000000;
    needed  bigint;
    made    integer := 0;
    ordinal bigint;
begin
    select position / size + 1 into needed from eventstore.head;
    for ordinal in 0 .. needed loop
        if to_regclass(format('eventstore.events_%s', lpad(ordinal::text, 4, '0'))) is null then
            execute format('create table eventstore.events_%s partition of eventstore.events for values from (%s) to (%s)',
                           lpad(ordinal::text, 4, '0'), ordinal * size, (ordinal + 1) * size);
            -- Reached through the parent only: no grants, and row-level security without a policy refuses the rest.
            execute format('alter table eventstore.events_%s enable row level security', lpad(ordinal::text, 4, '0'));
            execute format('alter table eventstore.events_%s force row level security', lpad(ordinal::text, 4, '0'));
            execute format('create policy every_tenant on eventstore.events_%s to ubos_owner using (true) with check (true)',
                           lpad(ordinal::text, 4, '0'));
            -- Statement triggers are not inherited.
            execute format('create trigger append_only_truncate before truncate on eventstore.events_%s
                            for each statement execute function eventstore.refuse_change()', lpad(ordinal::text, 4, '0'));
            made := made + 1;
        end if;
    end loop;
    return made;
end
$$;
REVOKE ALL ON FUNCTION eventstore.ensure_partitions() FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.ensure_partitions() TO ubos_worker;

CREATE FUNCTION eventstore.entrances(tenant uuid, streams uuid[]) RETURNS TABLE(aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    select e.aggregate_type, e.aggregate_id, coalesce(fix.event_type, e.event_type),
           coalesce(fix.event_version, e.event_version), coalesce(fix.payload, e.payload)::text
    from eventstore.events e left join eventstore.repairs fix on fix.position = e.position
    where e.tenant_id = tenant and e.aggregate_id = any(streams)
      and (e.domain = 'portal' or e.aggregate_type = 'identity.session')
    order by e.position
$$;
REVOKE ALL ON FUNCTION eventstore.entrances(tenant uuid, streams uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.entrances(tenant uuid, streams uuid[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.entrances(tenant uuid, streams uuid[]) TO ubos_query;
GRANT ALL ON FUNCTION eventstore.entrances(tenant uuid, streams uuid[]) TO ubos_worker;

CREATE FUNCTION eventstore.forget(tenant uuid, streams uuid[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
with snapshots as (
    delete from eventstore.snapshots s where s.tenant_id = tenant and s.aggregate_id = any (streams) returning 1
),
     claims as (
         delete from eventstore.claims c
             where c.tenant_id = tenant and c.aggregate_id = any (streams) and c.value like 'hmac1.%'
             returning 1
     ),
     answers as (
         delete from eventstore.idempotency i
             where i.tenant_id = tenant
               and (i.aggregate_id = any (streams)
                 or case when i.parts like '[%' then exists (
                     select from jsonb_array_elements(i.parts::jsonb) answer where (answer ->> 'id')::uuid = any (streams))
                    end)
             returning 1
     )
select (select count(*) from snapshots) + (select count(*) from claims) + (select count(*) from answers)
$$;
REVOKE ALL ON FUNCTION eventstore.forget(tenant uuid, streams uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.forget(tenant uuid, streams uuid[]) TO ubos_worker;

CREATE FUNCTION eventstore.forget_answers(older_than interval) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
with gone as (delete from eventstore.idempotency where recorded_at < now() - greatest(older_than, interval '24 hours') returning 1)
select count(*) from gone
$$;
REVOKE ALL ON FUNCTION eventstore.forget_answers(older_than interval) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.forget_answers(older_than interval) TO ubos_worker;

CREATE FUNCTION eventstore.hash_claim(tenant uuid, of_scope text, plain text, hashed text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
begin
    -- Nobody appends meanwhile.
    perform 1 from eventstore.head h where h.shard = 0 for update;
    update eventstore.claims c
    set value = hashed
    where c.tenant_id = tenant and c.scope = of_scope and c.value = plain
      and not exists (select from eventstore.claims o
                      where o.tenant_id = tenant and o.scope = of_scope and o.value = hashed);
    return found;
end
$$;
REVOKE ALL ON FUNCTION eventstore.hash_claim(tenant uuid, of_scope text, plain text, hashed text) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.hash_claim(tenant uuid, of_scope text, plain text, hashed text) TO ubos_worker;

CREATE FUNCTION eventstore.holders(tenants uuid[], scopes text[], claimed text[]) RETURNS TABLE(claim bigint, aggregate_type text, aggregate_id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select a.claim, c.aggregate_type, c.aggregate_id
        from unnest(tenants, scopes, claimed) with ordinality as a(tenant_id, scope, value, claim)
                 join eventstore.claims c on c.tenant_id = a.tenant_id and c.scope = a.scope and c.value = a.value;
end
$$;
REVOKE ALL ON FUNCTION eventstore.holders(tenants uuid[], scopes text[], claimed text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.holders(tenants uuid[], scopes text[], claimed text[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.holders(tenants uuid[], scopes text[], claimed text[]) TO ubos_worker;

CREATE FUNCTION eventstore.identity_events(tenant uuid) RETURNS TABLE(aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    select e.aggregate_type, e.aggregate_id, coalesce(fix.event_type, e.event_type), coalesce(fix.event_version, e.event_version), coalesce(fix.payload, e.payload)::text
    from eventstore.events e left join eventstore.repairs fix on fix.position = e.position
    where e.tenant_id = tenant and e.domain = 'identity'
      and (e.aggregate_type <> 'identity.session'
           or e.event_type = 'session.ended' and e.recorded_at > now() - interval '90 days')
    order by e.position
$$;
REVOKE ALL ON FUNCTION eventstore.identity_events(tenant uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.identity_events(tenant uuid) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.identity_events(tenant uuid) TO ubos_query;
GRANT ALL ON FUNCTION eventstore.identity_events(tenant uuid) TO ubos_worker;

CREATE FUNCTION eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[]) RETURNS TABLE(stream bigint, sequence bigint, "position" bigint, event_type text, event_version integer, payload text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        with asked as materialized (
            select a.stream, s.tenant_id, s.aggregate_type, s.aggregate_id, s.first_position, s.position,
                   coalesce(snap.version, 0) as covered, snap.state, snap.version as snapshot_version
            from unnest(tenants, types, ids, state_versions)
                     with ordinality as a(tenant_id, aggregate_type, aggregate_id, state_version, stream)
                     join eventstore.streams s
                          on s.tenant_id = a.tenant_id and s.aggregate_id = a.aggregate_id and s.aggregate_type = a.aggregate_type
                     left join eventstore.snapshots snap
                               on snap.tenant_id = a.tenant_id and snap.aggregate_id = a.aggregate_id
                                   and snap.aggregate_type = a.aggregate_type and snap.state_version = a.state_version
        )
        select asked.stream, null::bigint, asked.position, null::text, asked.snapshot_version::integer, asked.state::text
        from asked
        where asked.state is not null
        union all
        select asked.stream, null::bigint, asked.position, '', k.generation, coalesce(encode(k.wrapped, 'hex'), '')
        from asked
                 cross join lateral (
            select k.generation, k.wrapped
            from vault.subject_keys k
            where k.tenant_id = asked.tenant_id and k.subject_id = asked.aggregate_id
            -- Keeps it a subquery.
            offset 0
            ) k
        union all
        (select asked.stream, e.sequence, e.position, coalesce(fix.event_type, e.event_type), coalesce(fix.event_version, e.event_version), coalesce(fix.payload, e.payload)::text
         from asked
                  join eventstore.events e
                       on e.tenant_id = asked.tenant_id and e.aggregate_id = asked.aggregate_id
                           and e.aggregate_type = asked.aggregate_type and e.sequence > asked.covered
                           -- Bounds the partitions that are looked into.
                           and e.position between asked.first_position and asked.position
                  left join eventstore.repairs fix on fix.position = e.position
         order by asked.stream, e.sequence);
end
$$;
REVOKE ALL ON FUNCTION eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[]) TO ubos_worker;

CREATE FUNCTION eventstore.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'the event log is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
REVOKE ALL ON FUNCTION eventstore.refuse_change() FROM PUBLIC;

CREATE FUNCTION eventstore.relay_advance(by_epoch bigint, to_position bigint, to_sequence bigint) RETURNS TABLE(reseed_from bigint)
    LANGUAGE sql
    SET search_path TO 'pg_catalog'
    AS $$
with old as (select r.position from eventstore.relay r where r.epoch = by_epoch for update),
     moved as (
         update eventstore.relay r
             set position        = greatest(old.position, to_position),
                 stream_sequence = case when to_position < old.position then r.stream_sequence else to_sequence end,
                 updated_at      = clock_timestamp()
             from old
             where r.epoch = by_epoch
             returning old.position as after_position, r.reseed_from
     ),
     marked as (
         insert into eventstore.relay_marks (up_to_position, after_position, published_at)
             select to_position, moved.after_position, clock_timestamp()
             from moved
             where moved.after_position < to_position
     )
select moved.reseed_from from moved
$$;
REVOKE ALL ON FUNCTION eventstore.relay_advance(by_epoch bigint, to_position bigint, to_sequence bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.relay_advance(by_epoch bigint, to_position bigint, to_sequence bigint) TO ubos_worker;

CREATE FUNCTION eventstore.relay_merge_marks() RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog'
    AS $$
with hours as materialized (
    select date_trunc('hour', m.published_at) as hour, max(m.up_to_position) as last, min(m.after_position) as first
    from eventstore.relay_marks m
    where m.published_at < date_trunc('hour', now() - interval '1 day')
    group by 1
    having count(*) > 1
),
     widened as (
         update eventstore.relay_marks m set after_position = hours.first from hours where m.up_to_position = hours.last
     ),
     gone as (
         delete from eventstore.relay_marks m
             using hours
             where m.up_to_position > hours.first and m.up_to_position < hours.last
             returning 1
     )
select count(*) from gone
$$;
REVOKE ALL ON FUNCTION eventstore.relay_merge_marks() FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.relay_merge_marks() TO ubos_worker;

CREATE FUNCTION eventstore.relay_rewind(by_epoch bigint, to_position bigint, to_sequence bigint, name text, created bigint, from_position bigint, lost boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
begin
    update eventstore.relay r
    set position        = to_position,
        stream_sequence = to_sequence,
        stream_name     = name,
        stream_created  = created,
        stream_from     = from_position,
        stream_epoch    = r.stream_epoch + lost::integer,
        reseed_from     = null,
        updated_at      = clock_timestamp()
    where r.epoch = by_epoch;
    if not found then
        return false;
    end if;
    delete from eventstore.relay_marks m where m.after_position >= to_position;
    update eventstore.relay_marks m set up_to_position = to_position where m.up_to_position > to_position;
    -- Skipped on purpose: older than the stream keeps.
    insert into eventstore.relay_marks (up_to_position, after_position, published_at)
    select to_position, covered.up_to, clock_timestamp()
    from (select coalesce(max(m.up_to_position), 0) as up_to from eventstore.relay_marks m) covered
    where covered.up_to < to_position;
    return true;
end
$$;
REVOKE ALL ON FUNCTION eventstore.relay_rewind(by_epoch bigint, to_position bigint, to_sequence bigint, name text, created bigint, from_position bigint, lost boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.relay_rewind(by_epoch bigint, to_position bigint, to_sequence bigint, name text, created bigint, from_position bigint, lost boolean) TO ubos_worker;

CREATE FUNCTION eventstore.repair(of_position bigint, as_type text, as_version integer, as_payload text, why text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    e record;
begin
    -- Nobody appends meanwhile.
    perform 1 from eventstore.head h where h.shard = 0 for update;
    select tenant_id, aggregate_type, aggregate_id into strict e from eventstore.events where position = of_position;
    insert into eventstore.repairs (position, tenant_id, event_type, event_version, payload, reason)
    values (of_position, e.tenant_id, as_type, as_version, as_payload::json, why)
    on conflict (position) do update
        set event_type = excluded.event_type, event_version = excluded.event_version, payload = excluded.payload,
            reason = excluded.reason, repaired_at = clock_timestamp();
    delete from eventstore.snapshots s
    where s.tenant_id = e.tenant_id and s.aggregate_type = e.aggregate_type and s.aggregate_id = e.aggregate_id;
end
$$;
REVOKE ALL ON FUNCTION eventstore.repair(of_position bigint, as_type text, as_version integer, as_payload text, why text) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.repair(of_position bigint, as_type text, as_version integer, as_payload text, why text) TO ubos_worker;

CREATE FUNCTION eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[]) RETURNS TABLE(cmd bigint, "position" bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
#variable_conflict use_column
begin
    perform 1 from eventstore.head h where h.shard = 0 for update;
    return query
        select a.cmd, e.position
        from unnest(c_tenant, c_id, c_sequence, c_event) with ordinality as a(tenant_id, id, sequence, event_id, cmd)
                 join eventstore.events e
                      on e.tenant_id = a.tenant_id and e.aggregate_id = a.id and e.sequence = a.sequence
        where e.event_id = a.event_id;
end
$$;
REVOKE ALL ON FUNCTION eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[]) TO ubos_worker;

CREATE FUNCTION eventstore.written(after_positions bigint[], up_to_positions bigint[]) RETURNS TABLE(tenant_id uuid, aggregate_type text, aggregate_id uuid, sequence bigint, "position" bigint, event_type text, event_version integer, payload text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
    SET search_path TO 'pg_catalog'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select e.tenant_id, e.aggregate_type, e.aggregate_id, e.sequence, e.position, e.event_type, e.event_version,
               case when pg_column_size(e.payload) < 16384 then e.payload::text end
        from unnest(after_positions, up_to_positions) as r(after_position, up_to_position)
                 cross join lateral (
            select *
            from eventstore.events e
            where e.position > r.after_position and e.position <= r.up_to_position
            -- Keeps it a subquery.
            offset 0
            ) e
        order by e.position;
end
$$;
REVOKE ALL ON FUNCTION eventstore.written(after_positions bigint[], up_to_positions bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION eventstore.written(after_positions bigint[], up_to_positions bigint[]) TO ubos_command;
GRANT ALL ON FUNCTION eventstore.written(after_positions bigint[], up_to_positions bigint[]) TO ubos_worker;

-- files

CREATE SCHEMA files;
GRANT USAGE ON SCHEMA files TO ubos_query;
GRANT USAGE ON SCHEMA files TO ubos_worker;

CREATE TABLE files.file_requests (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    title text NOT NULL COLLATE shared.by_name,
    client_id uuid NOT NULL,
    project_id uuid,
    folder_id uuid,
    message text,
    due_on date,
    status text NOT NULL COLLATE pg_catalog."C",
    sent_at timestamp with time zone,
    completed_at timestamp with time zone,
    reminded_at timestamp with time zone,
    asked_client_id uuid,
    asked_project_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.file_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.file_requests
    ADD CONSTRAINT file_requests_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX file_requests_asked_client ON files.file_requests USING btree (tenant_id, asked_client_id, created_at, id) WHERE (asked_client_id IS NOT NULL);
CREATE INDEX file_requests_asked_project ON files.file_requests USING btree (tenant_id, asked_project_id, created_at, id) WHERE (asked_project_id IS NOT NULL);
CREATE INDEX file_requests_client ON files.file_requests USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX file_requests_created ON files.file_requests USING btree (tenant_id, created_at, id);
CREATE INDEX file_requests_due_on ON files.file_requests USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX file_requests_folder ON files.file_requests USING btree (tenant_id, folder_id, created_at, id) WHERE (folder_id IS NOT NULL);
CREATE INDEX file_requests_project ON files.file_requests USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX file_requests_status ON files.file_requests USING btree (tenant_id, status, created_at, id);
CREATE INDEX file_requests_title ON files.file_requests USING btree (tenant_id, title, id);
CREATE INDEX file_requests_title_folded ON files.file_requests USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX file_requests_updated ON files.file_requests USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.file_requests TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.file_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.file_requests TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.file_requests TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.file_requests TO ubos_worker;

CREATE TABLE files.file_versions (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    file_id uuid NOT NULL,
    number bigint NOT NULL,
    size bigint NOT NULL,
    content_type text NOT NULL,
    sha256 text NOT NULL,
    client_id uuid,
    project_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.file_versions FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.file_versions
    ADD CONSTRAINT file_versions_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX file_versions_client ON files.file_versions USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX file_versions_created ON files.file_versions USING btree (tenant_id, created_at, id);
CREATE INDEX file_versions_file ON files.file_versions USING btree (tenant_id, file_id, created_at, id);
CREATE INDEX file_versions_project ON files.file_versions USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX file_versions_sha256 ON files.file_versions USING btree (tenant_id, sha256, created_at, id);
CREATE POLICY every_tenant ON files.file_versions TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.file_versions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.file_versions TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.file_versions TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.file_versions TO ubos_worker;

CREATE TABLE files.files (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    folder_id uuid,
    subfolder_id uuid,
    client_id uuid,
    project_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    version_id uuid NOT NULL,
    versions bigint NOT NULL,
    size bigint NOT NULL,
    content_type text NOT NULL,
    sha256 text NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.files FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX files_client ON files.files USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX files_content_type ON files.files USING btree (tenant_id, content_type, created_at, id);
CREATE INDEX files_created ON files.files USING btree (tenant_id, created_at, id);
CREATE INDEX files_folder ON files.files USING btree (tenant_id, folder_id, created_at, id) WHERE (folder_id IS NOT NULL);
CREATE INDEX files_name ON files.files USING btree (tenant_id, name, id);
CREATE INDEX files_name_folded ON files.files USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX files_project ON files.files USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX files_sha256 ON files.files USING btree (tenant_id, sha256, created_at, id);
CREATE INDEX files_status ON files.files USING btree (tenant_id, status, created_at, id);
CREATE INDEX files_subfolder ON files.files USING btree (tenant_id, subfolder_id, created_at, id) WHERE (subfolder_id IS NOT NULL);
CREATE INDEX files_updated ON files.files USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.files TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.files ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.files TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.files TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.files TO ubos_worker;

CREATE TABLE files.folder_templates (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    paths jsonb NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.folder_templates FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.folder_templates
    ADD CONSTRAINT folder_templates_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX folder_templates_created ON files.folder_templates USING btree (tenant_id, created_at, id);
CREATE INDEX folder_templates_key ON files.folder_templates USING btree (tenant_id, key, id);
CREATE INDEX folder_templates_name ON files.folder_templates USING btree (tenant_id, name, id);
CREATE INDEX folder_templates_name_folded ON files.folder_templates USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX folder_templates_updated ON files.folder_templates USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.folder_templates TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.folder_templates ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.folder_templates TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.folder_templates TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.folder_templates TO ubos_worker;

CREATE TABLE files.folders (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid,
    project_id uuid,
    template text,
    subfolders jsonb NOT NULL,
    archived boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.folders FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.folders
    ADD CONSTRAINT folders_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX folders_client ON files.folders USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX folders_created ON files.folders USING btree (tenant_id, created_at, id);
CREATE INDEX folders_name ON files.folders USING btree (tenant_id, name, id);
CREATE INDEX folders_name_folded ON files.folders USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX folders_project ON files.folders USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX folders_template ON files.folders USING btree (tenant_id, template, created_at, id) WHERE (template IS NOT NULL);
CREATE INDEX folders_updated ON files.folders USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.folders TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.folders ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.folders TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.folders TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.folders TO ubos_worker;

CREATE TABLE files.request_items (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    file_request_id uuid NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    description text,
    required boolean NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    file_id uuid,
    reason text,
    asked_client_id uuid,
    asked_project_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.request_items FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.request_items
    ADD CONSTRAINT request_items_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX request_items_asked_client ON files.request_items USING btree (tenant_id, asked_client_id, created_at, id) WHERE (asked_client_id IS NOT NULL);
CREATE INDEX request_items_asked_project ON files.request_items USING btree (tenant_id, asked_project_id, created_at, id) WHERE (asked_project_id IS NOT NULL);
CREATE INDEX request_items_created ON files.request_items USING btree (tenant_id, created_at, id);
CREATE INDEX request_items_file ON files.request_items USING btree (tenant_id, file_id, created_at, id) WHERE (file_id IS NOT NULL);
CREATE INDEX request_items_file_request ON files.request_items USING btree (tenant_id, file_request_id, created_at, id);
CREATE INDEX request_items_status ON files.request_items USING btree (tenant_id, status, created_at, id);
CREATE INDEX request_items_updated ON files.request_items USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.request_items TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE files.request_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files.request_items TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE files.request_items TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.request_items TO ubos_worker;

CREATE TABLE files.uploads (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    file_id uuid NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    content_type text NOT NULL,
    sha256 text NOT NULL,
    part_size bigint,
    expires_at timestamp with time zone NOT NULL,
    reason text COLLATE pg_catalog."C",
    detail text
)
WITH (fillfactor='85');
ALTER TABLE ONLY files.uploads FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY files.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX uploads_created ON files.uploads USING btree (tenant_id, created_at, id);
CREATE INDEX uploads_expires ON files.uploads USING btree (tenant_id, expires_at, id);
CREATE INDEX uploads_file ON files.uploads USING btree (tenant_id, file_id, created_at, id);
CREATE INDEX uploads_reason ON files.uploads USING btree (tenant_id, reason, created_at, id) WHERE (reason IS NOT NULL);
CREATE INDEX uploads_status ON files.uploads USING btree (tenant_id, status, created_at, id);
CREATE INDEX uploads_updated ON files.uploads USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON files.uploads TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON files.uploads TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE files.uploads ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE files.uploads TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE files.uploads TO ubos_worker;

-- identity

CREATE SCHEMA identity;
GRANT USAGE ON SCHEMA identity TO ubos_query;
GRANT USAGE ON SCHEMA identity TO ubos_worker;

CREATE TABLE identity.api_keys (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    principal_kind text NOT NULL,
    principal_id uuid NOT NULL,
    scopes jsonb NOT NULL,
    expires_at timestamp with time zone,
    rotated_at timestamp with time zone,
    previous_until timestamp with time zone,
    revoked_at timestamp with time zone,
    revoked_reason text,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX api_keys_created ON identity.api_keys USING btree (tenant_id, created_at, id);
CREATE INDEX api_keys_expires ON identity.api_keys USING btree (tenant_id, expires_at, id) WHERE (expires_at IS NOT NULL);
CREATE INDEX api_keys_name ON identity.api_keys USING btree (tenant_id, name, id);
CREATE INDEX api_keys_name_folded ON identity.api_keys USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX api_keys_principal ON identity.api_keys USING btree (tenant_id, principal_id, created_at, id);
CREATE INDEX api_keys_principal_kind ON identity.api_keys USING btree (tenant_id, principal_kind, created_at, id);
CREATE INDEX api_keys_status ON identity.api_keys USING btree (tenant_id, status, created_at, id);
ALTER TABLE identity.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON identity.api_keys TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON identity.api_keys TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.api_keys TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.api_keys TO ubos_worker;

CREATE TABLE identity.erasures (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    subject_id uuid NOT NULL,
    reason text NOT NULL,
    derived boolean NOT NULL,
    completed_at timestamp with time zone,
    streams bigint,
    keys bigint,
    events bigint,
    plain_events bigint,
    rows bigint,
    messages bigint,
    status text DEFAULT 'requested'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.erasures FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX erasures_completed ON identity.erasures USING btree (tenant_id, completed_at, id) WHERE (completed_at IS NOT NULL);
CREATE INDEX erasures_created ON identity.erasures USING btree (tenant_id, created_at, id);
CREATE INDEX erasures_status ON identity.erasures USING btree (tenant_id, status, created_at, id);
CREATE INDEX erasures_subject ON identity.erasures USING btree (tenant_id, subject_id, created_at, id);
ALTER TABLE identity.erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON identity.erasures TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON identity.erasures TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.erasures TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.erasures TO ubos_worker;

CREATE TABLE identity.roles (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    description text NOT NULL,
    patterns jsonb NOT NULL,
    grants jsonb DEFAULT '[]'::jsonb NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.roles FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.roles
    ADD CONSTRAINT roles_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX roles_created ON identity.roles USING btree (tenant_id, created_at, id);
CREATE INDEX roles_name ON identity.roles USING btree (tenant_id, name, id);
CREATE INDEX roles_name_folded ON identity.roles USING btree (tenant_id, name COLLATE shared.folded);
CREATE POLICY every_tenant ON identity.roles TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE identity.roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity.roles TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.roles TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.roles TO ubos_worker;

CREATE TABLE identity.service_accounts (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    roles jsonb NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.service_accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.service_accounts
    ADD CONSTRAINT service_accounts_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX service_accounts_created ON identity.service_accounts USING btree (tenant_id, created_at, id);
CREATE INDEX service_accounts_name ON identity.service_accounts USING btree (tenant_id, name, id);
CREATE INDEX service_accounts_name_folded ON identity.service_accounts USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX service_accounts_status ON identity.service_accounts USING btree (tenant_id, status, created_at, id);
CREATE POLICY every_tenant ON identity.service_accounts TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE identity.service_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity.service_accounts TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.service_accounts TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.service_accounts TO ubos_worker;

CREATE TABLE identity.sessions (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    issuer text NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    user_agent text,
    ended_at timestamp with time zone,
    ended_reason text,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX sessions_created ON identity.sessions USING btree (tenant_id, created_at, id);
CREATE INDEX sessions_ends ON identity.sessions USING btree (tenant_id, ends_at, id);
CREATE INDEX sessions_status ON identity.sessions USING btree (tenant_id, status, created_at, id);
CREATE INDEX sessions_user ON identity.sessions USING btree (tenant_id, user_id, created_at, id);
CREATE POLICY every_tenant ON identity.sessions TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE identity.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity.sessions TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.sessions TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.sessions TO ubos_worker;

CREATE TABLE identity.subscribers (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    expires_at timestamp with time zone,
    rotated_at timestamp with time zone,
    previous_until timestamp with time zone,
    revoked_at timestamp with time zone,
    revoked_reason text,
    scopes jsonb DEFAULT '[]'::jsonb NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.subscribers FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.subscribers
    ADD CONSTRAINT subscribers_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX subscribers_created ON identity.subscribers USING btree (tenant_id, created_at, id);
CREATE INDEX subscribers_expires ON identity.subscribers USING btree (tenant_id, expires_at, id) WHERE (expires_at IS NOT NULL);
CREATE INDEX subscribers_name ON identity.subscribers USING btree (tenant_id, name, id);
CREATE INDEX subscribers_name_folded ON identity.subscribers USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX subscribers_status ON identity.subscribers USING btree (tenant_id, status, created_at, id);
CREATE POLICY every_tenant ON identity.subscribers TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE identity.subscribers ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity.subscribers TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.subscribers TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.subscribers TO ubos_worker;

CREATE TABLE identity.teams (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    members jsonb NOT NULL,
    grants jsonb DEFAULT '[]'::jsonb NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.teams FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.teams
    ADD CONSTRAINT teams_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX teams_created ON identity.teams USING btree (tenant_id, created_at, id);
CREATE INDEX teams_name ON identity.teams USING btree (tenant_id, name, id);
CREATE INDEX teams_name_folded ON identity.teams USING btree (tenant_id, name COLLATE shared.folded);
CREATE POLICY every_tenant ON identity.teams TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE identity.teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity.teams TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE identity.teams TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.teams TO ubos_worker;

CREATE TABLE identity.tenants (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    status text NOT NULL,
    trial_ends_at timestamp with time zone NOT NULL,
    owners jsonb NOT NULL,
    suspended_reason text,
    purge_at timestamp with time zone,
    login_issuers jsonb DEFAULT '[]'::jsonb NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX tenants_created ON identity.tenants USING btree (tenant_id, created_at, id);
CREATE POLICY every_tenant ON identity.tenants TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON identity.tenants TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE identity.tenants ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE identity.tenants TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.tenants TO ubos_worker;

CREATE TABLE identity.users (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    email text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    status text NOT NULL,
    roles jsonb NOT NULL,
    invitation_id uuid,
    invitation_expires_at timestamp with time zone,
    activated_at timestamp with time zone,
    login_issuers jsonb NOT NULL,
    reason text,
    grants jsonb DEFAULT '[]'::jsonb NOT NULL,
    email_failure text
)
WITH (fillfactor='85');
ALTER TABLE ONLY identity.users FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY identity.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX users_created ON identity.users USING btree (tenant_id, created_at, id);
CREATE INDEX users_email ON identity.users USING btree (tenant_id, email, created_at, id);
CREATE INDEX users_name ON identity.users USING btree (tenant_id, name, id);
CREATE INDEX users_name_folded ON identity.users USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX users_status ON identity.users USING btree (tenant_id, status, created_at, id);
CREATE INDEX users_updated ON identity.users USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON identity.users TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON identity.users TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE identity.users ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE identity.users TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.users TO ubos_worker;

-- login

CREATE SCHEMA login;
GRANT USAGE ON SCHEMA login TO ubos_command;
GRANT USAGE ON SCHEMA login TO ubos_worker;

CREATE TABLE login.addresses (
    address_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL
);
ALTER TABLE ONLY login.addresses FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY login.addresses
    ADD CONSTRAINT addresses_pkey PRIMARY KEY (address_hash, tenant_id, user_id);
ALTER TABLE login.addresses ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON login.addresses TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON login.addresses TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE login.addresses TO ubos_worker;

CREATE TABLE login.magic_links (
    tenant_id uuid NOT NULL,
    portal_user_id uuid NOT NULL,
    purpose text NOT NULL,
    secret_hash bytea NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT magic_links_purpose_check CHECK ((purpose = 'login'::text))
);
ALTER TABLE ONLY login.magic_links FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY login.magic_links
    ADD CONSTRAINT magic_links_pkey PRIMARY KEY (tenant_id, portal_user_id, purpose);
CREATE POLICY every_tenant ON login.magic_links TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE login.magic_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON login.magic_links TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE login.magic_links TO ubos_worker;

CREATE TABLE login.portal_addresses (
    tenant_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    portal_user_id uuid NOT NULL
);
ALTER TABLE ONLY login.portal_addresses FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY login.portal_addresses
    ADD CONSTRAINT portal_addresses_pkey PRIMARY KEY (tenant_id, address_hash, portal_user_id);
CREATE POLICY every_tenant ON login.portal_addresses TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE login.portal_addresses ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON login.portal_addresses TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE login.portal_addresses TO ubos_worker;

CREATE TABLE login.portal_requests (
    tenant_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    is_open boolean DEFAULT true NOT NULL
);
ALTER TABLE ONLY login.portal_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY login.portal_requests
    ADD CONSTRAINT portal_requests_pkey PRIMARY KEY (tenant_id, address_hash);
CREATE INDEX portal_requests_asked ON login.portal_requests USING btree (asked_at);
CREATE INDEX portal_requests_open ON login.portal_requests USING btree (asked_at) WHERE is_open;
CREATE POLICY every_tenant ON login.portal_requests TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE login.portal_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON login.portal_requests TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE login.portal_requests TO ubos_worker;

CREATE FUNCTION login.ask_for_magic_link(tenant uuid, address bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    insert into login.portal_requests as r (tenant_id, address_hash) values (tenant, address)
    on conflict (tenant_id, address_hash) do update set asked_at = now(), is_open = true
    where r.asked_at < now() - interval '1 minute'
$$;
REVOKE ALL ON FUNCTION login.ask_for_magic_link(tenant uuid, address bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION login.ask_for_magic_link(tenant uuid, address bytea) TO ubos_command;

CREATE FUNCTION login.firms_of(address bytea) RETURNS TABLE(tenant_id uuid, user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    select a.tenant_id, a.user_id from login.addresses a where a.address_hash = address order by 1, 2 limit 100
$$;
REVOKE ALL ON FUNCTION login.firms_of(address bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION login.firms_of(address bytea) TO ubos_command;

CREATE FUNCTION login.use_magic_link(tenant uuid, portal_user uuid, secret bytea) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    with used as (
        update login.magic_links l set used_at = now()
        where l.tenant_id = tenant and l.portal_user_id = portal_user and l.purpose = 'login'
          and l.secret_hash = secret and l.used_at is null and l.expires_at > now()
          and not exists (
              select from eventstore.events e
              where e.tenant_id = tenant and e.aggregate_id = portal_user and e.domain = 'portal'
                and e.event_type in ('portal_user.locked', 'portal_user.disabled', 'portal_user.invitation_revoked')
                and e.recorded_at >= l.made_at)
        returning 1)
    select exists (select from used)
$$;
REVOKE ALL ON FUNCTION login.use_magic_link(tenant uuid, portal_user uuid, secret bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION login.use_magic_link(tenant uuid, portal_user uuid, secret bytea) TO ubos_command;

-- pg_catalog

REVOKE ALL ON FUNCTION pg_catalog.lo_close(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_creat(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_get(oid) FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.lo_get(oid, bigint, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_lseek(integer, integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_lseek64(integer, bigint, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_open(oid, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_put(oid, bigint, bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_tell(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_tell64(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_truncate(integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_truncate64(integer, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_unlink(oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.loread(integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lowrite(integer, bytea) FROM PUBLIC;

-- portal

CREATE SCHEMA portal;
GRANT USAGE ON SCHEMA portal TO ubos_query;
GRANT USAGE ON SCHEMA portal TO ubos_worker;

CREATE TABLE portal.client_approvals (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    portal_user_id uuid,
    project_id uuid,
    subject_kind text NOT NULL COLLATE pg_catalog."C",
    subject_id uuid NOT NULL,
    title text NOT NULL COLLATE shared.by_name,
    message text,
    expires_at timestamp with time zone,
    status text NOT NULL COLLATE pg_catalog."C",
    decided_by uuid,
    decided_at timestamp with time zone,
    reason text
)
WITH (fillfactor='85');
ALTER TABLE ONLY portal.client_approvals FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY portal.client_approvals
    ADD CONSTRAINT client_approvals_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX client_approvals_client ON portal.client_approvals USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX client_approvals_created ON portal.client_approvals USING btree (tenant_id, created_at, id);
CREATE INDEX client_approvals_expires ON portal.client_approvals USING btree (tenant_id, expires_at, id) WHERE (expires_at IS NOT NULL);
CREATE INDEX client_approvals_portal_user ON portal.client_approvals USING btree (tenant_id, portal_user_id, created_at, id) WHERE (portal_user_id IS NOT NULL);
CREATE INDEX client_approvals_project ON portal.client_approvals USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX client_approvals_status ON portal.client_approvals USING btree (tenant_id, status, created_at, id);
CREATE INDEX client_approvals_subject ON portal.client_approvals USING btree (tenant_id, subject_id, created_at, id);
CREATE INDEX client_approvals_subject_kind ON portal.client_approvals USING btree (tenant_id, subject_kind, created_at, id);
CREATE INDEX client_approvals_title ON portal.client_approvals USING btree (tenant_id, title, id);
CREATE INDEX client_approvals_title_folded ON portal.client_approvals USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX client_approvals_updated ON portal.client_approvals USING btree (tenant_id, updated_at, id);
ALTER TABLE portal.client_approvals ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON portal.client_approvals TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON portal.client_approvals TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE portal.client_approvals TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.client_approvals TO ubos_worker;

CREATE TABLE portal.client_tasks (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    portal_user_id uuid,
    project_id uuid,
    title text NOT NULL COLLATE shared.by_name,
    description text,
    due_on date,
    status text NOT NULL COLLATE pg_catalog."C",
    note text,
    return_reason text,
    submitted_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY portal.client_tasks FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY portal.client_tasks
    ADD CONSTRAINT client_tasks_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX client_tasks_client ON portal.client_tasks USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX client_tasks_created ON portal.client_tasks USING btree (tenant_id, created_at, id);
CREATE INDEX client_tasks_due_on ON portal.client_tasks USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX client_tasks_portal_user ON portal.client_tasks USING btree (tenant_id, portal_user_id, created_at, id) WHERE (portal_user_id IS NOT NULL);
CREATE INDEX client_tasks_project ON portal.client_tasks USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX client_tasks_status ON portal.client_tasks USING btree (tenant_id, status, created_at, id);
CREATE INDEX client_tasks_title ON portal.client_tasks USING btree (tenant_id, title, id);
CREATE INDEX client_tasks_title_folded ON portal.client_tasks USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX client_tasks_updated ON portal.client_tasks USING btree (tenant_id, updated_at, id);
ALTER TABLE portal.client_tasks ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON portal.client_tasks TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON portal.client_tasks TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE portal.client_tasks TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.client_tasks TO ubos_worker;

CREATE TABLE portal.portal_sessions (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    portal_user_id uuid NOT NULL,
    client_id uuid NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    user_agent text,
    ended_at timestamp with time zone,
    ended_reason text,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY portal.portal_sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY portal.portal_sessions
    ADD CONSTRAINT portal_sessions_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX portal_sessions_client ON portal.portal_sessions USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX portal_sessions_created ON portal.portal_sessions USING btree (tenant_id, created_at, id);
CREATE INDEX portal_sessions_ends ON portal.portal_sessions USING btree (tenant_id, ends_at, id);
CREATE INDEX portal_sessions_portal_user ON portal.portal_sessions USING btree (tenant_id, portal_user_id, created_at, id);
CREATE INDEX portal_sessions_status ON portal.portal_sessions USING btree (tenant_id, status, created_at, id);
CREATE POLICY every_tenant ON portal.portal_sessions TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE portal.portal_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON portal.portal_sessions TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE portal.portal_sessions TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.portal_sessions TO ubos_worker;

CREATE TABLE portal.portal_users (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    contact_id uuid,
    name text NOT NULL COLLATE shared.by_name,
    email text NOT NULL,
    status text NOT NULL,
    invitation_id uuid,
    invitation_expires_at timestamp with time zone,
    activated_at timestamp with time zone,
    scopes jsonb NOT NULL,
    locked_reason text,
    grants jsonb DEFAULT '[]'::jsonb NOT NULL,
    email_failure text,
    engagement_grants jsonb DEFAULT '[]'::jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY portal.portal_users FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY portal.portal_users
    ADD CONSTRAINT portal_users_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX portal_users_client ON portal.portal_users USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX portal_users_contact ON portal.portal_users USING btree (tenant_id, contact_id, created_at, id) WHERE (contact_id IS NOT NULL);
CREATE INDEX portal_users_created ON portal.portal_users USING btree (tenant_id, created_at, id);
CREATE INDEX portal_users_email ON portal.portal_users USING btree (tenant_id, email, created_at, id);
CREATE INDEX portal_users_name ON portal.portal_users USING btree (tenant_id, name, id);
CREATE INDEX portal_users_name_folded ON portal.portal_users USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX portal_users_status ON portal.portal_users USING btree (tenant_id, status, created_at, id);
CREATE INDEX portal_users_updated ON portal.portal_users USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON portal.portal_users TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE portal.portal_users ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON portal.portal_users TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE portal.portal_users TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.portal_users TO ubos_worker;

-- projections

CREATE SCHEMA projections;
GRANT USAGE ON SCHEMA projections TO ubos_query;
GRANT USAGE ON SCHEMA projections TO ubos_worker;

CREATE TABLE projections.checkpoints (
    group_name text NOT NULL,
    slot text NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL,
    events bigint DEFAULT 0 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT checkpoints_slot_check CHECK ((slot = ANY (ARRAY['live'::text, 'next'::text, 'previous'::text])))
)
WITH (fillfactor='20');
ALTER TABLE ONLY projections.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (group_name, slot);
GRANT SELECT ON TABLE projections.checkpoints TO ubos_query;
GRANT SELECT,UPDATE ON TABLE projections.checkpoints TO ubos_worker;

CREATE TABLE projections.parked (
    group_name text NOT NULL,
    slot text NOT NULL,
    tenant_id uuid NOT NULL,
    aggregate_id uuid NOT NULL,
    aggregate_type text NOT NULL,
    table_name text,
    row_id uuid,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    event_count bigint NOT NULL,
    error text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT parked_slot_check CHECK ((slot = ANY (ARRAY['live'::text, 'next'::text, 'previous'::text])))
);
ALTER TABLE ONLY projections.parked FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projections.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (group_name, slot, tenant_id, aggregate_id);
CREATE POLICY every_tenant ON projections.parked TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE projections.parked ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projections.parked TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projections.parked TO ubos_worker;

CREATE TABLE projections.tables (
    group_name text NOT NULL,
    table_name text NOT NULL
);
ALTER TABLE ONLY projections.tables
    ADD CONSTRAINT tables_pkey PRIMARY KEY (group_name, table_name);
GRANT SELECT ON TABLE projections.tables TO ubos_worker;

CREATE FUNCTION projections.advance(grp text, of_slot text, after bigint, upto bigint, OUT at bigint, OUT written_by text, OUT moved_by text, OUT parked_tenants uuid[], OUT parked_aggregates uuid[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
begin
    -- The commit need not wait for the disk: rows and checkpoint go together, and what a crash takes is read again.
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
    -- What follows takes arrays, and planning it each time costs more than running it. Without scans, because a plan that was
    -- made while a table was small must do when it has grown.
    perform pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
    perform pg_catalog.set_config('enable_seqscan', 'off', true);
    select c.position, c.xmin::text into at, written_by
    from projections.checkpoints c where c.group_name = grp and c.slot = of_slot for no key update;
    if at is distinct from after then
        return;
    end if;
    update projections.checkpoints c
    set position = upto, events = c.events + upto - after, updated_at = now()
    where c.group_name = grp and c.slot = of_slot
    returning c.xmin::text into moved_by;
    select array_agg(p.tenant_id), array_agg(p.aggregate_id) into parked_tenants, parked_aggregates
    from projections.parked p where p.group_name = grp and p.slot = of_slot;
end
$$;
REVOKE ALL ON FUNCTION projections.advance(grp text, of_slot text, after bigint, upto bigint, OUT at bigint, OUT written_by text, OUT moved_by text, OUT parked_tenants uuid[], OUT parked_aggregates uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION projections.advance(grp text, of_slot text, after bigint, upto bigint, OUT at bigint, OUT written_by text, OUT moved_by text, OUT parked_tenants uuid[], OUT parked_aggregates uuid[]) TO ubos_worker;

CREATE FUNCTION projections.begin_rebuild(grp text, folds integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $_$
declare
    name text;
begin
    perform projections.discard(grp, 'next');
    execute format('create schema if not exists %I', grp || '_next');
    execute format('grant usage on schema %I to ubos_worker', grp || '_next');
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        execute format('create table %1$I.%3$I (like %2$I.%3$I including defaults including constraints including storage)',
                       grp || '_next', grp, name);
        execute format('grant select, insert, update, delete on %I.%I to ubos_worker', grp || '_next', name);
    end loop;
    insert into projections.checkpoints (group_name, slot, version) values (grp, 'next', folds);
end
$_$;
REVOKE ALL ON FUNCTION projections.begin_rebuild(grp text, folds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION projections.begin_rebuild(grp text, folds integer) TO ubos_worker;

CREATE FUNCTION projections.discard(grp text, unused text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    name text;
begin
    if unused is null or unused not in ('next', 'previous') then
        raise exception 'slot % cannot be dropped', unused using errcode = 'insufficient_privilege';
    elsif not exists (select from projections.tables where group_name = grp) then
        raise exception 'there is no group %', grp using errcode = 'undefined_object';
    end if;
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        execute format('drop table if exists %I.%I', grp || '_' || unused, name);
    end loop;
    delete from projections.checkpoints where group_name = grp and slot = unused;
    delete from projections.parked where group_name = grp and slot = unused;
end
$$;
REVOKE ALL ON FUNCTION projections.discard(grp text, unused text) FROM PUBLIC;
GRANT ALL ON FUNCTION projections.discard(grp text, unused text) TO ubos_worker;

CREATE FUNCTION projections.finish_build(grp text, reached bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    name text;
    key  record;
begin
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        for key in
            select pg_get_indexdef(i.indexrelid) as definition, c.conname, pg_get_constraintdef(c.oid) as condition
            from pg_index i
                     left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
            where i.indrelid = format('%I.%I', grp, name)::regclass
        loop
            if key.conname is null then
                execute replace(key.definition, format(' ON %I.%I ', grp, name), format(' ON %I.%I ', grp || '_next', name));
            else
                execute format('alter table %I.%I add constraint %I %s', grp || '_next', name, key.conname, key.condition);
            end if;
        end loop;
        execute format('analyze %I.%I', grp || '_next', name);
    end loop;
    update projections.checkpoints set position = reached, events = reached, updated_at = now()
    where group_name = grp and slot = 'next' and position = 0;
    if not found then
        raise exception 'no rebuild of % has begun', grp;
    end if;
end
$$;
REVOKE ALL ON FUNCTION projections.finish_build(grp text, reached bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION projections.finish_build(grp text, reached bigint) TO ubos_worker;

CREATE FUNCTION projections.register(target regclass) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    grp  text;
    name text;
begin
    select n.nspname, c.relname into grp, name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    insert into projections.tables values (grp, name);
    insert into projections.checkpoints (group_name, slot) values (grp, 'live')
    on conflict (group_name, slot) do update set version = 0 where checkpoints.position > 0;
    execute format('grant usage on schema %I to ubos_query, ubos_worker', grp);
    perform shared.secure_tenant_table(target, '{ubos_query}', '{ubos_worker}');
end
$$;
REVOKE ALL ON FUNCTION projections.register(target regclass) FROM PUBLIC;

CREATE FUNCTION projections.switch(grp text, source text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    name text;
    live bigint;
    side bigint;
begin
    perform 1 from projections.checkpoints where group_name = grp order by slot for update;
    select position into live from projections.checkpoints where group_name = grp and slot = 'live';
    select position into side from projections.checkpoints where group_name = grp and slot = source;
    if source not in ('next', 'previous') or side is null or live is null then
        raise exception 'nothing to switch % to in %', grp, source using errcode = 'object_not_in_prerequisite_state';
    elsif side <> live then
        raise exception 'the % tables of % are at %, the live ones at %', source, grp, side, live
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    perform projections.discard(grp, case source when 'next' then 'previous' else 'next' end);
    execute format('create schema if not exists %I', grp || '_previous');
    execute format('create schema if not exists %I', grp || '_next');
    execute format('grant usage on schema %I to ubos_worker', grp || '_previous');
    -- One table after the other; readers of any of them wait for the commit and then see the new one.
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        if source = 'next' then
            perform shared.secure_tenant_table(format('%I.%I', grp || '_next', name)::regclass, '{ubos_query}', '{ubos_worker}');
            execute format('alter table %I.%I set schema %I', grp, name, grp || '_previous');
            execute format('alter table %I.%I set schema %I', grp || '_next', name, grp);
        else
            execute format('alter table %I.%I set schema %I', grp, name, grp || '_next');
            execute format('alter table %I.%I set schema %I', grp || '_previous', name, grp);
            execute format('alter table %I.%I set schema %I', grp || '_next', name, grp || '_previous');
        end if;
    end loop;
    -- The live checkpoint stays the same row, so that whoever waits for its lock finds it again.
    if source = 'next' then
        insert into projections.checkpoints (group_name, slot, position, events, version)
        select group_name, 'previous', position, events, version
        from projections.checkpoints where group_name = grp and slot = 'live';
        update projections.parked set slot = 'previous' where group_name = grp and slot = 'live';
        update projections.parked set slot = 'live' where group_name = grp and slot = 'next';
        update projections.checkpoints l set events = n.events, version = n.version, updated_at = now()
        from projections.checkpoints n
        where l.group_name = grp and l.slot = 'live' and n.group_name = grp and n.slot = 'next';
        delete from projections.checkpoints where group_name = grp and slot = 'next';
    else
        update projections.checkpoints c set events = o.events, version = o.version, updated_at = now()
        from projections.checkpoints o
        where c.group_name = grp and o.group_name = grp
          and (c.slot, o.slot) in (('live', 'previous'), ('previous', 'live'));
        update projections.parked set slot = 'next' where group_name = grp and slot = 'live';
        update projections.parked set slot = 'live' where group_name = grp and slot = 'previous';
        update projections.parked set slot = 'previous' where group_name = grp and slot = 'next';
    end if;
end
$$;
REVOKE ALL ON FUNCTION projections.switch(grp text, source text) FROM PUBLIC;
GRANT ALL ON FUNCTION projections.switch(grp text, source text) TO ubos_worker;

-- projects

CREATE SCHEMA projects;
GRANT USAGE ON SCHEMA projects TO ubos_query;
GRANT USAGE ON SCHEMA projects TO ubos_worker;

CREATE TABLE projects.budgets (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid,
    engagement_id uuid,
    currency text,
    hourly_rate_minor bigint,
    user_rates jsonb NOT NULL,
    budget_minutes bigint,
    budget_minor bigint,
    budget_percent bigint NOT NULL,
    spent_minutes bigint NOT NULL,
    spent_minor bigint NOT NULL,
    threshold_minutes bigint,
    threshold_minor bigint,
    threshold_reached boolean NOT NULL,
    unbilled_minutes bigint NOT NULL,
    unbilled_minor bigint NOT NULL,
    archived boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.budgets FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX budgets_budget_percent ON projects.budgets USING btree (tenant_id, budget_percent, created_at, id);
CREATE INDEX budgets_client ON projects.budgets USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX budgets_created ON projects.budgets USING btree (tenant_id, created_at, id);
CREATE INDEX budgets_engagement ON projects.budgets USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX budgets_name ON projects.budgets USING btree (tenant_id, name, id);
CREATE INDEX budgets_name_folded ON projects.budgets USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX budgets_threshold_reached ON projects.budgets USING btree (tenant_id, threshold_reached, created_at, id);
CREATE INDEX budgets_unbilled_minutes ON projects.budgets USING btree (tenant_id, unbilled_minutes, id);
CREATE INDEX budgets_updated ON projects.budgets USING btree (tenant_id, updated_at, id);
ALTER TABLE projects.budgets ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON projects.budgets TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON projects.budgets TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE projects.budgets TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.budgets TO ubos_worker;

CREATE TABLE projects.milestones (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    status text NOT NULL,
    due_on date,
    completed_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.milestones FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.milestones
    ADD CONSTRAINT milestones_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX milestones_created ON projects.milestones USING btree (tenant_id, created_at, id);
CREATE INDEX milestones_due_on ON projects.milestones USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX milestones_name ON projects.milestones USING btree (tenant_id, name, id);
CREATE INDEX milestones_name_folded ON projects.milestones USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX milestones_project ON projects.milestones USING btree (tenant_id, project_id, created_at, id);
CREATE INDEX milestones_status ON projects.milestones USING btree (tenant_id, status, created_at, id);
CREATE INDEX milestones_updated ON projects.milestones USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON projects.milestones TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE projects.milestones ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects.milestones TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE projects.milestones TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.milestones TO ubos_worker;

CREATE TABLE projects.project_templates (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    milestones jsonb NOT NULL,
    tasks jsonb NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.project_templates FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.project_templates
    ADD CONSTRAINT project_templates_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX project_templates_created ON projects.project_templates USING btree (tenant_id, created_at, id);
CREATE INDEX project_templates_key ON projects.project_templates USING btree (tenant_id, key, id);
CREATE INDEX project_templates_name ON projects.project_templates USING btree (tenant_id, name, id);
CREATE INDEX project_templates_name_folded ON projects.project_templates USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX project_templates_updated ON projects.project_templates USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON projects.project_templates TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE projects.project_templates ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects.project_templates TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE projects.project_templates TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.project_templates TO ubos_worker;

CREATE TABLE projects.projects (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid,
    template text,
    status text NOT NULL,
    starts_on date NOT NULL,
    reason text,
    milestone_count bigint NOT NULL,
    task_count bigint NOT NULL,
    completed_at timestamp with time zone,
    archived boolean NOT NULL,
    engagement_id uuid,
    description text,
    priority text DEFAULT 'normal'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.projects FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX projects_client ON projects.projects USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX projects_created ON projects.projects USING btree (tenant_id, created_at, id);
CREATE INDEX projects_engagement ON projects.projects USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX projects_name ON projects.projects USING btree (tenant_id, name, id);
CREATE INDEX projects_name_folded ON projects.projects USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX projects_priority ON projects.projects USING btree (tenant_id, priority, created_at, id);
CREATE INDEX projects_starts_on ON projects.projects USING btree (tenant_id, starts_on, id);
CREATE INDEX projects_status ON projects.projects USING btree (tenant_id, status, created_at, id);
CREATE INDEX projects_template ON projects.projects USING btree (tenant_id, template, created_at, id) WHERE (template IS NOT NULL);
CREATE INDEX projects_updated ON projects.projects USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON projects.projects TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE projects.projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects.projects TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE projects.projects TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.projects TO ubos_worker;

CREATE TABLE projects.tasks (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    milestone_id uuid,
    title text NOT NULL COLLATE shared.by_name,
    description text,
    status text NOT NULL,
    due_on date,
    role text,
    assignee_id uuid,
    blocked_reason text,
    completed_at timestamp with time zone,
    priority text DEFAULT 'normal'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.tasks FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX tasks_assignee ON projects.tasks USING btree (tenant_id, assignee_id, created_at, id) WHERE (assignee_id IS NOT NULL);
CREATE INDEX tasks_created ON projects.tasks USING btree (tenant_id, created_at, id);
CREATE INDEX tasks_due_on ON projects.tasks USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX tasks_milestone ON projects.tasks USING btree (tenant_id, milestone_id, created_at, id) WHERE (milestone_id IS NOT NULL);
CREATE INDEX tasks_priority ON projects.tasks USING btree (tenant_id, priority, created_at, id);
CREATE INDEX tasks_project ON projects.tasks USING btree (tenant_id, project_id, created_at, id);
CREATE INDEX tasks_role ON projects.tasks USING btree (tenant_id, role, created_at, id) WHERE (role IS NOT NULL);
CREATE INDEX tasks_status ON projects.tasks USING btree (tenant_id, status, created_at, id);
CREATE INDEX tasks_title ON projects.tasks USING btree (tenant_id, title, id);
CREATE INDEX tasks_title_folded ON projects.tasks USING btree (tenant_id, title COLLATE shared.folded);
CREATE INDEX tasks_updated ON projects.tasks USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON projects.tasks TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE projects.tasks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects.tasks TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE projects.tasks TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.tasks TO ubos_worker;

CREATE TABLE projects.time_entries (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    client_id uuid,
    user_id uuid NOT NULL,
    task_id uuid,
    date date NOT NULL,
    minutes bigint NOT NULL,
    description text,
    billable boolean NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    currency text,
    hourly_rate_minor bigint,
    amount_minor bigint,
    rejection_reason text,
    invoice_id uuid,
    engagement_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY projects.time_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY projects.time_entries
    ADD CONSTRAINT time_entries_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX time_entries_billable ON projects.time_entries USING btree (tenant_id, billable, created_at, id);
CREATE INDEX time_entries_client ON projects.time_entries USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX time_entries_created ON projects.time_entries USING btree (tenant_id, created_at, id);
CREATE INDEX time_entries_date ON projects.time_entries USING btree (tenant_id, date, id);
CREATE INDEX time_entries_engagement ON projects.time_entries USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX time_entries_invoice ON projects.time_entries USING btree (tenant_id, invoice_id, created_at, id) WHERE (invoice_id IS NOT NULL);
CREATE INDEX time_entries_project ON projects.time_entries USING btree (tenant_id, project_id, created_at, id);
CREATE INDEX time_entries_status ON projects.time_entries USING btree (tenant_id, status, created_at, id);
CREATE INDEX time_entries_task ON projects.time_entries USING btree (tenant_id, task_id, created_at, id) WHERE (task_id IS NOT NULL);
CREATE INDEX time_entries_updated ON projects.time_entries USING btree (tenant_id, updated_at, id);
CREATE INDEX time_entries_user ON projects.time_entries USING btree (tenant_id, user_id, created_at, id);
CREATE POLICY every_tenant ON projects.time_entries TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON projects.time_entries TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE projects.time_entries ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE projects.time_entries TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE projects.time_entries TO ubos_worker;

-- public

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
GRANT SELECT ON TABLE public._sqlx_migrations TO ubos_command;
GRANT SELECT ON TABLE public._sqlx_migrations TO ubos_query;
GRANT SELECT ON TABLE public._sqlx_migrations TO ubos_worker;

-- reactions

CREATE SCHEMA reactions;
GRANT USAGE ON SCHEMA reactions TO ubos_worker;
GRANT USAGE ON SCHEMA reactions TO ubos_query;

CREATE TABLE reactions.checkpoints (
    reader text NOT NULL,
    "position" bigint NOT NULL
)
WITH (fillfactor='10');
ALTER TABLE ONLY reactions.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (reader);
GRANT SELECT,INSERT,UPDATE ON TABLE reactions.checkpoints TO ubos_worker;

CREATE TABLE reactions.jobs (
    tenant_id uuid NOT NULL,
    id bigint NOT NULL,
    reaction text NOT NULL,
    lane text NOT NULL,
    key text NOT NULL,
    "position" bigint,
    subject_id uuid,
    state text DEFAULT 'due'::text NOT NULL,
    in_lane boolean DEFAULT true NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    lease uuid,
    attempts integer DEFAULT 0 NOT NULL,
    tried_since timestamp with time zone,
    code text,
    why text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    again boolean DEFAULT false NOT NULL,
    CONSTRAINT jobs_state_check CHECK ((state = ANY (ARRAY['due'::text, 'unknown'::text, 'parked'::text, 'done'::text, 'dropped'::text])))
)
WITH (fillfactor='70');
ALTER TABLE ONLY reactions.jobs FORCE ROW LEVEL SECURITY;
ALTER TABLE reactions.jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME reactions.jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY reactions.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
CREATE INDEX jobs_ended ON reactions.jobs USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE UNIQUE INDEX jobs_key ON reactions.jobs USING btree (tenant_id, reaction, lane, key);
CREATE INDEX jobs_lane ON reactions.jobs USING btree (tenant_id, reaction, lane, id) WHERE in_lane;
CREATE INDEX jobs_open ON reactions.jobs USING btree (reaction, state, id) WHERE (ended_at IS NULL);
CREATE INDEX jobs_parked ON reactions.jobs USING btree (tenant_id, reaction, lane) WHERE (state = 'parked'::text);
CREATE INDEX jobs_said ON reactions.jobs USING btree (tenant_id, subject_id) WHERE (why IS NOT NULL);
CREATE POLICY every_tenant ON reactions.jobs TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE reactions.jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON reactions.jobs TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE reactions.jobs TO ubos_worker;
GRANT SELECT(tenant_id) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(id) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(reaction) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(lane) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(subject_id) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(state) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(in_lane) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(due_at) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(created_at) ON TABLE reactions.jobs TO ubos_query;
GRANT SELECT(ended_at) ON TABLE reactions.jobs TO ubos_query;

CREATE TABLE reactions.lanes (
    tenant_id uuid NOT NULL,
    reaction text NOT NULL,
    lane text NOT NULL,
    width integer DEFAULT 1 NOT NULL,
    every interval,
    burst integer DEFAULT 1 NOT NULL,
    due_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    not_before timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    whole_at timestamp with time zone,
    blocked_on text,
    easing smallint DEFAULT 0 NOT NULL,
    ailing boolean DEFAULT false NOT NULL,
    through text
)
WITH (fillfactor='70');
ALTER TABLE ONLY reactions.lanes FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY reactions.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (tenant_id, reaction, lane);
CREATE INDEX lanes_blocked ON reactions.lanes USING btree (tenant_id, blocked_on) WHERE (blocked_on IS NOT NULL);
CREATE INDEX lanes_due ON reactions.lanes USING btree (reaction, ailing, tenant_id, due_at);
CREATE INDEX lanes_through ON reactions.lanes USING btree (tenant_id, through) WHERE (through IS NOT NULL);
CREATE POLICY every_tenant ON reactions.lanes TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE reactions.lanes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON reactions.lanes TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE reactions.lanes TO ubos_worker;
GRANT SELECT(tenant_id) ON TABLE reactions.lanes TO ubos_query;
GRANT SELECT(reaction) ON TABLE reactions.lanes TO ubos_query;
GRANT SELECT(lane) ON TABLE reactions.lanes TO ubos_query;
GRANT SELECT(due_at) ON TABLE reactions.lanes TO ubos_query;
GRANT SELECT(blocked_on) ON TABLE reactions.lanes TO ubos_query;
GRANT SELECT(through) ON TABLE reactions.lanes TO ubos_query;

CREATE TABLE reactions.turns (
    tenant_id uuid NOT NULL,
    reaction text NOT NULL,
    taken_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
ALTER TABLE ONLY reactions.turns FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY reactions.turns
    ADD CONSTRAINT turns_pkey PRIMARY KEY (tenant_id, reaction);
CREATE POLICY every_tenant ON reactions.turns TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON reactions.turns TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE reactions.turns ENABLE ROW LEVEL SECURITY;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE reactions.turns TO ubos_worker;

CREATE FUNCTION reactions.move(jobs bigint[], how text, of_why text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    job   record;
    moved bigint := 0;
begin
    for job in
        select j.id, j.tenant_id, j.reaction, j.lane from reactions.jobs j where j.id = any (jobs)
        order by j.tenant_id, j.reaction, j.lane, j.id
    loop
        insert into reactions.lanes (tenant_id, reaction, lane) values (job.tenant_id, job.reaction, job.lane)
        on conflict (tenant_id, reaction, lane) do update set not_before = '-infinity';
        if how = 'retry' then
            update reactions.jobs j
            set state = case j.state when 'parked' then 'due' else j.state end, in_lane = true, due_at = clock_timestamp(),
                attempts = case j.state when 'parked' then 0 else j.attempts end,
                tried_since = case j.state when 'parked' then null else j.tried_since end
            where j.id = job.id and j.ended_at is null and j.lease is null;
        else
            update reactions.jobs j
            set state = 'dropped', in_lane = false, code = 'dropped', why = of_why, ended_at = clock_timestamp()
            where j.id = job.id and j.ended_at is null and j.lease is null;
        end if;
        if found then
            moved := moved + 1;
        end if;
        perform reactions.refresh(job.tenant_id, job.reaction, job.lane);
    end loop;
    return moved;
end
$$;
REVOKE ALL ON FUNCTION reactions.move(jobs bigint[], how text, of_why text) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.move(jobs bigint[], how text, of_why text) TO ubos_worker;

CREATE FUNCTION reactions.put(of_reaction text, tenants uuid[], names text[], keys text[], positions bigint[], subjects uuid[], widths integer[], everys interval[], bursts integer[], dues timestamp with time zone[], renews boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    -- Lanes are locked in one order by everybody who locks several, and before their jobs, as whoever settles one does.
    insert into reactions.lanes (tenant_id, reaction, lane, width, every, burst)
    select distinct on (n.tenant_id, n.lane) n.tenant_id, of_reaction, n.lane, n.width, n.every, n.burst
    from unnest(tenants, names, widths, everys, bursts) with ordinality as n(tenant_id, lane, width, every, burst, place)
    order by n.tenant_id, n.lane, n.place desc
    on conflict (tenant_id, reaction, lane) do update
        set width = excluded.width, every = excluded.every, burst = excluded.burst;
    if renews then
        insert into reactions.jobs as j (tenant_id, reaction, lane, key, position, subject_id, due_at)
        select distinct on (n.tenant_id, n.lane, n.key) n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id,
               coalesce(n.due_at, clock_timestamp())
        from unnest(tenants, names, keys, positions, subjects, dues) as n(tenant_id, lane, key, position, subject_id, due_at)
        on conflict (tenant_id, reaction, lane, key) do update
            -- One that is in work may have asked already, before what this is about happened: it is done once more.
            set again       = j.lease is not null,
                state       = case when j.lease is null then 'due' else j.state end,
                in_lane     = j.lease is null or j.in_lane,
                due_at      = case when j.lease is null then excluded.due_at else j.due_at end,
                attempts    = case when j.lease is null then 0 else j.attempts end,
                tried_since = case when j.lease is null then null else j.tried_since end,
                code        = case when j.lease is null then null else j.code end,
                ended_at    = null;
    else
        insert into reactions.jobs (tenant_id, reaction, lane, key, position, subject_id, due_at)
        select n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id, coalesce(n.due_at, now())
        from unnest(tenants, names, keys, positions, subjects, dues)
                 with ordinality as n(tenant_id, lane, key, position, subject_id, due_at, place)
        order by n.place
        on conflict (tenant_id, reaction, lane, key) do nothing;
    end if;
    -- A lane that waits for its turn keeps its place.
    update reactions.lanes l
    set due_at = least(l.due_at, greatest(found.due_at, l.not_before, clock_timestamp()))
    from (select o.tenant_id, o.lane,
                 (select min(first.due_at)
                  from (select j.due_at
                        from reactions.jobs j
                        where j.tenant_id = o.tenant_id and j.reaction = of_reaction and j.lane = o.lane and j.in_lane
                        order by j.id
                        limit o.width) first) as due_at
          from (select distinct n.tenant_id, n.lane from unnest(tenants, names) as n(tenant_id, lane)) touched
                   join reactions.lanes o
                        on o.tenant_id = touched.tenant_id and o.reaction = of_reaction and o.lane = touched.lane) found
    where l.tenant_id = found.tenant_id and l.reaction = of_reaction and l.lane = found.lane and found.due_at is not null;
end
$$;
REVOKE ALL ON FUNCTION reactions.put(of_reaction text, tenants uuid[], names text[], keys text[], positions bigint[], subjects uuid[], widths integer[], everys interval[], bursts integer[], dues timestamp with time zone[], renews boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.put(of_reaction text, tenants uuid[], names text[], keys text[], positions bigint[], subjects uuid[], widths integer[], everys interval[], bursts integer[], dues timestamp with time zone[], renews boolean) TO ubos_worker;

CREATE FUNCTION reactions.refresh(l_tenant uuid, l_reaction text, l_lane text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    soonest timestamptz;
begin
    select min(first.due_at)
    into soonest
    from reactions.lanes l
             cross join lateral (
        select j.due_at
        from reactions.jobs j
        where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane
        order by j.id
        limit l.width
        ) first
    where l.tenant_id = l_tenant and l.reaction = l_reaction and l.lane = l_lane;
    -- At least now, so that a lane that was just served comes after those that have waited.
    update reactions.lanes l
    set due_at = case when soonest is null then 'infinity' else greatest(soonest, l.not_before, clock_timestamp()) end
    where l.tenant_id = l_tenant and l.reaction = l_reaction and l.lane = l_lane;
end
$$;
REVOKE ALL ON FUNCTION reactions.refresh(l_tenant uuid, l_reaction text, l_lane text) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.refresh(l_tenant uuid, l_reaction text, l_lane text) TO ubos_worker;

CREATE FUNCTION reactions.release(l_tenant uuid, connection text, waits interval[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    moment  timestamptz := clock_timestamp();
    blocked record;
    released bigint := 0;
begin
    -- Lanes are locked in one order by everybody who locks several.
    perform 1
    from reactions.lanes l
    where l.tenant_id = l_tenant and l.blocked_on = connection
    order by l.reaction, l.lane for update;
    for blocked in
        select l.reaction, l.lane
        from reactions.lanes l
                 left join lateral (
            select j.id from reactions.jobs j
            where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane
            order by j.id limit 1
            ) first on true
        where l.tenant_id = l_tenant and l.blocked_on = connection
        order by first.id nulls last, l.reaction, l.lane
    loop
        released := released + 1;
        update reactions.lanes l
        set blocked_on = null, easing = 6,
            not_before = moment + coalesce(waits[least(released, cardinality(waits))], interval '0 seconds')
        where l.tenant_id = l_tenant and l.reaction = blocked.reaction and l.lane = blocked.lane;
        perform reactions.refresh(l_tenant, blocked.reaction, blocked.lane);
    end loop;
    return released;
end
$$;
REVOKE ALL ON FUNCTION reactions.release(l_tenant uuid, connection text, waits interval[]) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.release(l_tenant uuid, connection text, waits interval[]) TO ubos_worker;

CREATE FUNCTION reactions.settle(worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text, of_through text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    moment timestamptz := clock_timestamp();
    -- What is not over is done again anyway.
    is_over boolean := outcome in ('done', 'dropped', 'parked', 'stopped');
    found_job record;
begin
    perform set_config('synchronous_commit', 'off', true);
    select j.tenant_id, j.reaction, j.lane into found_job
    from reactions.jobs j
    where j.id = job and j.lease = worker and j.attempts = tries;
    if not found then
        return false;
    end if;
    perform 1
    from reactions.lanes l
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane
    for update;
    update reactions.jobs j
    set lease    = null,
        again    = false,
        state    = case
                       when is_over and j.again then 'due'
                       when outcome in ('early', 'later') then 'due'
                       when outcome = 'blocked' then j.state
                       when outcome = 'stopped' then 'parked'
                       else outcome end,
        in_lane  = is_over and j.again or outcome in ('early', 'later', 'unknown', 'blocked', 'stopped'),
        due_at   = case
                       when is_over and j.again then moment
                       when outcome = 'stopped' then 'infinity'::timestamptz
                       when outcome = 'blocked' then moment
                       else moment + wait end,
        -- What came too early was no try.
        attempts = case
                       when is_over and j.again then 0
                       else j.attempts - case when outcome in ('blocked', 'early') then 1 else 0 end end,
        tried_since = case when outcome = 'early' or is_over and j.again then null else j.tried_since end,
        code     = of_code,
        why      = of_why,
        ended_at = case when outcome in ('done', 'dropped') and not j.again then moment end
    where j.id = job and j.lease = worker and j.attempts = tries;
    if not found then
        return false;
    end if;
    update reactions.lanes l
    set not_before = case
                         when outcome = 'blocked' then moment + wait
                         when holds_lane then greatest(l.not_before, moment + wait)
                         else l.not_before end,
        blocked_on = case outcome when 'blocked' then of_code end,
        through    = coalesce(of_through, l.through),
        -- Whoever says when to come again is well.
        ailing     = outcome in ('later', 'unknown') and not holds_lane
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane;
    perform reactions.refresh(found_job.tenant_id, found_job.reaction, found_job.lane);
    return true;
end
$$;
REVOKE ALL ON FUNCTION reactions.settle(worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text, of_through text) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.settle(worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text, of_through text) TO ubos_worker;

CREATE FUNCTION reactions.take(worker uuid, of_reaction text, of_ailing boolean, lease_for interval, at_most integer) RETURNS TABLE(id bigint, tenant_id uuid, lane text, key text, "position" bigint, subject_id uuid, attempts integer, in_doubt boolean, why text, tried_for interval)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
    moment timestamptz := clock_timestamp();
    chosen record;
    job    record;
begin
    for chosen in
        with recursive tenants as (
            (select l.tenant_id from reactions.lanes l where l.reaction = of_reaction and l.ailing = of_ailing order by l.tenant_id limit 1)
            union all
            select (select l.tenant_id
                    from reactions.lanes l
                    where l.reaction = of_reaction and l.ailing = of_ailing and l.tenant_id > tenants.tenant_id
                    order by l.tenant_id
                    limit 1)
            from tenants
            where tenants.tenant_id is not null
        ),
            due as materialized (
                select d.*, t.taken_at, row_number() over (partition by d.tenant_id order by d.due_at, d.lane) as turn
                from tenants
                         cross join lateral (
                    select l.tenant_id, l.lane, l.due_at
                    from reactions.lanes l
                    where l.reaction = of_reaction and l.ailing = of_ailing and l.tenant_id = tenants.tenant_id
                      and l.due_at <= moment
                    order by l.due_at
                    limit at_most * 2
                    ) d
                         left join reactions.turns t on t.tenant_id = d.tenant_id and t.reaction = of_reaction
            ),
            -- More than are wanted, because others may be taking the first of them.
            ranked as materialized (
                select due.* from due order by due.turn, due.taken_at nulls first, due.due_at limit at_most * 2
            )
        select l.*
        from ranked r
                 join reactions.lanes l on l.tenant_id = r.tenant_id and l.reaction = of_reaction and l.lane = r.lane
        where l.due_at <= moment and l.ailing = of_ailing
        order by r.turn, r.taken_at nulls first, r.due_at
        limit at_most for update of l skip locked
    loop
        select j.*
        into job
        from (select w.*
              from reactions.jobs w
              where w.tenant_id = chosen.tenant_id and w.reaction = of_reaction and w.lane = chosen.lane and w.in_lane
              order by w.id
              limit chosen.width) j
        where j.due_at <= moment
        order by j.id
        limit 1;
        -- If there is none, the lease of the one in work was renewed since.
        if found then
            update reactions.jobs j
            set lease = worker, due_at = moment + lease_for, attempts = j.attempts + 1, tried_since = coalesce(j.tried_since, moment)
            where j.id = job.id;
            update reactions.lanes l
            set whole_at   = greatest(l.whole_at, moment) + l.every,
                not_before = greatest(
                        l.not_before,
                        greatest(l.whole_at, moment) + l.every - l.every * (l.burst - 1),
                        case when l.easing > 0 then moment + interval '50 milliseconds' * (1 << l.easing) end),
                easing     = greatest(l.easing - 1, 0)
            where l.tenant_id = chosen.tenant_id and l.reaction = of_reaction and l.lane = chosen.lane;
            insert into reactions.turns (tenant_id, reaction, taken_at)
            values (chosen.tenant_id, of_reaction, clock_timestamp())
            on conflict (tenant_id, reaction) do update set taken_at = excluded.taken_at;
            return query select job.id, job.tenant_id, job.lane, job.key, job.position, job.subject_id, job.attempts + 1,
                                job.state = 'unknown' or job.lease is not null, job.why, moment - coalesce(job.tried_since, moment);
        end if;
        perform reactions.refresh(chosen.tenant_id, of_reaction, chosen.lane);
    end loop;
end
$$;
REVOKE ALL ON FUNCTION reactions.take(worker uuid, of_reaction text, of_ailing boolean, lease_for interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.take(worker uuid, of_reaction text, of_ailing boolean, lease_for interval, at_most integer) TO ubos_worker;

CREATE FUNCTION reactions.tidy(kept_for interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    gone bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from reactions.jobs j
    where j.id in (select o.id from reactions.jobs o where o.ended_at < now() - kept_for order by o.ended_at limit 1000);
    get diagnostics gone = row_count;
    -- Whoever adds a job to a lane holds its lock and leaves it due. One with a parked job keeps its width and budget for a retry.
    delete from reactions.lanes l
    where l.due_at = 'infinity' and l.not_before < now() and coalesce(l.whole_at, now()) <= now()
      and not exists (select from reactions.jobs j
                      where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane)
      and not exists (select from reactions.jobs j
                      where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.state = 'parked');
    delete from reactions.turns t where t.taken_at < now() - interval '1 hour';
    return gone;
end
$$;
REVOKE ALL ON FUNCTION reactions.tidy(kept_for interval) FROM PUBLIC;
GRANT ALL ON FUNCTION reactions.tidy(kept_for interval) TO ubos_worker;

-- revenue

CREATE SCHEMA revenue;
GRANT USAGE ON SCHEMA revenue TO ubos_query;
GRANT USAGE ON SCHEMA revenue TO ubos_worker;

CREATE TABLE revenue.approval_policies (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    subject text NOT NULL COLLATE pg_catalog."C",
    rules jsonb NOT NULL,
    separation_of_duties boolean NOT NULL,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.approval_policies FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.approval_policies
    ADD CONSTRAINT approval_policies_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX approval_policies_created ON revenue.approval_policies USING btree (tenant_id, created_at, id);
CREATE INDEX approval_policies_name ON revenue.approval_policies USING btree (tenant_id, name, id);
CREATE INDEX approval_policies_subject ON revenue.approval_policies USING btree (tenant_id, subject, created_at, id);
CREATE INDEX approval_policies_updated ON revenue.approval_policies USING btree (tenant_id, updated_at, id);
ALTER TABLE revenue.approval_policies ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.approval_policies TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.approval_policies TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.approval_policies TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.approval_policies TO ubos_worker;

CREATE TABLE revenue.bill_files (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    file_id uuid NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    bill_id uuid,
    problem text COLLATE pg_catalog."C",
    detail text,
    same_bill_id uuid,
    format text COLLATE pg_catalog."C",
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
    warnings jsonb NOT NULL,
    handed_in_by uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.bill_files FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.bill_files
    ADD CONSTRAINT bill_files_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX bill_files_bill ON revenue.bill_files USING btree (tenant_id, bill_id, created_at, id) WHERE (bill_id IS NOT NULL);
CREATE INDEX bill_files_created ON revenue.bill_files USING btree (tenant_id, created_at, id);
CREATE INDEX bill_files_file ON revenue.bill_files USING btree (tenant_id, file_id, created_at, id);
CREATE INDEX bill_files_handed_in_by ON revenue.bill_files USING btree (tenant_id, handed_in_by, created_at, id) WHERE (handed_in_by IS NOT NULL);
CREATE INDEX bill_files_problem ON revenue.bill_files USING btree (tenant_id, problem, created_at, id) WHERE (problem IS NOT NULL);
CREATE INDEX bill_files_reference ON revenue.bill_files USING btree (tenant_id, reference, created_at, id) WHERE (reference IS NOT NULL);
CREATE INDEX bill_files_status ON revenue.bill_files USING btree (tenant_id, status, created_at, id);
CREATE INDEX bill_files_updated ON revenue.bill_files USING btree (tenant_id, updated_at, id);
CREATE INDEX bill_files_vendor ON revenue.bill_files USING btree (tenant_id, vendor_id, created_at, id) WHERE (vendor_id IS NOT NULL);
ALTER TABLE revenue.bill_files ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.bill_files TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.bill_files TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.bill_files TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.bill_files TO ubos_worker;

CREATE TABLE revenue.bill_lines (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    bill_id uuid NOT NULL,
    place bigint NOT NULL,
    description text NOT NULL,
    currency text NOT NULL,
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    account_code text,
    tax_code text,
    project_id uuid,
    superseded boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.bill_lines FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.bill_lines
    ADD CONSTRAINT bill_lines_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX bill_lines_account_code ON revenue.bill_lines USING btree (tenant_id, account_code, created_at, id) WHERE (account_code IS NOT NULL);
CREATE INDEX bill_lines_bill ON revenue.bill_lines USING btree (tenant_id, bill_id, created_at, id);
CREATE INDEX bill_lines_created ON revenue.bill_lines USING btree (tenant_id, created_at, id);
CREATE INDEX bill_lines_place ON revenue.bill_lines USING btree (tenant_id, place, id);
CREATE INDEX bill_lines_project ON revenue.bill_lines USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX bill_lines_updated ON revenue.bill_lines USING btree (tenant_id, updated_at, id);
ALTER TABLE revenue.bill_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.bill_lines TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.bill_lines TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.bill_lines TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.bill_lines TO ubos_worker;

CREATE TABLE revenue.bill_payments (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    bill_id uuid NOT NULL,
    vendor_id uuid NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    paid_on date NOT NULL,
    method text NOT NULL COLLATE pg_catalog."C",
    reference text,
    reversed_on date,
    reversal_reason text
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.bill_payments FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.bill_payments
    ADD CONSTRAINT bill_payments_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX bill_payments_bill ON revenue.bill_payments USING btree (tenant_id, bill_id, created_at, id);
CREATE INDEX bill_payments_created ON revenue.bill_payments USING btree (tenant_id, created_at, id);
CREATE INDEX bill_payments_paid_on ON revenue.bill_payments USING btree (tenant_id, paid_on, id);
CREATE INDEX bill_payments_reference ON revenue.bill_payments USING btree (tenant_id, reference, created_at, id) WHERE (reference IS NOT NULL);
CREATE INDEX bill_payments_updated ON revenue.bill_payments USING btree (tenant_id, updated_at, id);
CREATE INDEX bill_payments_vendor ON revenue.bill_payments USING btree (tenant_id, vendor_id, created_at, id);
ALTER TABLE revenue.bill_payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.bill_payments TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.bill_payments TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.bill_payments TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.bill_payments TO ubos_worker;

CREATE TABLE revenue.billing_profiles (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    buyer jsonb NOT NULL,
    payment_terms_days bigint,
    language text
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.billing_profiles FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.billing_profiles
    ADD CONSTRAINT billing_profiles_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX billing_profiles_client ON revenue.billing_profiles USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX billing_profiles_created ON revenue.billing_profiles USING btree (tenant_id, created_at, id);
CREATE INDEX billing_profiles_updated ON revenue.billing_profiles USING btree (tenant_id, updated_at, id);
ALTER TABLE revenue.billing_profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.billing_profiles TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.billing_profiles TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.billing_profiles TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.billing_profiles TO ubos_worker;

CREATE TABLE revenue.billing_settings (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    seller jsonb NOT NULL,
    currency text NOT NULL,
    rounding text NOT NULL COLLATE pg_catalog."C",
    payment_terms_days bigint NOT NULL,
    invoice_series text NOT NULL,
    credit_note_series text NOT NULL,
    default_tax_rate text,
    separation_of_duties boolean NOT NULL,
    sales_account text,
    untaxed_code text
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.billing_settings FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.billing_settings
    ADD CONSTRAINT billing_settings_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX billing_settings_created ON revenue.billing_settings USING btree (tenant_id, created_at, id);
ALTER TABLE revenue.billing_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.billing_settings TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.billing_settings TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.billing_settings TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.billing_settings TO ubos_worker;

CREATE TABLE revenue.bills (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    vendor_id uuid,
    reference text NOT NULL,
    reference_rule text NOT NULL COLLATE pg_catalog."C",
    reference_year bigint NOT NULL,
    alike_bill_id uuid,
    suspected_of_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    issued_on date,
    due_on date,
    currency text NOT NULL,
    total_minor bigint NOT NULL,
    outstanding_minor bigint NOT NULL,
    file_id uuid,
    note text,
    project_ids jsonb NOT NULL,
    received_by uuid,
    policy_id uuid,
    rule text,
    steps jsonb NOT NULL,
    step bigint,
    approver_ids jsonb NOT NULL,
    escalated boolean NOT NULL,
    reason text,
    connection_id uuid,
    external_id text,
    ledger_error text,
    paid_on date
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.bills FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.bills
    ADD CONSTRAINT bills_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX bills_created ON revenue.bills USING btree (tenant_id, created_at, id);
CREATE INDEX bills_currency ON revenue.bills USING btree (tenant_id, currency, created_at, id);
CREATE INDEX bills_due_on ON revenue.bills USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX bills_external ON revenue.bills USING btree (tenant_id, external_id, created_at, id) WHERE (external_id IS NOT NULL);
CREATE INDEX bills_file ON revenue.bills USING btree (tenant_id, file_id, created_at, id) WHERE (file_id IS NOT NULL);
CREATE INDEX bills_issued_on ON revenue.bills USING btree (tenant_id, issued_on, id) WHERE (issued_on IS NOT NULL);
CREATE INDEX bills_reference ON revenue.bills USING btree (tenant_id, reference, created_at, id);
CREATE INDEX bills_source ON revenue.bills USING btree (tenant_id, source, created_at, id);
CREATE INDEX bills_status ON revenue.bills USING btree (tenant_id, status, created_at, id);
CREATE INDEX bills_suspected_of ON revenue.bills USING btree (tenant_id, suspected_of_id, created_at, id) WHERE (suspected_of_id IS NOT NULL);
CREATE INDEX bills_total_minor ON revenue.bills USING btree (tenant_id, total_minor, id);
CREATE INDEX bills_updated ON revenue.bills USING btree (tenant_id, updated_at, id);
CREATE INDEX bills_vendor ON revenue.bills USING btree (tenant_id, vendor_id, created_at, id) WHERE (vendor_id IS NOT NULL);
ALTER TABLE revenue.bills ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.bills TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.bills TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.bills TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.bills TO ubos_worker;

CREATE TABLE revenue.credit_notes (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    shown_to_client_id uuid,
    invoice_id uuid NOT NULL,
    invoice_number text NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    number text,
    issued_on date,
    reason text NOT NULL,
    currency text NOT NULL,
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    remaining_minor bigint NOT NULL,
    lines jsonb NOT NULL,
    amounts jsonb NOT NULL,
    seller jsonb,
    buyer jsonb,
    allocations jsonb NOT NULL,
    refunded_minor bigint NOT NULL,
    pdf_file_id uuid,
    xml_file_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.credit_notes FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.credit_notes
    ADD CONSTRAINT credit_notes_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX credit_notes_client ON revenue.credit_notes USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX credit_notes_created ON revenue.credit_notes USING btree (tenant_id, created_at, id);
CREATE INDEX credit_notes_currency ON revenue.credit_notes USING btree (tenant_id, currency, created_at, id);
CREATE INDEX credit_notes_invoice ON revenue.credit_notes USING btree (tenant_id, invoice_id, created_at, id);
CREATE INDEX credit_notes_issued_on ON revenue.credit_notes USING btree (tenant_id, issued_on, id) WHERE (issued_on IS NOT NULL);
CREATE INDEX credit_notes_number ON revenue.credit_notes USING btree (tenant_id, number, created_at, id) WHERE (number IS NOT NULL);
CREATE INDEX credit_notes_status ON revenue.credit_notes USING btree (tenant_id, status, created_at, id);
CREATE INDEX credit_notes_updated ON revenue.credit_notes USING btree (tenant_id, updated_at, id);
ALTER TABLE revenue.credit_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON revenue.credit_notes TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.credit_notes TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.credit_notes TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.credit_notes TO ubos_worker;

CREATE TABLE revenue.invoice_lines (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    invoice_id uuid NOT NULL,
    shown_to_client_id uuid,
    place bigint,
    description text NOT NULL,
    quantity text NOT NULL,
    measure text NOT NULL COLLATE pg_catalog."C",
    unit_price_minor bigint NOT NULL,
    currency text NOT NULL,
    tax jsonb NOT NULL,
    net_minor bigint,
    tax_minor bigint,
    source jsonb,
    removed boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.invoice_lines FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.invoice_lines
    ADD CONSTRAINT invoice_lines_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX invoice_lines_created ON revenue.invoice_lines USING btree (tenant_id, created_at, id);
CREATE INDEX invoice_lines_invoice ON revenue.invoice_lines USING btree (tenant_id, invoice_id, created_at, id);
CREATE POLICY every_tenant ON revenue.invoice_lines TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.invoice_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.invoice_lines TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.invoice_lines TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.invoice_lines TO ubos_worker;

CREATE TABLE revenue.invoice_plans (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    client_id uuid NOT NULL,
    project_id uuid,
    engagement_id uuid,
    kind text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL,
    terms jsonb NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    reason text,
    entry_count bigint NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.invoice_plans FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.invoice_plans
    ADD CONSTRAINT invoice_plans_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX invoice_plans_client ON revenue.invoice_plans USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX invoice_plans_created ON revenue.invoice_plans USING btree (tenant_id, created_at, id);
CREATE INDEX invoice_plans_engagement ON revenue.invoice_plans USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX invoice_plans_kind ON revenue.invoice_plans USING btree (tenant_id, kind, created_at, id);
CREATE INDEX invoice_plans_name ON revenue.invoice_plans USING btree (tenant_id, name, id);
CREATE INDEX invoice_plans_name_folded ON revenue.invoice_plans USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX invoice_plans_project ON revenue.invoice_plans USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX invoice_plans_status ON revenue.invoice_plans USING btree (tenant_id, status, created_at, id);
CREATE INDEX invoice_plans_updated ON revenue.invoice_plans USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON revenue.invoice_plans TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.invoice_plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.invoice_plans TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.invoice_plans TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.invoice_plans TO ubos_worker;

CREATE TABLE revenue.invoice_series (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    prefix text NOT NULL,
    digits bigint NOT NULL,
    next bigint NOT NULL,
    last_number text,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.invoice_series FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.invoice_series
    ADD CONSTRAINT invoice_series_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX invoice_series_created ON revenue.invoice_series USING btree (tenant_id, created_at, id);
CREATE INDEX invoice_series_key ON revenue.invoice_series USING btree (tenant_id, key, id);
CREATE INDEX invoice_series_name ON revenue.invoice_series USING btree (tenant_id, name, id);
CREATE INDEX invoice_series_name_folded ON revenue.invoice_series USING btree (tenant_id, name COLLATE shared.folded);
CREATE POLICY every_tenant ON revenue.invoice_series TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.invoice_series ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.invoice_series TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.invoice_series TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.invoice_series TO ubos_worker;

CREATE TABLE revenue.invoices (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    shown_to_client_id uuid,
    project_id uuid,
    engagement_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    number text,
    currency text NOT NULL,
    issued_on date,
    due_on date,
    net_minor bigint,
    tax_minor bigint,
    total_minor bigint,
    paid_minor bigint NOT NULL,
    outstanding_minor bigint NOT NULL,
    credited_minor bigint NOT NULL,
    taxes jsonb NOT NULL,
    rounding text COLLATE pg_catalog."C",
    line_count bigint NOT NULL,
    buyer_reference text,
    note text,
    seller jsonb,
    buyer jsonb,
    language text,
    settlements jsonb NOT NULL,
    credit_note_ids jsonb NOT NULL,
    sent boolean NOT NULL,
    external_id text,
    ledger_rejection text,
    reason text,
    drafted_by jsonb,
    pdf_file_id uuid,
    xml_file_id uuid,
    policy_id uuid,
    rule text,
    steps jsonb DEFAULT '[]'::jsonb NOT NULL,
    step bigint,
    approver_ids jsonb DEFAULT '[]'::jsonb NOT NULL,
    escalated boolean DEFAULT false NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.invoices FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.invoices
    ADD CONSTRAINT invoices_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX invoices_client ON revenue.invoices USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX invoices_created ON revenue.invoices USING btree (tenant_id, created_at, id);
CREATE INDEX invoices_currency ON revenue.invoices USING btree (tenant_id, currency, created_at, id);
CREATE INDEX invoices_due_on ON revenue.invoices USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX invoices_engagement ON revenue.invoices USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX invoices_external ON revenue.invoices USING btree (tenant_id, external_id, created_at, id) WHERE (external_id IS NOT NULL);
CREATE INDEX invoices_issued_on ON revenue.invoices USING btree (tenant_id, issued_on, id) WHERE (issued_on IS NOT NULL);
CREATE INDEX invoices_number ON revenue.invoices USING btree (tenant_id, number, created_at, id) WHERE (number IS NOT NULL);
CREATE INDEX invoices_project ON revenue.invoices USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX invoices_status ON revenue.invoices USING btree (tenant_id, status, created_at, id);
CREATE INDEX invoices_updated ON revenue.invoices USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON revenue.invoices TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.invoices TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.invoices TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.invoices TO ubos_worker;

CREATE TABLE revenue.journal_entries (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    booked_on date NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    client_id uuid,
    vendor_id uuid
);
ALTER TABLE ONLY revenue.journal_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.journal_entries
    ADD CONSTRAINT journal_entries_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX journal_entries_aggregate ON revenue.journal_entries USING btree (tenant_id, aggregate_id, created_at, id);
CREATE INDEX journal_entries_booked_on ON revenue.journal_entries USING btree (tenant_id, booked_on, id);
CREATE INDEX journal_entries_client ON revenue.journal_entries USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX journal_entries_created ON revenue.journal_entries USING btree (tenant_id, created_at, id);
CREATE INDEX journal_entries_kind ON revenue.journal_entries USING btree (tenant_id, kind, created_at, id);
CREATE INDEX journal_entries_vendor ON revenue.journal_entries USING btree (tenant_id, vendor_id, created_at, id) WHERE (vendor_id IS NOT NULL);
CREATE POLICY every_tenant ON revenue.journal_entries TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.journal_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.journal_entries TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.journal_entries TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.journal_entries TO ubos_worker;

CREATE TABLE revenue.journal_postings (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    entry_id uuid NOT NULL,
    place bigint NOT NULL,
    booked_on date NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    account_code text,
    currency text NOT NULL,
    debit_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    client_id uuid,
    vendor_id uuid,
    project_id uuid
);
ALTER TABLE ONLY revenue.journal_postings FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.journal_postings
    ADD CONSTRAINT journal_postings_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX journal_postings_account ON revenue.journal_postings USING btree (tenant_id, account, created_at, id);
CREATE INDEX journal_postings_booked_on ON revenue.journal_postings USING btree (tenant_id, booked_on, id);
CREATE INDEX journal_postings_created ON revenue.journal_postings USING btree (tenant_id, created_at, id);
CREATE INDEX journal_postings_entry ON revenue.journal_postings USING btree (tenant_id, entry_id, created_at, id);
CREATE POLICY every_tenant ON revenue.journal_postings TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.journal_postings ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.journal_postings TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.journal_postings TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.journal_postings TO ubos_worker;

CREATE TABLE revenue.payables_settings (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    reference_rule text NOT NULL COLLATE pg_catalog."C",
    pay_within_days bigint
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.payables_settings FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.payables_settings
    ADD CONSTRAINT payables_settings_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX payables_settings_created ON revenue.payables_settings USING btree (tenant_id, created_at, id);
CREATE POLICY every_tenant ON revenue.payables_settings TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.payables_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.payables_settings TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.payables_settings TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.payables_settings TO ubos_worker;

CREATE TABLE revenue.payments (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id uuid NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    received_on date NOT NULL,
    method text NOT NULL COLLATE pg_catalog."C",
    reference text,
    external_id text,
    allocations jsonb NOT NULL,
    unallocated_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    reason text
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.payments FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX payments_client ON revenue.payments USING btree (tenant_id, client_id, created_at, id);
CREATE INDEX payments_created ON revenue.payments USING btree (tenant_id, created_at, id);
CREATE INDEX payments_currency ON revenue.payments USING btree (tenant_id, currency, created_at, id);
CREATE INDEX payments_external ON revenue.payments USING btree (tenant_id, external_id, created_at, id) WHERE (external_id IS NOT NULL);
CREATE INDEX payments_method ON revenue.payments USING btree (tenant_id, method, created_at, id);
CREATE INDEX payments_received_on ON revenue.payments USING btree (tenant_id, received_on, id);
CREATE INDEX payments_status ON revenue.payments USING btree (tenant_id, status, created_at, id);
CREATE INDEX payments_updated ON revenue.payments USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON revenue.payments TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.payments TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.payments TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.payments TO ubos_worker;

CREATE TABLE revenue.plan_entries (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    invoice_plan_id uuid NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    milestone_id uuid,
    due_on date,
    status text NOT NULL COLLATE pg_catalog."C",
    invoice_id uuid,
    task_id uuid,
    reached boolean DEFAULT false NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.plan_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.plan_entries
    ADD CONSTRAINT plan_entries_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX plan_entries_created ON revenue.plan_entries USING btree (tenant_id, created_at, id);
CREATE INDEX plan_entries_due_on ON revenue.plan_entries USING btree (tenant_id, due_on, id) WHERE (due_on IS NOT NULL);
CREATE INDEX plan_entries_invoice ON revenue.plan_entries USING btree (tenant_id, invoice_id, created_at, id) WHERE (invoice_id IS NOT NULL);
CREATE INDEX plan_entries_invoice_plan ON revenue.plan_entries USING btree (tenant_id, invoice_plan_id, created_at, id);
CREATE INDEX plan_entries_milestone ON revenue.plan_entries USING btree (tenant_id, milestone_id, created_at, id) WHERE (milestone_id IS NOT NULL);
CREATE INDEX plan_entries_name ON revenue.plan_entries USING btree (tenant_id, name, id);
CREATE INDEX plan_entries_name_folded ON revenue.plan_entries USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX plan_entries_status ON revenue.plan_entries USING btree (tenant_id, status, created_at, id);
CREATE INDEX plan_entries_task ON revenue.plan_entries USING btree (tenant_id, task_id, created_at, id) WHERE (task_id IS NOT NULL);
CREATE INDEX plan_entries_updated ON revenue.plan_entries USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON revenue.plan_entries TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.plan_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.plan_entries TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.plan_entries TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.plan_entries TO ubos_worker;

CREATE TABLE revenue.tax_rates (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    tax jsonb NOT NULL,
    category text NOT NULL,
    rate text,
    exemption_reason text,
    retired boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.tax_rates FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.tax_rates
    ADD CONSTRAINT tax_rates_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX tax_rates_category ON revenue.tax_rates USING btree (tenant_id, category, created_at, id);
CREATE INDEX tax_rates_created ON revenue.tax_rates USING btree (tenant_id, created_at, id);
CREATE INDEX tax_rates_key ON revenue.tax_rates USING btree (tenant_id, key, id);
CREATE INDEX tax_rates_name ON revenue.tax_rates USING btree (tenant_id, name, id);
CREATE INDEX tax_rates_name_folded ON revenue.tax_rates USING btree (tenant_id, name COLLATE shared.folded);
CREATE POLICY every_tenant ON revenue.tax_rates TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE revenue.tax_rates ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON revenue.tax_rates TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE revenue.tax_rates TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.tax_rates TO ubos_worker;

CREATE TABLE revenue.vendors (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    vat_id text,
    email text,
    phone text,
    address jsonb,
    iban text,
    currency text,
    account_code text,
    tax_code text,
    ledgers jsonb NOT NULL,
    archived boolean NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY revenue.vendors FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY revenue.vendors
    ADD CONSTRAINT vendors_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX vendors_created ON revenue.vendors USING btree (tenant_id, created_at, id);
CREATE INDEX vendors_email ON revenue.vendors USING btree (tenant_id, email, created_at, id) WHERE (email IS NOT NULL);
CREATE INDEX vendors_name ON revenue.vendors USING btree (tenant_id, name, id);
CREATE INDEX vendors_name_folded ON revenue.vendors USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX vendors_updated ON revenue.vendors USING btree (tenant_id, updated_at, id);
CREATE INDEX vendors_vat ON revenue.vendors USING btree (tenant_id, vat_id, created_at, id) WHERE (vat_id IS NOT NULL);
CREATE POLICY every_tenant ON revenue.vendors TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON revenue.vendors TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE revenue.vendors ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE revenue.vendors TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE revenue.vendors TO ubos_worker;

-- scheduling

CREATE SCHEMA scheduling;
GRANT USAGE ON SCHEMA scheduling TO ubos_query;
GRANT USAGE ON SCHEMA scheduling TO ubos_worker;

CREATE TABLE scheduling.appointments (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    status text NOT NULL,
    event_type_id uuid NOT NULL,
    event_type_key text NOT NULL,
    event_type_name text NOT NULL,
    host_id uuid NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    time_zone text NOT NULL,
    client_name text NOT NULL,
    invitee_name text NOT NULL,
    invitee_email text NOT NULL,
    invitee_phone text,
    company text,
    notes text,
    manage_path text NOT NULL,
    cancel_path text NOT NULL,
    reschedule_requested boolean NOT NULL,
    cancelled_by text,
    reason text,
    blocked_from timestamp with time zone NOT NULL,
    blocked_until timestamp with time zone NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY scheduling.appointments FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY scheduling.appointments
    ADD CONSTRAINT appointments_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX appointments_created ON scheduling.appointments USING btree (tenant_id, created_at, id);
CREATE INDEX appointments_event_type ON scheduling.appointments USING btree (tenant_id, event_type_id, created_at, id);
CREATE INDEX appointments_event_type_key ON scheduling.appointments USING btree (tenant_id, event_type_key, created_at, id);
CREATE INDEX appointments_host ON scheduling.appointments USING btree (tenant_id, host_id, created_at, id);
CREATE INDEX appointments_invitee_email ON scheduling.appointments USING btree (tenant_id, invitee_email, created_at, id);
CREATE INDEX appointments_starts ON scheduling.appointments USING btree (tenant_id, starts_at, id);
CREATE INDEX appointments_status ON scheduling.appointments USING btree (tenant_id, status, created_at, id);
CREATE INDEX appointments_updated ON scheduling.appointments USING btree (tenant_id, updated_at, id);
ALTER TABLE scheduling.appointments ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON scheduling.appointments TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON scheduling.appointments TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE scheduling.appointments TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE scheduling.appointments TO ubos_worker;

CREATE TABLE scheduling.availabilities (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    host_id uuid NOT NULL,
    time_zone text NOT NULL,
    weekly jsonb NOT NULL,
    overrides jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY scheduling.availabilities FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY scheduling.availabilities
    ADD CONSTRAINT availabilities_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX availabilities_created ON scheduling.availabilities USING btree (tenant_id, created_at, id);
CREATE INDEX availabilities_host ON scheduling.availabilities USING btree (tenant_id, host_id, created_at, id);
CREATE INDEX availabilities_updated ON scheduling.availabilities USING btree (tenant_id, updated_at, id);
ALTER TABLE scheduling.availabilities ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON scheduling.availabilities TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON scheduling.availabilities TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE scheduling.availabilities TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE scheduling.availabilities TO ubos_worker;

CREATE TABLE scheduling.event_types (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key text NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    description text,
    host_id uuid NOT NULL,
    availability_id uuid NOT NULL,
    duration_minutes bigint NOT NULL,
    buffer_before_minutes bigint NOT NULL,
    buffer_after_minutes bigint NOT NULL,
    min_notice_minutes bigint NOT NULL,
    max_days_ahead bigint NOT NULL,
    requires_confirmation boolean NOT NULL,
    retired boolean NOT NULL,
    reminder_minutes jsonb DEFAULT '[]'::jsonb NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY scheduling.event_types FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY scheduling.event_types
    ADD CONSTRAINT event_types_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX event_types_created ON scheduling.event_types USING btree (tenant_id, created_at, id);
CREATE INDEX event_types_host ON scheduling.event_types USING btree (tenant_id, host_id, created_at, id);
CREATE INDEX event_types_key ON scheduling.event_types USING btree (tenant_id, key, id);
CREATE INDEX event_types_name ON scheduling.event_types USING btree (tenant_id, name, id);
CREATE INDEX event_types_name_folded ON scheduling.event_types USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX event_types_updated ON scheduling.event_types USING btree (tenant_id, updated_at, id);
ALTER TABLE scheduling.event_types ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON scheduling.event_types TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON scheduling.event_types TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE scheduling.event_types TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE scheduling.event_types TO ubos_worker;

-- shared

CREATE SCHEMA shared;
GRANT USAGE ON SCHEMA shared TO ubos_command;
GRANT USAGE ON SCHEMA shared TO ubos_query;
GRANT USAGE ON SCHEMA shared TO ubos_worker;

CREATE COLLATION shared.by_name (provider = icu, locale = 'und-u-kn');

CREATE COLLATION shared.folded (provider = icu, deterministic = false, locale = 'und-u-ks-level2');

CREATE VIEW shared.outbox WITH (security_invoker='true') AS
 SELECT e.event_id AS id,
    e.tenant_id,
    e.event_type,
    e.event_version AS version,
    e.payload,
    e.metadata,
    e.recorded_at AS created_at,
    NULL::timestamp with time zone AS processed_at,
    COALESCE(d.attempts, 0) AS retry_count,
    d.reason AS last_error
   FROM (eventstore.events e
     LEFT JOIN eventstore.dead_letters d ON ((d."position" = e."position")))
  WHERE (e."position" > ( SELECT r."position"
           FROM eventstore.relay r
          WHERE (r.shard = 0)))
UNION ALL
 SELECT e.event_id AS id,
    e.tenant_id,
    e.event_type,
    e.event_version AS version,
    e.payload,
    e.metadata,
    e.recorded_at AS created_at,
    m.published_at AS processed_at,
    COALESCE(d.attempts, 0) AS retry_count,
    d.reason AS last_error
   FROM ((eventstore.relay_marks m
     JOIN eventstore.events e ON (((e."position" > m.after_position) AND (e."position" <= m.up_to_position))))
     LEFT JOIN eventstore.dead_letters d ON ((d."position" = e."position")));
COMMENT ON VIEW shared.outbox IS 'Every event with when it was published; rows with processed_at null wait for the relay. A view over the log.';
GRANT SELECT ON TABLE shared.outbox TO ubos_command;
GRANT SELECT ON TABLE shared.outbox TO ubos_query;
GRANT SELECT ON TABLE shared.outbox TO ubos_worker;

CREATE FUNCTION shared.secure_tenant_table(target regclass, readers text[], writers text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    reader text;
    writer text;
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The scalar sub-select makes it one InitPlan instead of a call per row.
    execute format(
        'create policy tenant on %s to ubos_command, ubos_query
         using (tenant_id = (select nullif(current_setting(''ubos.tenant_id'', true), '''')::uuid))
         with check (tenant_id = (select nullif(current_setting(''ubos.tenant_id'', true), '''')::uuid))', target);
    execute format('create policy every_tenant on %s to ubos_worker, ubos_owner using (true) with check (true)', target);
    foreach reader in array readers loop
        execute format('grant select on %s to %I', target, reader);
    end loop;
    foreach writer in array writers loop
        execute format('grant select, insert, update, delete on %s to %I', target, writer);
    end loop;
end
$$;
REVOKE ALL ON FUNCTION shared.secure_tenant_table(target regclass, readers text[], writers text[]) FROM PUBLIC;

CREATE FUNCTION shared.tenant_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid;

-- timeline

CREATE SCHEMA timeline;
GRANT USAGE ON SCHEMA timeline TO ubos_query;
GRANT USAGE ON SCHEMA timeline TO ubos_worker;

CREATE TABLE timeline.activity_events (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    event_type text NOT NULL,
    domain text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    correlation_id uuid NOT NULL,
    summary text NOT NULL,
    permission text DEFAULT ''::text NOT NULL,
    api_key_id uuid,
    client_ids jsonb DEFAULT '[]'::jsonb NOT NULL,
    project_ids jsonb DEFAULT '[]'::jsonb NOT NULL,
    engagement_ids jsonb DEFAULT '[]'::jsonb NOT NULL
);
ALTER TABLE ONLY timeline.activity_events FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY timeline.activity_events
    ADD CONSTRAINT activity_events_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX activity_events_actor ON timeline.activity_events USING btree (tenant_id, actor, created_at, id);
CREATE INDEX activity_events_actor_kind ON timeline.activity_events USING btree (tenant_id, actor_kind, created_at, id);
CREATE INDEX activity_events_aggregate ON timeline.activity_events USING btree (tenant_id, aggregate_id, created_at, id);
CREATE INDEX activity_events_aggregate_type ON timeline.activity_events USING btree (tenant_id, aggregate_type, created_at, id);
CREATE INDEX activity_events_api_key ON timeline.activity_events USING btree (tenant_id, api_key_id, created_at, id) WHERE (api_key_id IS NOT NULL);
CREATE INDEX activity_events_correlation ON timeline.activity_events USING btree (tenant_id, correlation_id, created_at, id);
CREATE INDEX activity_events_created ON timeline.activity_events USING btree (tenant_id, created_at, id);
CREATE INDEX activity_events_domain ON timeline.activity_events USING btree (tenant_id, domain, created_at, id);
CREATE INDEX activity_events_event_type ON timeline.activity_events USING btree (tenant_id, event_type, created_at, id);
CREATE INDEX activity_events_permission ON timeline.activity_events USING btree (tenant_id, permission, created_at, id);
ALTER TABLE timeline.activity_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON timeline.activity_events TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON timeline.activity_events TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE timeline.activity_events TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE timeline.activity_events TO ubos_worker;

CREATE TABLE timeline.comments (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    entry_id uuid NOT NULL,
    client_id uuid,
    project_id uuid,
    author_kind text COLLATE pg_catalog."C",
    author_id uuid,
    body text,
    status text NOT NULL COLLATE pg_catalog."C",
    edited_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY timeline.comments FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY timeline.comments
    ADD CONSTRAINT comments_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX comments_author ON timeline.comments USING btree (tenant_id, author_id, created_at, id) WHERE (author_id IS NOT NULL);
CREATE INDEX comments_client ON timeline.comments USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX comments_created ON timeline.comments USING btree (tenant_id, created_at, id);
CREATE INDEX comments_entry ON timeline.comments USING btree (tenant_id, entry_id, created_at, id);
CREATE INDEX comments_project ON timeline.comments USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX comments_status ON timeline.comments USING btree (tenant_id, status, created_at, id);
CREATE INDEX comments_updated ON timeline.comments USING btree (tenant_id, updated_at, id);
ALTER TABLE timeline.comments ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON timeline.comments TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON timeline.comments TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE timeline.comments TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE timeline.comments TO ubos_worker;

CREATE TABLE timeline.follow_ups (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    about_kind text NOT NULL COLLATE pg_catalog."C",
    about_id uuid NOT NULL,
    client_id uuid,
    project_id uuid,
    assignee_id uuid NOT NULL,
    title text NOT NULL COLLATE shared.by_name,
    note text,
    due_at timestamp with time zone NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    closed_at timestamp with time zone,
    reason text,
    engagement_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY timeline.follow_ups FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY timeline.follow_ups
    ADD CONSTRAINT follow_ups_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX follow_ups_about ON timeline.follow_ups USING btree (tenant_id, about_id, created_at, id);
CREATE INDEX follow_ups_about_kind ON timeline.follow_ups USING btree (tenant_id, about_kind, created_at, id);
CREATE INDEX follow_ups_assignee ON timeline.follow_ups USING btree (tenant_id, assignee_id, created_at, id);
CREATE INDEX follow_ups_client ON timeline.follow_ups USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX follow_ups_created ON timeline.follow_ups USING btree (tenant_id, created_at, id);
CREATE INDEX follow_ups_due ON timeline.follow_ups USING btree (tenant_id, due_at, id);
CREATE INDEX follow_ups_engagement ON timeline.follow_ups USING btree (tenant_id, engagement_id, created_at, id) WHERE (engagement_id IS NOT NULL);
CREATE INDEX follow_ups_project ON timeline.follow_ups USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX follow_ups_status ON timeline.follow_ups USING btree (tenant_id, status, created_at, id);
CREATE INDEX follow_ups_title ON timeline.follow_ups USING btree (tenant_id, title, id);
CREATE INDEX follow_ups_updated ON timeline.follow_ups USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON timeline.follow_ups TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE timeline.follow_ups ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON timeline.follow_ups TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE timeline.follow_ups TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE timeline.follow_ups TO ubos_worker;

CREATE TABLE timeline.pins (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    entry_id uuid NOT NULL,
    client_id uuid,
    project_id uuid,
    status text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY timeline.pins FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY timeline.pins
    ADD CONSTRAINT pins_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX pins_client ON timeline.pins USING btree (tenant_id, client_id, created_at, id) WHERE (client_id IS NOT NULL);
CREATE INDEX pins_created ON timeline.pins USING btree (tenant_id, created_at, id);
CREATE INDEX pins_entry ON timeline.pins USING btree (tenant_id, entry_id, created_at, id);
CREATE INDEX pins_project ON timeline.pins USING btree (tenant_id, project_id, created_at, id) WHERE (project_id IS NOT NULL);
CREATE INDEX pins_status ON timeline.pins USING btree (tenant_id, status, created_at, id);
CREATE POLICY every_tenant ON timeline.pins TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE timeline.pins ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON timeline.pins TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE timeline.pins TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE timeline.pins TO ubos_worker;

-- vault

CREATE SCHEMA vault;
GRANT USAGE ON SCHEMA vault TO ubos_command;
GRANT USAGE ON SCHEMA vault TO ubos_query;
GRANT USAGE ON SCHEMA vault TO ubos_worker;

CREATE TABLE vault.data_keys (
    tenant_id uuid NOT NULL,
    generation integer NOT NULL,
    wrapped bytea NOT NULL,
    wrapped_by text NOT NULL,
    seals_reserved bigint DEFAULT 0 NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT data_keys_generation_check CHECK ((generation > 0)),
    CONSTRAINT data_keys_seals_reserved_check CHECK (((seals_reserved >= 0) AND (seals_reserved <= 4294967)))
);
ALTER TABLE ONLY vault.data_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY vault.data_keys
    ADD CONSTRAINT data_keys_pkey PRIMARY KEY (tenant_id, generation);
ALTER TABLE vault.data_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON vault.data_keys TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON vault.data_keys TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE vault.data_keys TO ubos_worker;
GRANT UPDATE(wrapped) ON TABLE vault.data_keys TO ubos_worker;
GRANT UPDATE(wrapped_by) ON TABLE vault.data_keys TO ubos_worker;

CREATE TABLE vault.destroyed_keys (
    serial bigint NOT NULL,
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    generation integer NOT NULL,
    destroyed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE ONLY vault.destroyed_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.destroyed_keys ALTER COLUMN serial ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vault.destroyed_keys_serial_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY vault.destroyed_keys
    ADD CONSTRAINT destroyed_keys_pkey PRIMARY KEY (serial);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON vault.destroyed_keys FOR EACH ROW EXECUTE FUNCTION vault.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON vault.destroyed_keys FOR EACH STATEMENT EXECUTE FUNCTION vault.refuse_change();
ALTER TABLE vault.destroyed_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON vault.destroyed_keys TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON vault.destroyed_keys TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE vault.destroyed_keys TO ubos_worker;

CREATE TABLE vault.subject_keys (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    generation integer NOT NULL,
    wrapped bytea,
    CONSTRAINT subject_keys_generation_check CHECK ((generation > 0))
);
ALTER TABLE ONLY vault.subject_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY vault.subject_keys
    ADD CONSTRAINT subject_keys_pkey PRIMARY KEY (tenant_id, subject_id, generation);
CREATE POLICY every_tenant ON vault.subject_keys TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE vault.subject_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.subject_keys TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE vault.subject_keys TO ubos_worker;

CREATE FUNCTION vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
insert into vault.data_keys (tenant_id, generation, wrapped, wrapped_by)
select a.*
from unnest(tenants, generations, wrapped, wrapped_by) as a(tenant_id, generation, wrapped, wrapped_by)
where a.generation = 1 + coalesce((select max(k.generation) from vault.data_keys k where k.tenant_id = a.tenant_id), 0)
on conflict do nothing
$$;
REVOKE ALL ON FUNCTION vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[]) TO ubos_command;
GRANT ALL ON FUNCTION vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[]) TO ubos_worker;

CREATE FUNCTION vault.data_keys_of(tenants uuid[]) RETURNS TABLE(tenant_id uuid, generation integer, wrapped bytea, wrapped_by text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
    SET search_path TO 'pg_catalog'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select k.*
        from unnest(tenants) as a(tenant_id)
                 cross join lateral (
            select d.tenant_id, d.generation, d.wrapped, d.wrapped_by
            from vault.data_keys d
            where d.tenant_id = a.tenant_id
            -- Keeps it a subquery.
            offset 0
            ) k;
end
$$;
REVOKE ALL ON FUNCTION vault.data_keys_of(tenants uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.data_keys_of(tenants uuid[]) TO ubos_command;
GRANT ALL ON FUNCTION vault.data_keys_of(tenants uuid[]) TO ubos_query;
GRANT ALL ON FUNCTION vault.data_keys_of(tenants uuid[]) TO ubos_worker;

CREATE FUNCTION vault.destroy_key(tenant uuid, subject uuid, which integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
begin
    perform pg_advisory_xact_lock(hashtextextended('vault.destroyed_keys', 0));
    if not exists (select from vault.destroyed_keys d
                   where d.tenant_id = tenant and d.subject_id = subject and d.generation = which) then
        insert into vault.destroyed_keys (tenant_id, subject_id, generation) values (tenant, subject, which);
    end if;
    update vault.subject_keys k
    set wrapped = null
    where k.tenant_id = tenant and k.subject_id = subject and k.generation = which and k.wrapped is not null;
    return found;
end
$$;
REVOKE ALL ON FUNCTION vault.destroy_key(tenant uuid, subject uuid, which integer) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.destroy_key(tenant uuid, subject uuid, which integer) TO ubos_worker;

CREATE FUNCTION vault.destroy_subject(tenant uuid, subject uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
declare
    destroyed bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('vault.destroyed_keys', 0));
    with gone as (
        update vault.subject_keys k
            set wrapped = null
            where k.tenant_id = tenant and k.subject_id = subject and k.wrapped is not null
            returning k.generation
    ),
         listed as (
             insert into vault.destroyed_keys (tenant_id, subject_id, generation)
                 select tenant, subject, gone.generation from gone order by gone.generation
         )
    select count(*) into destroyed from gone;
    return destroyed;
end
$$;
REVOKE ALL ON FUNCTION vault.destroy_subject(tenant uuid, subject uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.destroy_subject(tenant uuid, subject uuid) TO ubos_worker;

CREATE FUNCTION vault.destroyed_after(at bigint) RETURNS TABLE(serial bigint, tenant_id uuid, subject_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog'
    AS $$
select coalesce(max(d.serial), 0), null::uuid, null::uuid from vault.destroyed_keys d
union all
select d.serial, d.tenant_id, d.subject_id from vault.destroyed_keys d where d.serial > at
$$;
REVOKE ALL ON FUNCTION vault.destroyed_after(at bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.destroyed_after(at bigint) TO ubos_command;
GRANT ALL ON FUNCTION vault.destroyed_after(at bigint) TO ubos_query;
GRANT ALL ON FUNCTION vault.destroyed_after(at bigint) TO ubos_worker;

CREATE FUNCTION vault.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
begin
    raise exception 'the list of destroyed keys is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
REVOKE ALL ON FUNCTION vault.refuse_change() FROM PUBLIC;

CREATE FUNCTION vault.reserve(tenants uuid[], block bigint, at_most bigint) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER ROWS 100
    SET search_path TO 'pg_catalog'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
begin
    if block is null or block not between 1 and 65536 then
        raise exception 'expected a block of 1 to 65536 seals, got %', block using errcode = 'invalid_parameter_value';
    end if;
    return query
        with newest as materialized (
            select k.*
            from unnest(tenants) as a(tenant_id)
                     cross join lateral (
                select d.tenant_id, d.generation
                from vault.data_keys d
                where d.tenant_id = a.tenant_id
                order by d.generation desc
                limit 1 for no key update
                ) k
        )
        update vault.data_keys d
            set seals_reserved = d.seals_reserved + block
            from newest n
            where d.tenant_id = n.tenant_id and d.generation = n.generation
              and d.seals_reserved + block <= least(at_most, 4294967)
            returning d.tenant_id;
end
$$;
REVOKE ALL ON FUNCTION vault.reserve(tenants uuid[], block bigint, at_most bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.reserve(tenants uuid[], block bigint, at_most bigint) TO ubos_command;
GRANT ALL ON FUNCTION vault.reserve(tenants uuid[], block bigint, at_most bigint) TO ubos_worker;

CREATE FUNCTION vault.samples() RETURNS TABLE(tenant_id uuid, generation integer, wrapped bytea, wrapped_by text)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog'
    AS $$
select distinct on (k.wrapped_by) k.tenant_id, k.generation, k.wrapped, k.wrapped_by
from vault.data_keys k order by k.wrapped_by, k.tenant_id, k.generation
$$;
REVOKE ALL ON FUNCTION vault.samples() FROM PUBLIC;
GRANT ALL ON FUNCTION vault.samples() TO ubos_command;
GRANT ALL ON FUNCTION vault.samples() TO ubos_query;
GRANT ALL ON FUNCTION vault.samples() TO ubos_worker;

CREATE FUNCTION vault.subject_keys_of(tenants uuid[], subjects uuid[]) RETURNS TABLE(tenant_id uuid, subject_id uuid, generation integer, wrapped bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
    SET search_path TO 'pg_catalog'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select k.*
        from unnest(tenants, subjects) as a(tenant_id, subject_id)
                 cross join lateral (
            select *
            from vault.subject_keys k
            where k.tenant_id = a.tenant_id and k.subject_id = a.subject_id
            -- Keeps it a subquery.
            offset 0
            ) k;
end
$$;
REVOKE ALL ON FUNCTION vault.subject_keys_of(tenants uuid[], subjects uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.subject_keys_of(tenants uuid[], subjects uuid[]) TO ubos_command;
GRANT ALL ON FUNCTION vault.subject_keys_of(tenants uuid[], subjects uuid[]) TO ubos_query;
GRANT ALL ON FUNCTION vault.subject_keys_of(tenants uuid[], subjects uuid[]) TO ubos_worker;

-- webhooks

CREATE SCHEMA webhooks;
GRANT USAGE ON SCHEMA webhooks TO ubos_query;
GRANT USAGE ON SCHEMA webhooks TO ubos_worker;

CREATE TABLE webhooks.deliveries (
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    "position" bigint NOT NULL,
    event_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL,
    first_tried_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_tried_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_attempt_at timestamp with time zone,
    answer_status integer,
    error text,
    took_ms integer,
    is_replay boolean NOT NULL,
    CONSTRAINT deliveries_status_check CHECK ((status = ANY (ARRAY['delivered'::text, 'failing'::text, 'given_up'::text, 'withheld'::text, 'skipped'::text])))
)
WITH (fillfactor='80');
ALTER TABLE ONLY webhooks.deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY webhooks.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (tenant_id, endpoint_id, event_id);
CREATE INDEX deliveries_old ON webhooks.deliveries USING btree (last_tried_at);
CREATE INDEX deliveries_tried ON webhooks.deliveries USING btree (tenant_id, endpoint_id, last_tried_at DESC);
ALTER TABLE webhooks.deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON webhooks.deliveries TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON webhooks.deliveries TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE webhooks.deliveries TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE webhooks.deliveries TO ubos_worker;

CREATE TABLE webhooks.endpoints (
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    status text NOT NULL,
    url text NOT NULL,
    scopes text[] NOT NULL,
    is_ordered boolean NOT NULL,
    owner jsonb,
    secret_version bigint NOT NULL,
    previous_version bigint,
    previous_until timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    shut_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    is_told boolean DEFAULT false NOT NULL,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_status integer,
    last_error text,
    CONSTRAINT endpoints_status_check CHECK ((status = ANY (ARRAY['active'::text, 'paused'::text, 'disabled'::text, 'removed'::text])))
)
WITH (fillfactor='70');
ALTER TABLE ONLY webhooks.endpoints FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY webhooks.endpoints
    ADD CONSTRAINT endpoints_pkey PRIMARY KEY (tenant_id, endpoint_id);
ALTER TABLE webhooks.endpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON webhooks.endpoints TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON webhooks.endpoints TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE webhooks.endpoints TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE webhooks.endpoints TO ubos_worker;

CREATE TABLE webhooks.replays (
    tenant_id uuid NOT NULL,
    job bigint NOT NULL,
    "position" bigint NOT NULL
);
ALTER TABLE ONLY webhooks.replays FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY webhooks.replays
    ADD CONSTRAINT replays_pkey PRIMARY KEY (tenant_id, job);
CREATE POLICY every_tenant ON webhooks.replays TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE webhooks.replays ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhooks.replays TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE webhooks.replays TO ubos_worker;

CREATE FUNCTION webhooks.hasten(of_tenant uuid, endpoint uuid) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    SET enable_seqscan TO 'off'
    AS $$
declare
    waiting  record;
    hastened bigint := 0;
begin
    for waiting in
        select l.lane from reactions.lanes l
        where l.tenant_id = of_tenant and l.reaction = 'webhooks.delivery'
          and (l.lane = endpoint::text or starts_with(l.lane, endpoint::text || '/'))
          and l.blocked_on is null
        order by l.lane limit 10000 for update
    loop
        update reactions.jobs j
        set due_at = clock_timestamp()
        where j.tenant_id = of_tenant and j.reaction = 'webhooks.delivery' and j.lane = waiting.lane and j.in_lane
          and j.lease is null and j.due_at > clock_timestamp();
        if found then
            hastened := hastened + 1;
            perform reactions.refresh(of_tenant, 'webhooks.delivery', waiting.lane);
        end if;
    end loop;
    return hastened;
end
$$;
REVOKE ALL ON FUNCTION webhooks.hasten(of_tenant uuid, endpoint uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION webhooks.hasten(of_tenant uuid, endpoint uuid) TO ubos_worker;

-- workflow

CREATE SCHEMA workflow;
GRANT USAGE ON SCHEMA workflow TO ubos_query;
GRANT USAGE ON SCHEMA workflow TO ubos_worker;

CREATE TABLE workflow.approvals (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    status text NOT NULL,
    question text,
    approvers jsonb NOT NULL,
    quorum bigint NOT NULL,
    granted_by jsonb NOT NULL,
    rejected_by jsonb,
    delegates jsonb NOT NULL,
    escalated boolean NOT NULL,
    reminded bigint NOT NULL,
    due_at timestamp with time zone,
    closed_at timestamp with time zone
)
WITH (fillfactor='85');
ALTER TABLE ONLY workflow.approvals FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY workflow.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX approvals_created ON workflow.approvals USING btree (tenant_id, created_at, id);
CREATE INDEX approvals_run ON workflow.approvals USING btree (tenant_id, run_id, created_at, id);
CREATE INDEX approvals_status ON workflow.approvals USING btree (tenant_id, status, created_at, id);
CREATE INDEX approvals_updated ON workflow.approvals USING btree (tenant_id, updated_at, id);
ALTER TABLE workflow.approvals ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON workflow.approvals TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON workflow.approvals TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE workflow.approvals TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE workflow.approvals TO ubos_worker;

CREATE TABLE workflow.run_steps (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    status text NOT NULL,
    attempts bigint NOT NULL,
    result jsonb,
    error_code text,
    error text,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    due_at timestamp with time zone,
    place bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='85');
ALTER TABLE ONLY workflow.run_steps FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY workflow.run_steps
    ADD CONSTRAINT run_steps_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX run_steps_created ON workflow.run_steps USING btree (tenant_id, created_at, id);
CREATE INDEX run_steps_place ON workflow.run_steps USING btree (tenant_id, place, id);
CREATE INDEX run_steps_run ON workflow.run_steps USING btree (tenant_id, run_id, created_at, id);
CREATE INDEX run_steps_status ON workflow.run_steps USING btree (tenant_id, status, created_at, id);
CREATE INDEX run_steps_updated ON workflow.run_steps USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON workflow.run_steps TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE workflow.run_steps ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workflow.run_steps TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE workflow.run_steps TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE workflow.run_steps TO ubos_worker;

CREATE TABLE workflow.runs (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    workflow_id uuid NOT NULL,
    workflow_name text NOT NULL COLLATE shared.by_name,
    definition_version bigint NOT NULL,
    trigger_event_id uuid NOT NULL,
    trigger_event_type text NOT NULL,
    trigger_aggregate_id uuid NOT NULL,
    correlation_id uuid NOT NULL,
    status text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    error_code text,
    error text,
    step_count bigint DEFAULT 0 NOT NULL,
    waiting_at jsonb DEFAULT '[]'::jsonb NOT NULL,
    parked_at jsonb DEFAULT '[]'::jsonb NOT NULL,
    compensating boolean DEFAULT false NOT NULL,
    parent_run_id uuid
)
WITH (fillfactor='85');
ALTER TABLE ONLY workflow.runs FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY workflow.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX runs_correlation ON workflow.runs USING btree (tenant_id, correlation_id, created_at, id);
CREATE INDEX runs_created ON workflow.runs USING btree (tenant_id, created_at, id);
CREATE INDEX runs_started ON workflow.runs USING btree (tenant_id, started_at, id);
CREATE INDEX runs_status ON workflow.runs USING btree (tenant_id, status, created_at, id);
CREATE INDEX runs_trigger_aggregate ON workflow.runs USING btree (tenant_id, trigger_aggregate_id, created_at, id);
CREATE INDEX runs_trigger_event ON workflow.runs USING btree (tenant_id, trigger_event_id, created_at, id);
CREATE INDEX runs_trigger_event_type ON workflow.runs USING btree (tenant_id, trigger_event_type, created_at, id);
CREATE INDEX runs_updated ON workflow.runs USING btree (tenant_id, updated_at, id);
CREATE INDEX runs_workflow ON workflow.runs USING btree (tenant_id, workflow_id, created_at, id);
CREATE INDEX runs_workflow_name_folded ON workflow.runs USING btree (tenant_id, workflow_name COLLATE shared.folded);
CREATE POLICY every_tenant ON workflow.runs TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
ALTER TABLE workflow.runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workflow.runs TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
GRANT SELECT ON TABLE workflow.runs TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE workflow.runs TO ubos_worker;

CREATE TABLE workflow.workflows (
    tenant_id uuid NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE shared.by_name,
    description text,
    trigger_event_type text NOT NULL,
    conditions jsonb,
    actions jsonb,
    retry_policy jsonb,
    definition_version bigint NOT NULL,
    definition_hash text NOT NULL,
    reason text,
    runs_as jsonb DEFAULT '[]'::jsonb NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='85');
ALTER TABLE ONLY workflow.workflows FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY workflow.workflows
    ADD CONSTRAINT workflows_pkey PRIMARY KEY (tenant_id, id);
CREATE INDEX workflows_created ON workflow.workflows USING btree (tenant_id, created_at, id);
CREATE INDEX workflows_name ON workflow.workflows USING btree (tenant_id, name, id);
CREATE INDEX workflows_name_folded ON workflow.workflows USING btree (tenant_id, name COLLATE shared.folded);
CREATE INDEX workflows_status ON workflow.workflows USING btree (tenant_id, status, created_at, id);
CREATE INDEX workflows_trigger_event_type ON workflow.workflows USING btree (tenant_id, trigger_event_type, created_at, id);
CREATE INDEX workflows_updated ON workflow.workflows USING btree (tenant_id, updated_at, id);
CREATE POLICY every_tenant ON workflow.workflows TO ubos_owner, ubos_worker USING (true) WITH CHECK (true);
CREATE POLICY tenant ON workflow.workflows TO ubos_command, ubos_query USING ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif"))) WITH CHECK ((tenant_id = ( SELECT (NULLIF(current_setting('ubos.tenant_id'::text, true), ''::text))::uuid AS "nullif")));
ALTER TABLE workflow.workflows ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE workflow.workflows TO ubos_query;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE workflow.workflows TO ubos_worker;
