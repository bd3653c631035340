//! Sets papers with Typst. A template sees the paper as data, and nothing of the machine: no file, no network, no clock.

use crate::document::Document;
use crate::invoice::{Invoice, InvoiceKind, Line, Party};
use crate::{FACTUR_X, cii, markdown, xmp};
use chrono::{Datelike, NaiveDate};
use kernel::PostalAddress;
use serde_json::{Value, json};
use std::sync::Arc;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World, WorldExt};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

const INVOICE: &str = include_str!("templates/invoice.typ");
const DOCUMENT: &str = include_str!("templates/document.typ");
/// Where a template finds its paper.
const PAPER: &str = "paper.json";

/// Sets papers. Cloning it is cheap; what it has of fonts is shared.
#[derive(Clone)]
pub struct Press(Arc<Type>);

/// What papers are set with.
struct Type {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

/// Why a paper was not set.
#[derive(Debug, thiserror::Error)]
pub enum TypesetError {
    /// A template is wrong, or asks for what a paper does not have.
    #[error("the template: {0}")]
    Template(String),
    /// The PDF could not be written.
    #[error("the PDF: {0}")]
    Pdf(String),
    /// What the PDF says of itself could not be written.
    #[error("the PDF's metadata")]
    Metadata(#[from] lopdf::Error),
}

impl Press {
    /// With the fonts that come along, and others besides, as TrueType or OpenType.
    pub fn new(others: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let own = typst_assets::fonts().map(Bytes::new);
        let fonts: Vec<_> = own.chain(others.into_iter().map(Bytes::new)).flat_map(Font::iter).collect();
        let book = LazyHash::new(FontBook::from_fonts(&fonts));
        Self(Arc::new(Type { library: LazyHash::new(Library::default()), book, fonts }))
    }

    /// An invoice as PDF/A-3b that holds the same as XML, if it [can](Invoice::is_electronic): Factur-X 1.0 in the profile EN 16931.
    ///
    /// # Errors
    /// If it cannot be set, which is a fault.
    pub fn invoice(&self, invoice: &Invoice) -> Result<Vec<u8>, TypesetError> {
        self.invoice_by(INVOICE, invoice)
    }

    /// The same by a template of a firm's own, which finds the paper in `/paper.json` and, where that says `is_electronic`, has
    /// to attach `/factur-x.xml`.
    ///
    /// # Errors
    /// If the template is wrong.
    pub fn invoice_by(&self, template: &str, invoice: &Invoice) -> Result<Vec<u8>, TypesetError> {
        let xml = cii(invoice);
        let is_electronic = xml.is_some();
        let mut files = vec![(PAPER, self.json(shown(invoice)))];
        files.extend(xml.map(|xml| (FACTUR_X, xml)));
        let ident = format!("{}/{}", invoice.seller.name, invoice.number);
        let pdf = self.set(template, files, ident, invoice.issued_on)?;
        if is_electronic { Ok(xmp::says_factur_x(&pdf)?) } else { Ok(pdf) }
    }

    /// A document as PDF/A-3b.
    ///
    /// # Errors
    /// If it cannot be set, which is a fault.
    pub fn document(&self, document: &Document) -> Result<Vec<u8>, TypesetError> {
        let language = document.language;
        let paper = json!({
            "labels": language.labels(),
            "language": language.code(),
            "title": document.title,
            "parties": document.parties,
            "made_on": language.day(document.made_on),
            "body": markdown::tree(&document.body),
            "signatories": document.signatories,
        });
        self.set(DOCUMENT, [(PAPER, self.json(paper))].into(), document.title.clone(), document.made_on)
    }

    fn set(
        &self,
        template: &str,
        files: Vec<(&'static str, Vec<u8>)>,
        ident: String,
        day: NaiveDate,
    ) -> Result<Vec<u8>, TypesetError> {
        let main = path("main.typ").map_err(|e| TypesetError::Template(e.to_string()))?;
        let files = files.into_iter().map(|(name, bytes)| (name, Bytes::new(bytes))).collect();
        let sheet = Sheet { of: &self.0, main: Source::new(main, template.to_owned()), files };
        let set: PagedDocument =
            typst::compile(&sheet).output.map_err(|errors| TypesetError::Template(sheet.said(&errors)))?;
        let standards =
            PdfStandards::new(&[PdfStandard::A_3b]).map_err(|e| TypesetError::Pdf(e.message().to_string()))?;
        let moment = u8::try_from(day.month()).ok().zip(u8::try_from(day.day()).ok());
        let moment = moment.and_then(|(month, day_of)| Datetime::from_ymd_hms(day.year(), month, day_of, 0, 0, 0));
        let options = PdfOptions {
            ident: Smart::Custom(ident),
            creator: Smart::Custom(Some("UBOS".to_owned())),
            timestamp: moment.map(Timestamp::new_utc),
            page_ranges: None,
            standards,
            tagged: true,
            pretty: false,
        };
        let pdf = typst_pdf::pdf(&set, &options).map_err(|errors| TypesetError::Pdf(sheet.said(&errors)));
        // What was set is not set again: nothing is gained by remembering it.
        comemo::evict(0);
        pdf
    }

    /// The data of a paper. What no font has would make the PDF invalid, and stands there as a question mark.
    fn json(&self, mut paper: Value) -> Vec<u8> {
        self.replace(&mut paper);
        paper.to_string().into_bytes()
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.chars().any(|c| !self.has(c)) => {
                *text = text.chars().map(|c| if self.has(c) { c } else { '?' }).collect();
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.replace(field)),
            _ => {}
        }
    }

    fn has(&self, c: char) -> bool {
        matches!(c, '\n' | '\t' | ' '..='~')
            || (!c.is_control() && self.0.fonts.iter().any(|font| font.info().coverage.contains(u32::from(c))))
    }
}

impl Default for Press {
    fn default() -> Self {
        Self::new([])
    }
}

/// What Typst sees while it sets one paper.
struct Sheet<'a> {
    of: &'a Type,
    main: Source,
    files: Vec<(&'static str, Bytes)>,
}

impl Sheet<'_> {
    /// What is wrong, and in which line of the template.
    fn said(&self, errors: &[SourceDiagnostic]) -> String {
        let line =
            |error: &SourceDiagnostic| self.range(error.span).and_then(|at| self.main.lines().byte_to_line(at.start));
        let said = |error: &SourceDiagnostic| match line(error) {
            Some(line) => format!("line {}: {}", line + 1, error.message),
            None => error.message.to_string(),
        };
        errors.iter().map(said).collect::<Vec<_>>().join("; ")
    }
}

impl World for Sheet<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.of.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.of.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let named = self.files.iter().find(|(name, _)| path(name).is_ok_and(|path| path == id));
        named.map(|(_, bytes)| bytes.clone()).ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.of.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn path(name: &str) -> Result<FileId, typst::syntax::PathError> {
    VirtualPath::new(name).map(|path| RootedPath::new(VirtualRoot::Project, path).intern())
}

/// An invoice as a template sees it: every amount and day is a text already.
fn shown(invoice: &Invoice) -> Value {
    let language = invoice.language;
    let title = match invoice.kind {
        InvoiceKind::Invoice => language.labels().invoice,
        InvoiceKind::CreditNote => language.labels().credit_note,
    };
    let period = |period: crate::Period| format!("{} – {}", language.day(period.from), language.day(period.to));
    let line = |line: &Line| {
        json!({
            "name": line.name,
            "description": line.description,
            "quantity": format!("{} {}", language.number(&line.quantity.to_string()), language.measure(line.measure)).trim(),
            "unit_price": language.amount(line.unit_price),
            "tax": language.tax(line.tax),
            "net": language.amount(line.amounts.net),
            "period": line.period.map(period),
        })
    };
    let tax = |tax: &kernel::TaxAmounts| {
        json!({
            "tax": language.tax(tax.tax),
            "net": language.amount(tax.net),
            "amount": language.amount(tax.amount),
            "reason": crate::cii::exemption(invoice, tax.tax),
        })
    };
    let payment = invoice.payment.as_ref().map(|payment| {
        json!({ "iban": grouped(&payment.iban), "bic": payment.bic, "name": payment.account_name, "reference": payment.reference })
    });
    json!({
        "labels": language.labels(),
        "language": language.code(),
        "is_electronic": invoice.is_electronic(),
        "title": title,
        "number": invoice.number,
        "issued_on": language.day(invoice.issued_on),
        "due_on": invoice.due_on.map(|day| language.day(day)),
        "period": invoice.period.map(period),
        "delivered_on": invoice.delivery.as_ref().and_then(|delivery| delivery.on).map(|day| language.day(day)),
        "buyer_reference": invoice.buyer_reference,
        "order_reference": invoice.order_reference,
        "contract_reference": invoice.contract_reference,
        "preceding": invoice.preceding.as_ref().map(|one| format!("{} ({})", one.number, language.day(one.issued_on))),
        "note": invoice.note,
        "seller": party(&invoice.seller),
        "buyer": party(&invoice.buyer),
        "lines": invoice.lines.iter().map(line).collect::<Vec<_>>(),
        "taxes": invoice.taxes.iter().map(tax).collect::<Vec<_>>(),
        "net": language.amount(invoice.net),
        "total": language.amount(invoice.total),
        "prepaid": invoice.prepaid.map(|amount| language.amount(amount)),
        "due": language.amount(invoice.due),
        "payment": payment,
    })
}

fn party(party: &Party) -> Value {
    json!({
        "name": party.name,
        "address": address(&party.address),
        "vat_id": party.vat_id,
        "tax_number": party.tax_number,
        "registration": party.registration,
        "contact": party.contact,
    })
}

fn address(address: &PostalAddress) -> Vec<String> {
    let line2 = address.line2.as_ref().map(ToString::to_string);
    let city = [address.postal_code.as_ref().map(ToString::to_string), Some(address.city.to_string())];
    let city = city.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let region = address.region.as_ref().map(ToString::to_string);
    let lines = [Some(address.line1.to_string()), line2, Some(city), region, Some(address.country.to_string())];
    lines.into_iter().flatten().collect()
}

/// In groups of four, as people read it.
fn grouped(iban: &str) -> String {
    let signs: Vec<char> = iban.chars().filter(|c| !c.is_whitespace()).collect();
    signs.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
