-- A definition says where it stands in one column and with one word; a question says when it was closed, decided or not. Everything
-- here is folded from the log again.
alter table workflow.workflows
    drop column enabled,
    drop column retired,
    add column status text collate "C" not null default 'active';

alter table workflow.approvals rename column decided_at to closed_at;
