-- What belongs to an engagement says so, for whoever has rights for that and for nothing else of its client.
alter table timeline.follow_ups add column engagement_id uuid;
create index follow_ups_engagement on timeline.follow_ups (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
