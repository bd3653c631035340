-- A project that pauses is on hold, in its row as everywhere else.
update projects.projects set status = 'on_hold' where status = 'held';
