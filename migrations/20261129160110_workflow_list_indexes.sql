-- Every filter and every order of definitions, runs, their steps and their questions has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index workflow.approvals_run;
drop index workflow.run_steps_run;
drop index workflow.runs_correlation;

create index approvals_updated on workflow.approvals (tenant_id, updated_at, id);
create index approvals_run on workflow.approvals (tenant_id, run_id, created_at, id);
create index run_steps_updated on workflow.run_steps (tenant_id, updated_at, id);
create index run_steps_run on workflow.run_steps (tenant_id, run_id, created_at, id);
create index run_steps_status on workflow.run_steps (tenant_id, status, created_at, id);
create index run_steps_place on workflow.run_steps (tenant_id, place, id);
create index runs_updated on workflow.runs (tenant_id, updated_at, id);
create index runs_trigger_event on workflow.runs (tenant_id, trigger_event_id, created_at, id);
create index runs_trigger_event_type on workflow.runs (tenant_id, trigger_event_type, created_at, id);
create index runs_trigger_aggregate on workflow.runs (tenant_id, trigger_aggregate_id, created_at, id);
create index runs_correlation on workflow.runs (tenant_id, correlation_id, created_at, id);
create index workflows_updated on workflow.workflows (tenant_id, updated_at, id);
create index workflows_trigger_event_type on workflow.workflows (tenant_id, trigger_event_type, created_at, id);
create index workflows_status on workflow.workflows (tenant_id, status, created_at, id);
