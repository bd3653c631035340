-- What belongs to an engagement says so, for whoever has rights for that and for nothing else of its client.
alter table projects.time_entries add column engagement_id uuid;
create index time_entries_engagement on projects.time_entries (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
