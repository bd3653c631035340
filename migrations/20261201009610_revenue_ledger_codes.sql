-- On what a firm's ledger books its invoices, where that is not what every new ledger has.
alter table revenue.billing_settings add column sales_account text;
alter table revenue.billing_settings add column untaxed_code text;
