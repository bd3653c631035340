-- An event is on every engagement that it is about, as on every client and project.
alter table timeline.activity_events add column engagement_ids jsonb not null default '[]';
