//! Papers: what a firm sends as a document. An invoice is a PDF/A-3 for people that holds the same as XML for programs (Factur-X),
//! and a file of its own for networks that want UBL; a contract is a PDF with places to sign. Nothing here decides or calculates:
//! what a paper says is given. [`read`] is the
//! other way: what stands on a paper that somebody else sent.

mod cii;
mod document;
mod invoice;
mod labels;
mod markdown;
pub mod read;
mod typeset;
mod ubl;
mod xml;
mod xmp;

pub use cii::cii;
pub use document::{Document, Signatory};
pub use invoice::{
    Contact, Delivery, ElectronicAddress, Invoice, InvoiceKind, Language, Line, Party, Payment, Period,
    PrecedingInvoice,
};
pub use typeset::{Press, TypesetError};
pub use ubl::ubl;

/// What a PDF calls the XML that it holds, as Factur-X 1.0 says.
pub const FACTUR_X: &str = "factur-x.xml";
