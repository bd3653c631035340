-- Every filter of the timeline has an index in which the page stands in its order: the tenant, the column, the moment, the id.
-- Under row-level security no index is looked into by what a list holds, so the two that were made for it were only written
-- (docs/adr/0039); what had the tenant and the column alone is replaced by what has the order too.
drop index timeline.activity_events_clients;
drop index timeline.activity_events_correlation;
drop index timeline.activity_events_projects;

create index activity_events_event_type on timeline.activity_events (tenant_id, event_type, created_at, id);
create index activity_events_domain on timeline.activity_events (tenant_id, domain, created_at, id);
create index activity_events_aggregate_type on timeline.activity_events (tenant_id, aggregate_type, created_at, id);
create index activity_events_actor_kind on timeline.activity_events (tenant_id, actor_kind, created_at, id);
create index activity_events_actor on timeline.activity_events (tenant_id, actor, created_at, id);
create index activity_events_correlation on timeline.activity_events (tenant_id, correlation_id, created_at, id);
create index activity_events_permission on timeline.activity_events (tenant_id, permission, created_at, id);
create index activity_events_api_key on timeline.activity_events (tenant_id, api_key_id, created_at, id) where api_key_id is not null;
