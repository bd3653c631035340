-- Under which permission something happened, and by which key. Rows of before have none until the group is replayed.
alter table timeline.activity_events add column permission text not null default '';
alter table timeline.activity_events add column api_key_id uuid;
