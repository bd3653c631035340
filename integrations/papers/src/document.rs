//! A document of several pages of text, with places to sign: a contract or a proposal.

use crate::invoice::Language;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// A document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// In which language its own words are.
    pub language: Language,
    /// What it is called.
    pub title: String,
    /// Whose it is, each in a line of its own.
    pub parties: Vec<String>,
    /// When it was made.
    pub made_on: NaiveDate,
    /// The text, as CommonMark with tables. HTML in it is shown as it is written, images by what stands for them.
    pub body: String,
    /// Who is to sign, in order.
    pub signatories: Vec<Signatory>,
}

/// Who is to sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signatory {
    /// The name under the line.
    pub name: String,
    /// Texts in the paper's colour that a signing service finds its places by: where the signature goes, and where the date.
    pub signature_anchor: Option<String>,
    /// See above.
    pub date_anchor: Option<String>,
}
