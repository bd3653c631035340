-- How many runs wait for what a connection holds up is shown with the connection: that a run waits, and for which record, and nothing of
-- what it compares or has found.
grant usage on schema engine to ubos_query;
grant select (tenant_id, run_id, aggregate_id) on engine.waits to ubos_query;
