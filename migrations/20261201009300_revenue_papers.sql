-- Where the papers of invoices and credit notes are.
alter table revenue.invoices add column pdf_file_id uuid;
alter table revenue.invoices add column xml_file_id uuid;
alter table revenue.credit_notes add column pdf_file_id uuid;
alter table revenue.credit_notes add column xml_file_id uuid;
