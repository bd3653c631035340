-- Most conditions ask for an event of one aggregate: `event.aggregate_id == trigger.aggregate_id`. Knowing which one keeps
-- an event from being held against every run that waits for its kind.

alter table engine.waits add column aggregate_id uuid;
drop index engine.waits_event;
create index waits_event on engine.waits (tenant_id, event_type, aggregate_id) where matched is null;
