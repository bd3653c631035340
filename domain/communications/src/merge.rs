//! Fields of templates: `{{ client_name }}` stands for what is filled in.

use kernel::Slug;
use std::collections::{BTreeMap, BTreeSet};

/// What a template is made of.
enum Part<'a> {
    Text(&'a str),
    Field(Slug),
}

/// The template opens a field that it does not close, or names one that can have no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTemplate;

fn parts(text: &str) -> Result<Vec<Part<'_>>, NoTemplate> {
    let (mut parts, mut rest) = (vec![], text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").ok_or(NoTemplate)?;
        parts.push(Part::Text(before));
        parts.push(Part::Field(name.trim().parse().map_err(|_| NoTemplate)?));
        rest = behind;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// The fields of a template.
pub(crate) fn fields(text: &str) -> Result<BTreeSet<Slug>, NoTemplate> {
    let fields = parts(text)?.into_iter().filter_map(|part| match part {
        Part::Field(name) => Some(name),
        Part::Text(_) => None,
    });
    Ok(fields.collect())
}

/// The template with its fields filled in by what `value` makes of what they hold; the field that has nothing if there is one.
pub(crate) fn fill(
    text: &str,
    values: &BTreeMap<Slug, String>,
    value: impl Fn(&str) -> String,
) -> Result<String, Option<Slug>> {
    let mut filled = String::with_capacity(text.len());
    for part in parts(text).map_err(|NoTemplate| None)? {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Field(name) => match values.get(&name) {
                Some(held) => filled.push_str(&value(held)),
                None => return Err(Some(name)),
            },
        }
    }
    Ok(filled)
}

/// A value as Markdown that reads as it is: what somebody is called makes neither links nor headings.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_stands_between_braces() {
        let found: Vec<String> =
            fields("Hello {{ name }}, {{firm}} and {{ name }}").unwrap().iter().map(Slug::to_string).collect();
        assert_eq!(found, ["firm", "name"]);
        for wrong in ["{{ name", "{{ }}", "{{ Not A Field }}", "{{ a.b }}"] {
            assert_eq!(fields(wrong), Err(NoTemplate), "{wrong}");
        }
        assert_eq!(fields("} } plain { {"), Ok(BTreeSet::new()));
    }

    #[test]
    fn what_is_filled_in_is_text_and_no_template_again() {
        let values = BTreeMap::from([("name".parse().unwrap(), "[{{ name }}](x)".to_owned())]);
        assert_eq!(fill("Hi {{ name }}!", &values, str::to_owned).unwrap(), "Hi [{{ name }}](x)!");
        assert_eq!(fill("Hi {{ name }}!", &values, escaped).unwrap(), r"Hi \[\{\{ name \}\}\]\(x\)!");
        assert_eq!(fill("{{ firm }}", &values, escaped), Err(Some("firm".parse().unwrap())));
    }
}
