-- Waits until no other process is putting an append together or having one written, so that a batch is put together no
-- sooner than it can be written: one that waits for the head cannot grow any more. False if that took too long.
--
-- The turn is the session's until `pg_advisory_unlock`, which the append's statement calls after the function and before
-- its commit. It is a courtesy, not a condition: an append is right with or without it, and a process that is stopped in
-- its turn makes others late, never stuck. What is caught here is no error in the server's log.
create function eventstore.await_turn() returns boolean
    language plpgsql set search_path = pg_catalog set lock_timeout = '50ms' as
$$
begin
    perform pg_advisory_lock(hashtextextended('eventstore.turn', 0));
    return true;
exception
    when lock_not_available then return false;
end
$$;
revoke execute on function eventstore.await_turn() from public;
grant execute on function eventstore.await_turn() to ubos_command, ubos_worker;
