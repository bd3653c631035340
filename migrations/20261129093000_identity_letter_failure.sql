-- Whoever invites sees on the record why the letter could not be sent.
alter table identity.users add column letter_failure text;
