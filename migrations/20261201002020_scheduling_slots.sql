-- What an appointment takes of its host's time, with its buffers, so that free times can be told from the rows; and when guests are
-- reminded. Rows from before take what the event type says now, until the tables are built anew.
alter table scheduling.appointments add column blocked_from timestamptz;
alter table scheduling.appointments add column blocked_until timestamptz;
update scheduling.appointments a
set blocked_from = a.starts_at - make_interval(mins => coalesce(t.buffer_before_minutes, 0)::int),
    blocked_until = a.ends_at + make_interval(mins => coalesce(t.buffer_after_minutes, 0)::int)
from scheduling.appointments o
         left join scheduling.event_types t on t.tenant_id = o.tenant_id and t.id = o.event_type_id
where o.tenant_id = a.tenant_id and o.id = a.id;
alter table scheduling.appointments alter column blocked_from set not null;
alter table scheduling.appointments alter column blocked_until set not null;
alter table scheduling.event_types add column reminder_minutes jsonb not null default '[]';
