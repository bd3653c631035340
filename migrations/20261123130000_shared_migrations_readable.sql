-- Services refuse to start on a schema that is older than they are, so they must be able to ask.
grant select on public._sqlx_migrations to ubos_command, ubos_query, ubos_worker;
