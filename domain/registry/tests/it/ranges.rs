//! What the contract says of values that a column or a reader must be able to hold.

use crate::schemas::Schemas;
use samples::subjects;
use serde_json::Value;

/// Every day and moment of the contract is one of the years that everything can hold: `kernel::Date` and
/// `kernel::Timestamp`, never a bare one of `chrono`.
#[test]
fn every_date_and_time_says_its_range() {
    let mut bare = vec![];
    for entry in subjects().iter().flat_map(|subject| subject.commands()) {
        without_range(&Value::from((entry.schema)()), entry.name.to_owned(), &mut bare);
    }
    for (name, schema) in Schemas::texts() {
        // Versions that are no longer written are read by upcasters.
        without_range(&schema, name, &mut bare);
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

fn without_range(schema: &Value, at: String, bare: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let format = fields.get("format").and_then(Value::as_str);
            if matches!(format, Some("date" | "date-time")) && !fields.contains_key("pattern") {
                bare.push(at.clone());
            }
            fields.iter().for_each(|(name, inner)| without_range(inner, format!("{at}/{name}"), bare));
        }
        Value::Array(items) => items.iter().for_each(|item| without_range(item, at.clone(), bare)),
        _ => {}
    }
}
