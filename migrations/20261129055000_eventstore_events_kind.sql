-- Whoever begins to wait looks back at what came since its wait began: events of one kind and one firm, by position.
create index events_kind on eventstore.events (tenant_id, event_type, position) where domain <> 'workflow';
