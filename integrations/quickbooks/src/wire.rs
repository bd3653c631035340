//! What QuickBooks' accounting API takes and answers (v3, minor version 75). Unknown fields pass; amounts are read as the text that
//! they are.

use providers::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What is null is as if it was not there.
fn or_none<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// What stands under names that only whoever asked knows: `{"Invoice": {…}, "time": "…"}`.
pub type Named = BTreeMap<String, Box<RawValue>>;

/// What a query answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Queried {
    #[serde(rename = "QueryResponse")]
    pub response: Named,
}

/// What has changed: a list of lists, each with its name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Changes {
    #[serde(rename = "CDCResponse")]
    pub answers: Vec<ChangesOf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChangesOf {
    #[serde(rename = "QueryResponse")]
    pub lists: Vec<Named>,
}

/// Something else of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ref {
    #[serde(deserialize_with = "or_none")]
    pub value: String,
}

impl Ref {
    pub fn to(id: &str) -> Option<Self> {
        Some(Self { value: id.to_owned() })
    }
}

/// A customer or a vendor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Person {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_token: Option<String>,
    #[serde(rename = "sparse", skip_serializing_if = "Option::is_none")]
    pub sparse: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email_addr: Option<Email>,
    /// A customer's number for taxes; answers hide all of it but its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_tax_identifier: Option<String>,
    /// The same of a vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_identifier: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Email {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An invoice or a bill.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Txn {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_none")]
    pub line: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_tax_calculation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_tax_detail: Option<TaxDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_amt: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Decimal>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_none")]
    pub linked_txn: Vec<Linked>,
    /// `Deleted`, in what has changed.
    #[serde(rename = "status", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sales_item_line_detail: Option<SalesItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_based_expense_line_detail: Option<Expense>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_line_detail: Option<TaxLine>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_none")]
    pub linked_txn: Vec<Linked>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SalesItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qty: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_code_ref: Option<Ref>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Expense {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_code_ref: Option<Ref>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tax: Option<Decimal>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_none")]
    pub tax_line: Vec<Line>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_rate_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_based: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_percent: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_amount_taxable: Option<Decimal>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Linked {
    #[serde(deserialize_with = "or_none")]
    pub txn_id: String,
    #[serde(deserialize_with = "or_none")]
    pub txn_type: String,
}

/// A payment of invoices or of bills.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Payment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_amt: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deposit_to_account_ref: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_payment: Option<Cheque>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_none")]
    pub line: Vec<Line>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cheque {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_account_ref: Option<Ref>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Account {
    #[serde(deserialize_with = "or_none")]
    pub id: String,
    #[serde(deserialize_with = "or_none")]
    pub name: String,
    #[serde(deserialize_with = "or_none")]
    pub fully_qualified_name: String,
    #[serde(deserialize_with = "or_none")]
    pub acct_num: String,
}

/// Something that is sold: what an invoice's line is of. It knows the account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub income_account_ref: Option<Ref>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxCode {
    #[serde(deserialize_with = "or_none")]
    pub id: String,
    #[serde(deserialize_with = "or_none")]
    pub name: String,
    pub sales_tax_rate_list: Option<TaxRates>,
    pub purchase_tax_rate_list: Option<TaxRates>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxRates {
    #[serde(deserialize_with = "or_none")]
    pub tax_rate_detail: Vec<TaxRateOf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxRateOf {
    pub tax_rate_ref: Ref,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaxRate {
    #[serde(deserialize_with = "or_none")]
    pub id: String,
    pub rate_value: Option<Decimal>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Company {
    pub company_name: Option<String>,
}

/// What QuickBooks answers if it does not like what was asked; its gateway writes everything small.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Disliked {
    #[serde(rename = "Fault", alias = "fault")]
    pub fault: Errors,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Errors {
    #[serde(rename = "Error", alias = "error")]
    pub errors: Vec<Error>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Error {
    #[serde(rename = "Message", alias = "message")]
    pub message: Option<String>,
    #[serde(rename = "Detail", alias = "detail")]
    pub detail: Option<String>,
    pub code: Option<String>,
}

impl Disliked {
    /// The code of the first thing that it does not like, without leading zeros.
    pub fn code(&self) -> &str {
        let code = self.fault.errors.iter().find_map(|error| error.code.as_deref());
        code.unwrap_or_default().trim_start_matches('0')
    }

    /// Everything that it does not like, in one line.
    pub fn told(&self) -> String {
        let each = self.fault.errors.iter().filter_map(|error| error.detail.as_deref().or(error.message.as_deref()));
        each.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_written_as_quickbooks_takes_it() {
        let line = Line {
            amount: Decimal::scaled(1_050, 2),
            detail_type: Some("SalesItemLineDetail".to_owned()),
            sales_item_line_detail: Some(SalesItem { item_ref: Ref::to("7"), ..SalesItem::default() }),
            ..Line::default()
        };
        let invoice = Txn { customer_ref: Ref::to("58"), line: vec![line], ..Txn::default() };
        let expected = r#"{"CustomerRef":{"value":"58"},"Line":[{"Amount":10.50,"DetailType":"SalesItemLineDetail","SalesItemLineDetail":{"ItemRef":{"value":"7"}}}]}"#;
        assert_eq!(serde_json::to_string(&invoice).unwrap(), expected);
    }

    #[test]
    fn what_is_null_or_new_is_as_if_it_was_not_there() {
        let said = r#"{"Id":"130","DocNumber":null,"LinkedTxn":null,"Line":[{"Id":"1","Amount":1.5,"LinkedTxn":null}],"Brand":{"new":1}}"#;
        let invoice: Txn = serde_json::from_str(said).unwrap();
        assert_eq!((invoice.id.as_deref(), invoice.linked_txn.len(), invoice.line.len()), (Some("130"), 0, 1));
    }

    #[test]
    fn what_is_not_liked_is_told_by_the_service_and_by_its_gateway() {
        let stale = r#"{"Fault":{"Error":[{"Message":"Stale Object Error","Detail":"You and Ada worked on this","code":"5010","element":""}],"type":"ValidationFault"},"time":"2026-10-01T00:00:00.000-07:00"}"#;
        let stale: Disliked = serde_json::from_str(stale).unwrap();
        assert_eq!((stale.code(), stale.told().as_str()), ("5010", "You and Ada worked on this"));
        let gate = r#"{"warnings":null,"fault":{"error":[{"message":"ThrottleExceeded","detail":null,"code":"003001","element":null}],"type":"SERVICE"},"requestId":null}"#;
        let gate: Disliked = serde_json::from_str(gate).unwrap();
        assert_eq!((gate.code(), gate.told().as_str()), ("3001", "ThrottleExceeded"));
    }
}
