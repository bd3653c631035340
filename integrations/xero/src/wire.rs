//! What Xero's accounting API takes and answers (Xero-OpenAPI 16.1.0). Unknown fields pass; amounts are read as the text that they are.

use chrono::{DateTime, NaiveDate};
use providers::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Contacts {
    #[serde(rename = "Contacts", default)]
    pub contacts: Vec<Contact>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Contact {
    #[serde(rename = "ContactID", skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_status: Option<String>,
    #[serde(rename = "MergedToContactID", skip_serializing_if = "Option::is_none")]
    pub merged_to_contact_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Invoices {
    #[serde(rename = "Invoices", default)]
    pub invoices: Vec<Invoice>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Invoice {
    #[serde(rename = "InvoiceID", skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<String>,
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_amount_types: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_credited: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_due: Option<Decimal>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<Payment>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LineItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_amount: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_amount: Option<Decimal>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Payments {
    #[serde(rename = "Payments", default)]
    pub payments: Vec<Payment>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Payment {
    #[serde(rename = "PaymentID", skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Box<Invoice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Account {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What Xero answers if it does not like what was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Exception {
    pub message: String,
    pub elements: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Element {
    pub validation_errors: Vec<ValidationError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ValidationError {
    pub message: String,
}

impl Exception {
    /// Everything that it does not like, in one line.
    pub fn told(&self) -> String {
        let errors = self.elements.iter().flat_map(|element| &element.validation_errors);
        let told: Vec<&str> =
            errors.map(|error| error.message.as_str()).filter(|message| !message.is_empty()).collect();
        if told.is_empty() { self.message.clone() } else { told.join("; ") }
    }
}

/// A day: `2026-11-30`, `2026-11-30T00:00:00` or `/Date(1573755038314+0000)/`.
pub fn day(text: &str) -> Option<NaiveDate> {
    match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        Some(inside) => {
            // Milliseconds, which may be before 1970, and perhaps a zone, which is always +0000.
            let end = inside[1.min(inside.len())..].find(['+', '-']).map_or(inside.len(), |at| at + 1);
            Some(DateTime::from_timestamp_millis(inside[..end].parse().ok()?)?.date_naive())
        }
        None => text.get(..10)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_however_xero_writes_it() {
        let expected = NaiveDate::from_ymd_opt(2019, 11, 14);
        for text in ["2019-11-14", "2019-11-14T00:00:00", "/Date(1573755038314)/", "/Date(1573755038314+0000)/"] {
            assert_eq!(day(text), expected, "{text}");
        }
        assert_eq!(day("/Date(-86400000+0000)/"), NaiveDate::from_ymd_opt(1969, 12, 31));
        assert_eq!(day("soon"), None);
        assert_eq!(day("/Date()/"), None);
    }

    #[test]
    fn an_invoice_is_written_as_xero_takes_it() {
        let invoice = Invoice {
            kind: Some("ACCREC".to_owned()),
            line_items: vec![LineItem { unit_amount: Decimal::scaled(1_050, 2), ..LineItem::default() }],
            ..Invoice::default()
        };
        let written = serde_json::to_string(&Invoices { invoices: vec![invoice] }).unwrap();
        assert_eq!(written, r#"{"Invoices":[{"Type":"ACCREC","LineItems":[{"UnitAmount":10.50}]}]}"#);
    }

    #[test]
    fn everything_that_xero_does_not_like_is_told() {
        let said = r#"{"ErrorNumber":10,"Type":"ValidationException","Message":"A validation exception occurred",
                       "Elements":[{"ValidationErrors":[{"Message":"Account code is not valid"},{"Message":"and more"}]}]}"#;
        let exception: Exception = serde_json::from_str(said).unwrap();
        assert_eq!(exception.told(), "Account code is not valid; and more");
    }
}
