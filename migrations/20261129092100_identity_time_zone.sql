-- Where a firm's clocks hang, and so which day it is for the firm.
alter table identity.tenants add column time_zone text collate "C" not null default 'UTC';
