-- An event is on every client and project that it is about, not on the one that its payload happens to name.
alter table timeline.activity_events drop column client_id;
alter table timeline.activity_events add column client_ids jsonb not null default '[]';
alter table timeline.activity_events add column project_ids jsonb not null default '[]';
create index activity_events_clients on timeline.activity_events using gin (client_ids);
create index activity_events_projects on timeline.activity_events using gin (project_ids);
