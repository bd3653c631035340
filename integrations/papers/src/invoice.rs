//! What an invoice or a credit note says, by the terms of EN 16931. All amounts are given: the same ones stand in the PDF and in
//! each XML.

use chrono::NaiveDate;
use kernel::{Currency, LineAmounts, Measure, Money, PostalAddress, Quantity, Tax, TaxAmounts};
use serde::{Deserialize, Serialize};

/// An invoice or a credit note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// Which of both.
    pub kind: InvoiceKind,
    /// In which language its own words are.
    pub language: Language,
    /// Its number (BT-1).
    pub number: String,
    /// When it was issued (BT-2).
    pub issued_on: NaiveDate,
    /// Until when it is to be paid (BT-9).
    pub due_on: Option<NaiveDate>,
    /// In which currency all of it is (BT-5).
    pub currency: Currency,
    /// What the buyer wants to find it by (BT-10), a Leitweg-ID for authorities in Germany.
    pub buyer_reference: Option<String>,
    /// The buyer's order (BT-13).
    pub order_reference: Option<String>,
    /// The contract that it follows from (BT-12).
    pub contract_reference: Option<String>,
    /// The invoice that a credit note corrects (BG-3).
    pub preceding: Option<PrecedingInvoice>,
    /// What else is said (BT-22).
    pub note: Option<String>,
    /// Who sells (BG-4).
    pub seller: Party,
    /// Who buys (BG-7).
    pub buyer: Party,
    /// The time that it is for (BG-14).
    pub period: Option<Period>,
    /// When and where it was delivered (BG-13); supplies within the European Union must say it.
    pub delivery: Option<Delivery>,
    /// What is charged (BG-25).
    pub lines: Vec<Line>,
    /// Each tax once (BG-23).
    pub taxes: Vec<TaxAmounts>,
    /// Why nothing or less is taxed, for each category that has to say it (BT-120).
    pub exemption_reason: Option<String>,
    /// All lines, without tax (BT-109).
    pub net: Money,
    /// All taxes (BT-110).
    pub tax: Money,
    /// With tax (BT-112).
    pub total: Money,
    /// What was paid before (BT-113).
    pub prepaid: Option<Money>,
    /// What is still to be paid (BT-115).
    pub due: Money,
    /// How it is to be paid (BG-16).
    pub payment: Option<Payment>,
}

impl Invoice {
    /// Can it be an electronic invoice? EN 16931 knows amounts of two decimals at most, so one in Kuwaiti dinars cannot.
    pub fn is_electronic(&self) -> bool {
        self.currency.exponent() <= 2
    }

    /// Is anything of it in this category?
    pub(crate) fn is_outside_scope(&self) -> bool {
        self.taxes.iter().any(|tax| matches!(tax.tax, Tax::OutsideScope {}))
    }
}

/// Which of both it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceKind {
    /// It asks for money.
    Invoice,
    /// It takes an invoice back, whole or in part.
    CreditNote,
}

impl InvoiceKind {
    /// Its code in UNTDID 1001 (BT-3).
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Invoice => "380",
            Self::CreditNote => "381",
        }
    }
}

/// In which language a paper's own words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

/// Who sells or buys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// The name that the law knows (BT-27, BT-44).
    pub name: String,
    /// Where it is (BG-5, BG-8).
    pub address: PostalAddress,
    /// Its number for value-added tax, with the country (BT-31, BT-48).
    pub vat_id: Option<String>,
    /// Its number for other taxes (BT-32); a seller's alone.
    pub tax_number: Option<String>,
    /// Its number in a register (BT-30, BT-47).
    pub registration: Option<String>,
    /// Where it receives papers electronically (BT-34, BT-49).
    pub electronic_address: Option<ElectronicAddress>,
    /// Whom to ask (BG-6, BG-9).
    pub contact: Option<Contact>,
}

/// An electronic address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElectronicAddress {
    /// Its kind in the list EAS: `EM` for an email address.
    pub scheme: String,
    /// The address.
    pub address: String,
}

impl ElectronicAddress {
    /// An email address.
    pub fn email(address: impl Into<String>) -> Self {
        Self { scheme: "EM".to_owned(), address: address.into() }
    }
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub name: Option<String>,
    /// By telephone.
    pub phone: Option<String>,
    /// By email.
    pub email: Option<String>,
}

/// Days from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

/// When and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// When (BT-72).
    pub on: Option<NaiveDate>,
    /// Where, unless at the buyer's (BG-15).
    pub to: Option<PostalAddress>,
}

/// What is charged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What (BT-153).
    pub name: String,
    /// More of it (BT-154).
    pub description: Option<String>,
    /// How much (BT-129).
    pub quantity: Quantity,
    /// Of what (BT-130).
    pub measure: Measure,
    /// What one costs, without tax (BT-146).
    pub unit_price: Money,
    /// How it is taxed (BG-30).
    pub tax: Tax,
    /// What it comes to (BT-131).
    pub amounts: LineAmounts,
    /// The time that it is for (BG-26).
    pub period: Option<Period>,
}

impl Line {
    /// Quantity and price in which no price is less than nothing, which EN 16931 forbids (BR-27): what is taken off is a quantity
    /// below zero.
    pub(crate) fn quantity_and_price(&self) -> (i64, Money) {
        let millionths = self.quantity.millionths();
        if self.unit_price.is_negative() {
            (-millionths, self.unit_price.negated())
        } else {
            (millionths, self.unit_price)
        }
    }
}

/// The invoice that a credit note corrects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecedingInvoice {
    /// Its number (BT-25).
    pub number: String,
    /// When it was issued (BT-26).
    pub issued_on: NaiveDate,
}

/// By transfer to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// Whose it is, if it is not the seller's name (BT-85).
    pub account_name: Option<String>,
    /// The account (BT-84).
    pub iban: String,
    /// The bank (BT-86).
    pub bic: Option<String>,
    /// What the payer is to write (BT-83).
    pub reference: Option<String>,
}
