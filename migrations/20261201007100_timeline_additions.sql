-- What people add to a timeline: follow-ups, comments and pins. Entries themselves are the log's.
-- Column order is the order of the row types.

create table timeline.follow_ups
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
    assignee_id uuid not null,
    title text collate shared.by_name not null,
    note text,
    due_at timestamptz not null,
    status text collate "C" not null,
    closed_at timestamptz,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index follow_ups_created on timeline.follow_ups (tenant_id, created_at, id);
create index follow_ups_updated on timeline.follow_ups (tenant_id, updated_at, id);
create index follow_ups_about_kind on timeline.follow_ups (tenant_id, about_kind, created_at, id);
create index follow_ups_about on timeline.follow_ups (tenant_id, about_id, created_at, id);
create index follow_ups_client on timeline.follow_ups (tenant_id, client_id, created_at, id) where client_id is not null;
create index follow_ups_project on timeline.follow_ups (tenant_id, project_id, created_at, id) where project_id is not null;
create index follow_ups_assignee on timeline.follow_ups (tenant_id, assignee_id, created_at, id);
create index follow_ups_title on timeline.follow_ups (tenant_id, title, id);
create index follow_ups_due on timeline.follow_ups (tenant_id, due_at, id);
create index follow_ups_status on timeline.follow_ups (tenant_id, status, created_at, id);
select projections.register('timeline.follow_ups');

create table timeline.comments
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    entry_id uuid not null,
    client_id uuid,
    project_id uuid,
    author_kind text collate "C",
    author_id uuid,
    body text,
    status text collate "C" not null,
    edited_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index comments_created on timeline.comments (tenant_id, created_at, id);
create index comments_updated on timeline.comments (tenant_id, updated_at, id);
create index comments_entry on timeline.comments (tenant_id, entry_id, created_at, id);
create index comments_client on timeline.comments (tenant_id, client_id, created_at, id) where client_id is not null;
create index comments_project on timeline.comments (tenant_id, project_id, created_at, id) where project_id is not null;
create index comments_author on timeline.comments (tenant_id, author_id, created_at, id) where author_id is not null;
create index comments_status on timeline.comments (tenant_id, status, created_at, id);
select projections.register('timeline.comments');

create table timeline.pins
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    entry_id uuid not null,
    client_id uuid,
    project_id uuid,
    status text collate "C" not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index pins_created on timeline.pins (tenant_id, created_at, id);
create index pins_entry on timeline.pins (tenant_id, entry_id, created_at, id);
create index pins_client on timeline.pins (tenant_id, client_id, created_at, id) where client_id is not null;
create index pins_project on timeline.pins (tenant_id, project_id, created_at, id) where project_id is not null;
create index pins_status on timeline.pins (tenant_id, status, created_at, id);
select projections.register('timeline.pins');
