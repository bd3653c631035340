-- Whoever invites sees on the record why the email could not be sent.
alter table identity.users add column email_failure text;
