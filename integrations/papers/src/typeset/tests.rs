use super::*;
use crate::{Language, Signatory};

fn contract(body: &str) -> Document {
    Document {
        language: Language::En,
        title: "Contract".to_owned(),
        parties: vec!["Ada".to_owned()],
        made_on: NaiveDate::from_ymd_opt(2027, 2, 1).unwrap(),
        body: body.to_owned(),
        signatories: vec![Signatory {
            name: "Ada".to_owned(),
            signature_anchor: Some("/s1/".to_owned()),
            date_anchor: None,
        }],
    }
}

#[test]
fn whatever_stands_in_a_text_is_set_and_nothing_is_carried_out() {
    let hostile = "#panic() #read(\"/etc/passwd\") $x$ @ref <label> \\ ] [ ``` # =\n\n* a\n\n| a |\n|---|\n";
    let pdf = Press::default().document(&contract(hostile)).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7"));
}

#[test]
fn what_no_font_has_is_a_question_mark() {
    let press = Press::default();
    let json = press.json(json!({ "a": ["é東\u{1}\n"] }));
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"a":["é??\n"]}"#);
}

#[test]
fn the_same_paper_is_the_same_file() {
    let press = Press::default();
    assert_eq!(press.document(&contract("a")).unwrap(), press.document(&contract("a")).unwrap());
}

#[test]
fn a_template_sees_no_file_of_the_machine() {
    let sheet = |template: &str| {
        Press::default().set(template, vec![], "x".to_owned(), NaiveDate::from_ymd_opt(2027, 2, 1).unwrap())
    };
    let error = sheet("first\n#read(\"/etc/hostname\")").unwrap_err().to_string();
    assert!(error.starts_with("the template: line 2: "), "{error}");
    assert!(sheet("#import \"@preview/cetz:0.3.0\"").is_err());
    assert!(sheet("#datetime.today()").is_err());
}
