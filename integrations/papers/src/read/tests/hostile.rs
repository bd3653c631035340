//! What somebody sends who means harm, or whose program is broken: a clear answer, and never a panic.

use super::plain;
use crate::read::{Paper, Unreadable, Unusable, XML_MAX, read};
use crate::{Press, cii, ubl};
use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use proptest::prelude::*;
use std::sync::LazyLock;

static CII: LazyLock<String> = LazyLock::new(|| String::from_utf8(cii(&plain()).unwrap()).unwrap());
static UBL: LazyLock<String> = LazyLock::new(|| String::from_utf8(ubl(&plain()).unwrap()).unwrap());
static PDF: LazyLock<Vec<u8>> = LazyLock::new(|| Press::default().invoice(&plain()).unwrap());

fn changed(xml: &str, from: &str, to: &str) -> Paper {
    assert!(xml.contains(from), "{from}");
    read(xml.replacen(from, to, 1).as_bytes()).unwrap()
}

fn is_damaged(bytes: &[u8]) -> bool {
    matches!(read(bytes), Err(Unreadable::Damaged(_)))
}

#[test]
fn entities_that_grow_or_read_other_files_are_refused_before_anything_is_read() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Invoice>&b;</Invoice>"#;
    let outside = r#"<!DOCTYPE Invoice SYSTEM "file:///etc/passwd"><Invoice/>"#;
    assert_eq!(read(laughs.as_bytes()), Err(Unreadable::Doctype));
    assert_eq!(read(outside.as_bytes()), Err(Unreadable::Doctype));
    assert!(is_damaged(b"<Invoice>&unknown;</Invoice>"));
}

#[test]
fn what_is_too_large_or_too_deep_is_not_read() {
    let long = format!("<Invoice>{}</Invoice>", "x".repeat(XML_MAX));
    assert_eq!(read(long.as_bytes()), Err(Unreadable::TooLarge(XML_MAX)));
    assert!(is_damaged("<a>".repeat(100_000).as_bytes()));
    let wide = format!("<Invoice>{}</Invoice>", "<a/>".repeat(400_000));
    assert!(is_damaged(wide.as_bytes()));
    assert!(matches!(read(&vec![b' '; 21 << 20]), Err(Unreadable::TooLarge(_))));
}

#[test]
fn what_is_cut_off_or_is_something_else_says_so() {
    assert!(is_damaged(&UBL.as_bytes()[..UBL.len() / 2]));
    assert!(is_damaged(b"<Invoice><LegalMonetaryTotal/></Invoice><Invoice/>"));
    assert_eq!(read(b""), Err(Unreadable::UnknownFormat));
    assert_eq!(read(b"Dear Sirs,"), Err(Unreadable::UnknownFormat));
    assert_eq!(read(b"\x89PNG\r\n\x1a\n"), Err(Unreadable::UnknownFormat));
    assert_eq!(read(b"<html/>"), Err(Unreadable::NotAnInvoice("html".to_owned())));
    assert_eq!(read(b"<Invoice/>"), Err(Unreadable::NotAnInvoice("Invoice".to_owned())));
    assert!(read(b"%PDF-1.7\nnothing of one").is_err());
}

#[test]
fn texts_are_read_in_the_encoding_that_they_are_in() {
    let name = |bytes: &[u8]| read(bytes).map(|paper| paper.seller.name.unwrap());
    let expected = Ok("Lovelace & Söhne GmbH".to_owned());
    let latin = UBL.replace("UTF-8", "ISO-8859-1");
    let latin: Vec<u8> = latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    assert_eq!(name(&latin), expected);
    let wide: Vec<u8> = UBL.replace("UTF-8", "UTF-16").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(name(&wide), expected);
    assert_eq!(name(&[&[0xff, 0xfe][..], &wide].concat()), expected);
    assert_eq!(name(&["\u{feff}".as_bytes(), UBL.as_bytes()].concat()), expected);
    let lies: Vec<u8> = UBL.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    assert!(is_damaged(&lies), "it says UTF-8, and is not");
    assert!(is_damaged(UBL.replace("UTF-8", "KLINGON-1").as_bytes()));
}

#[test]
fn other_prefixes_and_spaces_say_the_same() {
    let other =
        UBL.replace("cbc:", "x:").replace("cac:", "y:").replace("xmlns:cbc", "xmlns:x").replace("xmlns:cac", "xmlns:y");
    assert_eq!(read(other.as_bytes()).unwrap(), read(UBL.as_bytes()).unwrap());
    let spaced = UBL.replace("<cbc:ID>R-2027/1</cbc:ID>", "<cbc:ID>\n  R-2027/1 <!-- x --></cbc:ID>");
    assert_eq!(read(spaced.as_bytes()).unwrap(), read(UBL.as_bytes()).unwrap());
}

#[test]
fn sums_that_do_not_add_up_are_told_and_no_bill() {
    let differs = |paper: Paper| matches!(paper.bill(), Err(Unusable::SumsDiffer(_)));
    // 200.00 and 3.33, with 38.00 and 0.23 of tax.
    for (from, to) in [
        ("<ram:GrandTotalAmount>241.56", "<ram:GrandTotalAmount>241.57"),
        ("<ram:DuePayableAmount>241.56", "<ram:DuePayableAmount>1.00"),
        ("<ram:LineTotalAmount>200.00", "<ram:LineTotalAmount>20.00"),
        ("<ram:CalculatedAmount>38.00", "<ram:CalculatedAmount>0.00"),
        ("<ram:TaxBasisTotalAmount>203.33", "<ram:TaxBasisTotalAmount>203.34"),
    ] {
        assert!(differs(changed(&CII, from, to)), "{from}");
    }
    let quantity = "<ram:BilledQuantity unitCode=\"HUR\">2";
    assert!(differs(changed(&CII, quantity, "<ram:BilledQuantity unitCode=\"HUR\">4")), "quantity and price");
    // Each line says another rate than its tax was calculated with.
    let rates = CII.replace("<ram:CalculatedAmount>38.00", "<ram:CalculatedAmount>30.00");
    let rates = rates.replace("EUR\">38.23", "EUR\">30.23").replace("241.56", "233.56");
    assert!(differs(read(rates.as_bytes()).unwrap()));
}

#[test]
fn what_is_missing_or_cannot_be_is_named() {
    let no = |paper: Paper| paper.bill().unwrap_err();
    let currency = "<ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>";
    let unsaid = CII.replace(currency, "").replace(" currencyID=\"EUR\"", "");
    assert_eq!(no(read(unsaid.as_bytes()).unwrap()), Unusable::Missing("currency"));
    // All amounts say it.
    let implied = UBL.replace("<cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>", "");
    assert_eq!(read(implied.as_bytes()).unwrap().currency, Some("EUR".parse().unwrap()));
    let unknown = changed(&CII, currency, "<ram:InvoiceCurrencyCode>XQQ</ram:InvoiceCurrencyCode>");
    assert!(matches!(no(unknown), Unusable::Wrong("currency", _)));
    let two = UBL.replace("PayableAmount currencyID=\"EUR\"", "PayableAmount currencyID=\"USD\"");
    assert_eq!(no(read(two.as_bytes()).unwrap()), Unusable::TwoCurrencies("EUR".to_owned(), "USD".to_owned()));
    let number = changed(&CII, "<ram:ID>R-2027/1</ram:ID>", "");
    assert_eq!(no(number), Unusable::Missing("number"));
    let comma = changed(&CII, "<ram:GrandTotalAmount>241.56", "<ram:GrandTotalAmount>241,56");
    assert_eq!(no(comma), Unusable::Wrong("total", "241,56".to_owned()));
    let day = changed(&CII, ">20270201<", ">20271301<");
    assert_eq!(no(day), Unusable::Wrong("day", "20271301".to_owned()));
    let huge = CII.replace("241.56", "999999999999999999");
    assert!(matches!(no(read(huge.as_bytes()).unwrap()), Unusable::Wrong(..)));
    assert_eq!(no(changed(&CII, ">380<", ">389<")), Unusable::SelfBilled);
    assert_eq!(no(changed(&UBL, ">380<", ">381<")), Unusable::CreditNote);
}

/// A PDF with this attached.
fn attached(name: &str, stream: Stream) -> Vec<u8> {
    let mut document = Document::with_version("1.7");
    let file = document.add_object(stream);
    let files: Dictionary = dictionary! { "F" => file };
    let specification = dictionary! {
        "Type" => "Filespec", "F" => Object::string_literal(name), "UF" => Object::string_literal(name), "EF" => files,
    };
    let specification = document.add_object(specification);
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "AF" => vec![specification.into()] });
    document.trailer.set("Root", catalog);
    let mut bytes = vec![];
    document.save_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_pdf_holds_the_invoice_under_any_name_and_what_unpacks_without_end_is_refused() {
    let plain = Stream::new(Dictionary::new(), CII.as_bytes().to_vec());
    assert!(read(&attached("invoice of may.xml", plain)).unwrap().bill().is_ok());
    let mut bomb = Stream::new(Dictionary::new(), vec![b' '; XML_MAX + 1_000]);
    bomb.compress().unwrap();
    let bomb = attached("factur-x.xml", bomb);
    assert!(bomb.len() < 100_000, "it is small: {}", bomb.len());
    assert!(matches!(read(&bomb), Err(Unreadable::TooLarge(_))));
    let other = Stream::new(Dictionary::new(), b"<order/>".to_vec());
    assert_eq!(read(&attached("order.xml", other)), Err(Unreadable::NothingInside));
    let damaged = Stream::new(Dictionary::new(), b"<Invoice>".to_vec());
    assert!(is_damaged(&attached("factur-x.xml", damaged)));
}

/// Whatever comes of it, it is an answer.
fn answers(bytes: &[u8]) {
    if let Ok(paper) = read(bytes)
        && let Ok(asked) = paper.bill()
    {
        assert!(asked.total.minor() > 0);
        let all: i128 = asked
            .lines
            .iter()
            .map(|l| i128::from(l.net.minor()) + i128::from(l.tax.map_or(0, kernel::Money::minor)))
            .sum();
        assert!(asked.lines.is_empty() || all == i128::from(asked.total.minor()));
    }
}

fn damaged(of: &[u8], places: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    let mut bytes = of.to_vec();
    for (place, byte) in places {
        let at = place.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(of.len())));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2_000), head in prop::sample::select(vec![
        &b""[..], b"<", b"<?xml version=\"1.0\"?>", b"%PDF-1.7\n", b"\xff\xfe<\0", b"<Invoice><LegalMonetaryTotal>",
    ])) {
        answers(&[head, &bytes].concat());
    }

    #[test]
    fn damaged_xml_never_panics(
        is_ubl: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        answers(&damaged(if is_ubl { UBL.as_bytes() } else { CII.as_bytes() }, &places, cut));
    }

    /// Numbers that are there are others, of any size and shape.
    #[test]
    fn any_numbers_are_an_answer(is_ubl: bool, which in any::<prop::sample::Index>(), number in "-?[0-9]{0,22}(\\.[0-9]{0,10})?") {
        let xml: &str = if is_ubl { &UBL } else { &CII };
        let starts: Vec<usize> = xml.match_indices('>').map(|(at, _)| at + 1)
            .filter(|at| xml[*at..].starts_with(|c: char| c.is_ascii_digit())).collect();
        let at = starts[which.index(starts.len())];
        let end = at + xml[at..].find('<').unwrap();
        answers(format!("{}{number}{}", &xml[..at], &xml[end..]).as_bytes());
    }

    #[test]
    fn a_damaged_pdf_never_panics(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        answers(&damaged(&PDF, &places, cut));
    }
}
