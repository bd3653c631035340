-- The read tables of communications: threads with their messages, notes, emails with their templates, notifications and how users want
-- them. Column order is the order of the row types.

create schema communications;

create table communications.threads
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    kind text collate "C" not null,
    subject text not null,
    client_id uuid,
    portal_client_id uuid,
    project_id uuid,
    participants jsonb not null,
    status text collate "C" not null,
    message_count bigint not null,
    last_message_at timestamptz,
    last_message_id uuid,
    reads jsonb not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index threads_created on communications.threads (tenant_id, created_at, id);
create index threads_updated on communications.threads (tenant_id, updated_at, id);
create index threads_kind on communications.threads (tenant_id, kind, created_at, id);
create index threads_subject on communications.threads (tenant_id, subject, id);
create index threads_client on communications.threads (tenant_id, client_id, created_at, id) where client_id is not null;
create index threads_project on communications.threads (tenant_id, project_id, created_at, id) where project_id is not null;
create index threads_status on communications.threads (tenant_id, status, created_at, id);
create index threads_last_message on communications.threads (tenant_id, last_message_at, id) where last_message_at is not null;
select projections.register('communications.threads');

create table communications.messages
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    thread_id uuid not null,
    kind text collate "C" not null,
    client_id uuid,
    portal_client_id uuid,
    project_id uuid,
    author_kind text collate "C",
    author_id uuid,
    body text,
    status text collate "C" not null,
    edited_at timestamptz,
    redacted_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index messages_created on communications.messages (tenant_id, created_at, id);
create index messages_updated on communications.messages (tenant_id, updated_at, id);
create index messages_thread on communications.messages (tenant_id, thread_id, created_at, id);
create index messages_client on communications.messages (tenant_id, client_id, created_at, id) where client_id is not null;
create index messages_project on communications.messages (tenant_id, project_id, created_at, id) where project_id is not null;
create index messages_author on communications.messages (tenant_id, author_id, created_at, id) where author_id is not null;
create index messages_status on communications.messages (tenant_id, status, created_at, id);
select projections.register('communications.messages');

create table communications.notes
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    about_kind text collate "C" not null,
    about_id uuid not null,
    client_id uuid,
    project_id uuid,
    author_kind text collate "C",
    author_id uuid,
    body text,
    status text collate "C" not null,
    edited_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index notes_created on communications.notes (tenant_id, created_at, id);
create index notes_updated on communications.notes (tenant_id, updated_at, id);
create index notes_about_kind on communications.notes (tenant_id, about_kind, created_at, id);
create index notes_about on communications.notes (tenant_id, about_id, created_at, id);
create index notes_client on communications.notes (tenant_id, client_id, created_at, id) where client_id is not null;
create index notes_project on communications.notes (tenant_id, project_id, created_at, id) where project_id is not null;
create index notes_author on communications.notes (tenant_id, author_id, created_at, id) where author_id is not null;
create index notes_status on communications.notes (tenant_id, status, created_at, id);
select projections.register('communications.notes');

create table communications.email_templates
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text collate shared.by_name not null,
    subject text not null,
    body text not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index email_templates_created on communications.email_templates (tenant_id, created_at, id);
create index email_templates_updated on communications.email_templates (tenant_id, updated_at, id);
create index email_templates_key on communications.email_templates (tenant_id, key, id);
create index email_templates_name on communications.email_templates (tenant_id, name, id);
create index email_templates_name_folded on communications.email_templates (tenant_id, name collate shared.folded);
select projections.register('communications.email_templates');

create table communications.emails
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    contact_id uuid,
    user_id uuid,
    portal_user_id uuid,
    address text,
    subject text not null,
    body text,
    template text,
    client_id uuid,
    thread_id uuid,
    status text collate "C" not null,
    attempt bigint not null,
    sent_at timestamptz,
    code text,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index emails_created on communications.emails (tenant_id, created_at, id);
create index emails_updated on communications.emails (tenant_id, updated_at, id);
create index emails_contact on communications.emails (tenant_id, contact_id, created_at, id) where contact_id is not null;
create index emails_user on communications.emails (tenant_id, user_id, created_at, id) where user_id is not null;
create index emails_portal_user on communications.emails (tenant_id, portal_user_id, created_at, id) where portal_user_id is not null;
create index emails_address on communications.emails (tenant_id, address, created_at, id) where address is not null;
create index emails_subject on communications.emails (tenant_id, subject, id);
create index emails_template on communications.emails (tenant_id, template, created_at, id) where template is not null;
create index emails_client on communications.emails (tenant_id, client_id, created_at, id) where client_id is not null;
create index emails_thread on communications.emails (tenant_id, thread_id, created_at, id) where thread_id is not null;
create index emails_status on communications.emails (tenant_id, status, created_at, id);
create index emails_code on communications.emails (tenant_id, code, created_at, id) where code is not null;
select projections.register('communications.emails');

create table communications.notifications
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    user_id uuid not null,
    kind text not null,
    title text collate shared.by_name,
    body text,
    about_kind text collate "C",
    about_id uuid,
    link text,
    status text collate "C" not null,
    in_product boolean not null,
    by_email boolean not null,
    read_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index notifications_created on communications.notifications (tenant_id, created_at, id);
create index notifications_updated on communications.notifications (tenant_id, updated_at, id);
create index notifications_user on communications.notifications (tenant_id, user_id, created_at, id);
create index notifications_kind on communications.notifications (tenant_id, kind, created_at, id);
create index notifications_about on communications.notifications (tenant_id, about_id, created_at, id) where about_id is not null;
create index notifications_status on communications.notifications (tenant_id, status, created_at, id);
create index notifications_in_product on communications.notifications (tenant_id, in_product, created_at, id);
select projections.register('communications.notifications');

create table communications.notification_preferences
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    user_id uuid not null,
    preferences jsonb not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index notification_preferences_created on communications.notification_preferences (tenant_id, created_at, id);
create index notification_preferences_updated on communications.notification_preferences (tenant_id, updated_at, id);
create index notification_preferences_user on communications.notification_preferences (tenant_id, user_id, created_at, id);
select projections.register('communications.notification_preferences');
