//! The recipes as `CONTRIBUTING.md` has them: how many files each promises, what goes where, and what is run at the end.

use anyhow::{Context, Result, bail, ensure};
use std::iter::Peekable;
use std::str::Lines;

/// A section of the page that promises a number of files.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What it makes: `command`.
    pub name: String,
    /// Files that are there afterwards and were not before.
    pub new: usize,
    /// Files that were there and are not as they were.
    pub edited: usize,
    /// What a person writes.
    pub edits: Vec<Edit>,
    /// What is run when it is written.
    pub commands: Vec<String>,
}

/// One piece of text, and where it goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file, from the root of the checkout.
    pub path: String,
    /// Where in it.
    pub place: Place,
    /// What, with the newline at its end.
    pub text: String,
}

/// Where a text goes. A line is named by itself or by a part of it that no other line has.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Into a file of its own.
    NewFile,
    /// After a line.
    Below(String),
    /// Before a line.
    Above(String),
    /// In the place of a line.
    InsteadOf(String),
    /// Before the line that closes what a line opens.
    EndOf(String),
}

/// Every recipe of the page, in its order.
///
/// # Errors
/// If a recipe is not written as the others are; it is named.
pub fn recipes(page: &str) -> Result<Vec<Recipe>> {
    let sections = page.split("\n## ").skip(1);
    let recipes = sections.filter(|section| section.contains("\nFiles: "));
    recipes.map(|section| recipe(section).with_context(|| format!("the recipe {:?}", name(section)))).collect()
}

/// `command` of `A command`.
fn name(section: &str) -> &str {
    let heading = section.lines().next().unwrap_or_default();
    heading.trim_start_matches("A ").trim_start_matches("An ")
}

fn recipe(section: &str) -> Result<Recipe> {
    let mut recipe = Recipe { name: name(section).to_owned(), new: 0, edited: 0, edits: vec![], commands: vec![] };
    let mut place = None;
    let mut lines = section.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(promise) = line.strip_prefix("Files: ") {
            (recipe.new, recipe.edited) = promised(promise)?;
        } else if let Some(language) = line.strip_prefix("```") {
            let text = fenced(&mut lines)?;
            match place.take() {
                Some((path, place)) => recipe.edits.push(Edit { path, place, text }),
                None if language == "sh" => recipe.commands.extend(text.lines().map(str::to_owned)),
                None => bail!("a block of {language} says not where it goes:\n{text}"),
            }
        } else if lines.peek().is_some_and(|next| next.starts_with("```") && *next != "```sh") {
            place = Some(placed(line)?);
        }
    }
    Ok(recipe)
}

/// `2 new, 4 edited.`
fn promised(text: &str) -> Result<(usize, usize)> {
    let (mut new, mut edited) = (0, 0);
    for part in text.trim_end_matches('.').split(", ") {
        let (count, of) = part.split_once(' ').unwrap_or((part, ""));
        let count = count.parse().with_context(|| format!("expected a number of files, not {part:?}"))?;
        match of {
            "new" => new = count,
            "edited" => edited = count,
            _ => bail!("expected `2 new, 4 edited.`, not {text:?}"),
        }
    }
    Ok((new, edited))
}

/// The path and the place at the end of a paragraph: ``**Cargo.toml**, below `[dependencies]`:``.
fn placed(line: &str) -> Result<(String, Place)> {
    let wrong = || format!("the line before a block says not where it goes: {line:?}");
    let end = line.rfind("**, ").with_context(wrong)?;
    let start = line[..end].rfind("**").with_context(wrong)? + 2;
    let (path, place) = (&line[start..end], line[end + 4..].trim_end_matches(':'));
    let anchor = |text: &str| text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).map(str::to_owned);
    let named = |word: &str| place.strip_prefix(word).and_then(anchor);
    let place = None
        .or_else(|| place.starts_with("a new file").then_some(Place::NewFile))
        .or_else(|| named("below ").map(Place::Below))
        .or_else(|| named("above ").map(Place::Above))
        .or_else(|| named("instead of ").map(Place::InsteadOf))
        .or_else(|| named("at the end of ").map(Place::EndOf));
    Ok((path.to_owned(), place.with_context(wrong)?))
}

fn fenced(lines: &mut Peekable<Lines<'_>>) -> Result<String> {
    let mut text = String::new();
    for line in lines.by_ref() {
        if line == "```" {
            return Ok(text);
        }
        text.push_str(line);
        text.push('\n');
    }
    bail!("a block has no end")
}

impl Edit {
    /// The file with the text in it; `before` is the file, if there is one.
    ///
    /// # Errors
    /// If the place is not there, or is there twice.
    pub fn applied(&self, before: Option<&str>) -> Result<String> {
        let Self { path, place, text } = self;
        let (anchor, before) = match (place, before) {
            (Place::NewFile, None) => return Ok(text.clone()),
            (Place::NewFile, Some(_)) => bail!("{path} is there already"),
            (_, None) => bail!("{path} is not there"),
            (Place::Below(a) | Place::Above(a) | Place::InsteadOf(a) | Place::EndOf(a), Some(before)) => (a, before),
        };
        let mut lines: Vec<&str> = before.lines().collect();
        let exact = |index: &usize| lines[*index] == anchor;
        let partly = |index: &usize| lines[*index].contains(anchor.as_str());
        let mut found: Vec<usize> = (0..lines.len()).filter(exact).collect();
        if found.is_empty() {
            found = (0..lines.len()).filter(partly).collect();
        }
        ensure!(found.len() == 1, "{path} has {} lines with `{anchor}`, not one", found.len());
        let at = found[0];
        let written: Vec<&str> = text.lines().collect();
        match place {
            Place::InsteadOf(_) => drop(lines.splice(at..=at, written)),
            Place::Below(_) => drop(lines.splice(at + 1..at + 1, written)),
            Place::EndOf(_) => {
                let indent = |line: &str| line.len() - line.trim_start().len();
                let depth = indent(lines[at]);
                let closes = |line: &&str| indent(line) == depth && line.trim_start().starts_with(['}', ')', ']']);
                let end = lines[at..].iter().position(closes);
                let end = at + end.with_context(|| format!("{path}: nothing closes `{anchor}`"))?;
                drop(lines.splice(end..end, written));
            }
            _ => drop(lines.splice(at..at, written)),
        }
        Ok(lines.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(place: Place) -> Edit {
        Edit { path: "src/lib.rs".to_owned(), place, text: "    new\n".to_owned() }
    }

    #[test]
    fn a_recipe_is_read_as_it_is_written() {
        let page = "# Page\n\n## A thing\n\nFiles: 1 new, 2 edited.\n\nWhy. **src/a.rs**, a new file. It is short:\n```rust\nfn a() {}\n```\n\n\
                    **src/lib.rs**, below `mod b;`:\n```rust\nmod a;\n```\n\n```sh\ncargo check\n```\n\n## Style\n\nNothing.\n";
        let edits = vec![
            Edit { path: "src/a.rs".to_owned(), place: Place::NewFile, text: "fn a() {}\n".to_owned() },
            Edit {
                path: "src/lib.rs".to_owned(),
                place: Place::Below("mod b;".to_owned()),
                text: "mod a;\n".to_owned(),
            },
        ];
        let expected =
            Recipe { name: "thing".to_owned(), new: 1, edited: 2, edits, commands: vec!["cargo check".to_owned()] };
        assert_eq!(recipes(page).unwrap(), [expected]);
    }

    #[test]
    fn a_recipe_that_is_written_differently_is_named() {
        for section in [
            "Files: some.\n",
            "Files: 1 new.\n\nHere:\n```rust\nfn a() {}\n```\n",
            "Files: 1 new.\n\n**src/a.rs**, somewhere:\n```rust\nfn a() {}\n```\n",
            "Files: 1 new.\n\n**src/a.rs**, a new file:\n```rust\nfn a() {}\n",
        ] {
            let error = recipes(&format!("# Page\n\n## A thing\n\n{section}")).unwrap_err();
            assert!(error.to_string().contains("thing"), "{section}: {error:#}");
        }
    }

    #[test]
    fn a_text_goes_where_the_page_says() {
        let before = "mod a;\nmod ab;\nfn f() {\n    match x {\n        1 => {}\n    }\n}\n";
        for (place, after) in [
            (Place::Below("mod a;".to_owned()), "mod a;\n    new\nmod ab;\n"),
            (Place::Above("mod ab".to_owned()), "mod a;\n    new\nmod ab;\n"),
            (Place::InsteadOf("mod ab;".to_owned()), "mod a;\n    new\nfn f() {\n"),
            (Place::EndOf("match x {".to_owned()), "        1 => {}\n    new\n    }\n}\n"),
            (Place::EndOf("fn f() {".to_owned()), "    }\n    new\n}\n"),
        ] {
            let edit = edit(place);
            let text = edit.applied(Some(before)).unwrap();
            assert!(text.contains(after), "{edit:?}: {text}");
        }
    }

    #[test]
    fn a_place_that_is_missing_or_there_twice_is_told() {
        for place in [Place::Below("mod c;".to_owned()), Place::Below("mod ".to_owned()), Place::NewFile] {
            assert!(edit(place).applied(Some("mod a;\nmod b;\n")).is_err());
        }
        assert!(edit(Place::Below("mod a;".to_owned())).applied(None).is_err());
    }
}
