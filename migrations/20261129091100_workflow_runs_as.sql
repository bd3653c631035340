-- What a definition's steps may do is shown with it.
alter table workflow.workflows add column runs_as jsonb not null default '[]';
