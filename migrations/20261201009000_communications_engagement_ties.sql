-- What belongs to an engagement says so, for whoever has rights for that and for nothing else of its client. What proposals, contracts,
-- invoices and projects are a part of stands there already.
alter table communications.notes add column engagement_id uuid;
create index notes_engagement on communications.notes (tenant_id, engagement_id, created_at, id) where engagement_id is not null;

-- Threads twice, as with their clients: the firm's own, and those that people of the client see.
alter table communications.threads add column engagement_id uuid;
alter table communications.threads add column portal_engagement_id uuid;
create index threads_engagement on communications.threads (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
alter table communications.messages add column engagement_id uuid;
alter table communications.messages add column portal_engagement_id uuid;
create index messages_engagement on communications.messages (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
