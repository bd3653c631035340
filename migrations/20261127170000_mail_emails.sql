-- The emails that events ask for. What an email says is read from its event when it is sent, so no address stands here.

create schema mail;
grant usage on schema mail to ubos_worker;

-- How far the log was looked through. Nobody is written to about what happened before there were emails.
create table mail.intake
(
    only_row boolean primary key default true check (only_row),
    position bigint  not null
) with (fillfactor = 10);
insert into mail.intake (position) select position from eventstore.head;
grant select, update on mail.intake to ubos_worker;

-- Whoever takes an email moves `due_at` to the end of the lease, so that the email of a killed mailer is due again by
-- itself. An email that was sent just before that is sent twice, with the same Message-ID.
create table mail.emails
(
    tenant_id uuid        not null,
    position  bigint      not null primary key,
    state     text        not null default 'due' check (state in ('due', 'sent', 'failed')),
    attempts  integer     not null default 0,
    due_at    timestamptz not null default now(),
    error     text,
    sent_at   timestamptz
);
create index emails_due on mail.emails (due_at) where state = 'due';
select shared.secure_tenant_table('mail.emails', '{}', '{ubos_worker}');
