-- Whoever invites sees on the record why the email could not be sent.
alter table portal.portal_users add column email_failure text;
