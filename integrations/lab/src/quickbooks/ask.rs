//! Queries, and what has changed.

use super::{NAMES, Quickbooks};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// Things of an answer at most, and if nobody says how many.
const MOST: usize = 1_000;
const USUAL: usize = 100;

/// `where DocNumber = 'R1'`: a field, how it is compared, and with what.
struct Condition {
    field: String,
    how: String,
    values: Vec<String>,
}

/// What a query is made of: words, and texts in quotes, which are marked by a quote before them.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut found, mut word, mut rest) = (vec![], String::new(), text.chars().peekable());
    let end = |word: &mut String, found: &mut Vec<String>| {
        if !word.is_empty() {
            found.push(std::mem::take(word));
        }
    };
    while let Some(letter) = rest.next() {
        match letter {
            '\'' => {
                end(&mut word, &mut found);
                let mut quoted = String::from('\'');
                loop {
                    match rest.next() {
                        Some('\\') => quoted.extend(rest.next()),
                        Some('\'') => break,
                        Some(letter) => quoted.push(letter),
                        None => return Err("a text does not end".to_owned()),
                    }
                }
                found.push(quoted);
            }
            '(' | ')' | ',' => {
                end(&mut word, &mut found);
                found.push(letter.to_string());
            }
            '=' | '<' | '>' => {
                end(&mut word, &mut found);
                let mut sign = letter.to_string();
                sign.extend(rest.next_if_eq(&'='));
                found.push(sign);
            }
            letter if letter.is_whitespace() => end(&mut word, &mut found),
            letter => word.push(letter),
        }
    }
    end(&mut word, &mut found);
    Ok(found)
}

/// Answers `select * from Invoice where … orderby … startposition … maxresults …`.
pub fn query(quickbooks: &Quickbooks, text: &str) -> Result<Map<String, Value>, String> {
    let words = words(text)?;
    let mut rest = words.iter().map(String::as_str).peekable();
    let mut expect = |wanted: &str| match rest.next() {
        Some(word) if word.eq_ignore_ascii_case(wanted) => Ok(()),
        other => Err(format!("expected {wanted} and not {other:?}")),
    };
    for word in ["select", "*", "from"] {
        expect(word)?;
    }
    let wanted = rest.next().unwrap_or_default();
    let name = NAMES.into_iter().find(|name| *name == wanted).ok_or_else(|| format!("no such thing: {wanted}"))?;
    let (mut conditions, mut start, mut most) = (vec![], 1, USUAL);
    while let Some(word) = rest.next() {
        match word.to_lowercase().as_str() {
            "where" | "and" => conditions.push(condition(&mut rest)?),
            "orderby" => drop(rest.next()),
            "asc" | "desc" => {}
            "startposition" => start = number(rest.next())?,
            "maxresults" => most = number(rest.next())?,
            other => return Err(format!("unexpected {other}")),
        }
    }
    if most > MOST || start == 0 {
        return Err("expected at most 1000 results, from the first".to_owned());
    }
    let says_active = conditions.iter().any(|one| one.field == "Active");
    let is_meant = |thing: &&Value| {
        thing["status"] != "Deleted"
            && (says_active || thing["Active"] != false)
            && conditions.iter().all(|one| one.holds(thing))
    };
    let things = quickbooks.things.get(name).into_iter().flat_map(|things| things.values());
    let found: Vec<&Value> = things.filter(is_meant).skip(start - 1).take(most).collect();
    let mut answer = Map::new();
    if !found.is_empty() {
        answer.insert("startPosition".to_owned(), start.into());
        answer.insert("maxResults".to_owned(), found.len().into());
        answer.insert(name.to_owned(), json!(found));
    }
    Ok(answer)
}

fn number(word: Option<&str>) -> Result<usize, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("expected a number and not {word:?}"))
}

fn condition<'w>(rest: &mut impl Iterator<Item = &'w str>) -> Result<Condition, String> {
    let field = rest.next().ok_or("expected a field")?.to_owned();
    let how = rest.next().ok_or("expected how it is compared")?.to_lowercase();
    let value = |word: Option<&str>| match word {
        Some("true") => Ok("true".to_owned()),
        Some("false") => Ok("false".to_owned()),
        Some(text) if text.starts_with('\'') => Ok(text[1..].to_owned()),
        other => Err(format!("expected a text in quotes and not {other:?}")),
    };
    let mut values = vec![];
    match how.as_str() {
        "in" => {
            if rest.next() != Some("(") {
                return Err("expected a list".to_owned());
            }
            loop {
                values.push(value(rest.next())?);
                match rest.next() {
                    Some(",") => {}
                    Some(")") => break,
                    other => return Err(format!("the list does not end: {other:?}")),
                }
            }
        }
        "=" | ">" | ">=" | "<" | "<=" => values.push(value(rest.next())?),
        other => return Err(format!("nothing is compared by {other}")),
    }
    Ok(Condition { field, how, values })
}

impl Condition {
    fn holds(&self, thing: &Value) -> bool {
        let found = self.field.split('.').fold(thing, |thing, part| &thing[part]);
        let found = match found {
            Value::String(text) => text.clone(),
            Value::Object(of) => of.get("value").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Value::Null => return false,
            other => other.to_string(),
        };
        let moment = |text: &str| text.parse::<DateTime<Utc>>().ok();
        self.values.iter().any(|value| {
            let order = match (moment(&found), moment(value)) {
                (Some(found), Some(value)) => found.cmp(&value),
                _ => found.to_lowercase().cmp(&value.to_lowercase()),
            };
            match self.how.as_str() {
                ">" => order.is_gt(),
                ">=" => order.is_ge(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                _ => order.is_eq(),
            }
        })
    }
}

/// What has changed since then, also what was deleted: so much of it as one answer has.
pub fn changes(quickbooks: &Quickbooks, names: &str, since: DateTime<Utc>) -> Vec<Value> {
    let mut left = MOST;
    let mut answers = vec![];
    for name in names.split(',').filter(|name| NAMES.contains(name)) {
        let is_newer = |id: &u64| quickbooks.changed.get(&format!("{name}/{id}")).is_some_and(|at| *at >= since);
        let things = quickbooks.things.get(name).into_iter().flatten();
        let shown = |thing: &Value| match thing["status"] == "Deleted" {
            true => json!({ "Id": thing["Id"], "status": "Deleted", "domain": "QBO", "MetaData": thing["MetaData"] }),
            false => thing.clone(),
        };
        let found: Vec<Value> =
            things.filter(|(id, _)| is_newer(id)).map(|(_, thing)| shown(thing)).take(left).collect();
        left -= found.len();
        answers.push(match found.is_empty() {
            true => json!({}),
            false => json!({ name: found, "startPosition": 1, "maxResults": found.len() }),
        });
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Result<Vec<String>, String> {
        let mut quickbooks = Quickbooks::new();
        for (name, is_active) in [("O'Neill", true), ("Paper \\ Co", true), ("Old", false)] {
            quickbooks.add("Customer", json!({ "DisplayName": name, "Active": is_active }));
        }
        let found = query(&quickbooks, text)?;
        let things = found.get("Customer").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(things.iter().map(|one| one["DisplayName"].as_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn a_query_finds_what_it_asks_for() {
        assert_eq!(ids("select * from Customer").unwrap(), ["O'Neill", "Paper \\ Co"]);
        assert_eq!(ids(r"select * from Customer where DisplayName = 'O\'Neill' maxresults 10").unwrap(), ["O'Neill"]);
        assert_eq!(ids(r"select * from Customer where DisplayName in ('x', 'paper \\ co')").unwrap(), ["Paper \\ Co"]);
        assert_eq!(ids("select * from Customer where Active in (true, false) startposition 3").unwrap(), ["Old"]);
        assert_eq!(ids("select * from Customer where DisplayName = 'none'").unwrap(), [""; 0]);
        for broken in [
            "select * from Nothing",
            "select Id",
            "select * from Customer where A = 'b",
            "select * from Customer maxresults 2000",
        ] {
            assert!(ids(broken).is_err(), "{broken}");
        }
    }
}
