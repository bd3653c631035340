-- Every filter and every order of appointments and what can be booked has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index scheduling.appointments_host;
drop index scheduling.appointments_invitee;
drop index scheduling.availabilities_host;

create index appointments_updated on scheduling.appointments (tenant_id, updated_at, id);
create index appointments_status on scheduling.appointments (tenant_id, status, created_at, id);
create index appointments_event_type on scheduling.appointments (tenant_id, event_type_id, created_at, id);
create index appointments_event_type_key on scheduling.appointments (tenant_id, event_type_key, created_at, id);
create index appointments_host on scheduling.appointments (tenant_id, host_id, created_at, id);
create index appointments_invitee_email on scheduling.appointments (tenant_id, invitee_email, created_at, id);
create index availabilities_updated on scheduling.availabilities (tenant_id, updated_at, id);
create index availabilities_host on scheduling.availabilities (tenant_id, host_id, created_at, id);
create index event_types_updated on scheduling.event_types (tenant_id, updated_at, id);
create index event_types_host on scheduling.event_types (tenant_id, host_id, created_at, id);
