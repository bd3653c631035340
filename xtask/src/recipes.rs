//! `cargo xtask recipes`: what CONTRIBUTING.md tells people to do is done as it stands there, in a copy of the checkout, so that the
//! page and the house cannot differ.
//!
//! One recipe builds upon another, so all of them go into one copy before anything is built. The copy stays where it is: what has not
//! changed since the last time is not compiled again.

mod page;

use crate::command::{Workspace, capture, run_ok, stop_if_interrupted};
use crate::generate::{files, files_below};
use crate::steps::{heading, seconds};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use page::Recipe;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Which recipes to try.
#[derive(Args)]
pub struct RecipesArguments {
    /// Run only what these say, such as `command`, upon everything that stands before them on the page.
    only: Vec<String>,
    /// Only count files; build and run nothing.
    #[arg(long)]
    count: bool,
}

/// Every file of a checkout.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Does the recipes.
pub fn run(workspace: &Workspace, arguments: &RecipesArguments) -> Result<ExitCode> {
    let mut recipes = read(workspace)?;
    if let Some(unknown) = arguments.only.iter().find(|only| recipes.iter().all(|recipe| recipe.name != **only)) {
        let known: Vec<_> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
        bail!("no recipe {unknown:?}: expected one of {}", known.join(", "));
    }
    let chosen = |recipe: &Recipe| arguments.only.is_empty() || arguments.only.contains(&recipe.name);
    let last = recipes.iter().rposition(chosen).map_or(0, |last| last + 1);
    recipes.truncate(last);
    count(workspace, &recipes)?;
    if !arguments.count {
        attempt(workspace, &recipes, &chosen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails if a recipe touches other files than it promises.
pub fn check(workspace: &Workspace) -> Result<()> {
    count(workspace, &read(workspace)?)
}

fn read(workspace: &Workspace) -> Result<Vec<Recipe>> {
    let page = fs::read_to_string(workspace.root.join("CONTRIBUTING.md"))?;
    page::recipes(&page).context("CONTRIBUTING.md")
}

/// Counts what each recipe touches, without writing anything.
fn count(workspace: &Workspace, recipes: &[Recipe]) -> Result<()> {
    let mut tree = files(&workspace.root)?;
    let mut wrong = vec![];
    for recipe in recipes {
        let before = tree.clone();
        write(recipe, &mut tree)?;
        match promise_broken(recipe, &before, &tree) {
            None => println!("✓ {}: {} new, {} edited", recipe.name, recipe.new, recipe.edited),
            Some(sentence) => wrong.push(sentence),
        }
    }
    if !wrong.is_empty() {
        bail!("CONTRIBUTING.md:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

/// Writes what the recipe says into a tree.
fn write(recipe: &Recipe, tree: &mut Tree) -> Result<()> {
    for edit in &recipe.edits {
        let path = PathBuf::from(&edit.path);
        let before = tree.get(&path).map(|content| String::from_utf8_lossy(content));
        let after = edit.applied(before.as_deref()).with_context(|| format!("the recipe {:?}", recipe.name))?;
        tree.insert(path, after.into_bytes());
    }
    Ok(())
}

/// What is wrong with the number of files that a recipe promises.
fn promise_broken(recipe: &Recipe, before: &Tree, after: &Tree) -> Option<String> {
    let touched = || after.iter().filter(|(path, content)| before.get(*path) != Some(*content)).map(|(path, _)| path);
    let new = touched().filter(|path| !before.contains_key(*path)).count();
    let edited = touched().count() - new;
    if (new, edited) == (recipe.new, recipe.edited) {
        return None;
    }
    let names: Vec<String> = touched().map(|path| path.display().to_string()).collect();
    let Recipe { name, new: promised_new, edited: promised_edited, .. } = recipe;
    Some(format!(
        "the recipe {name:?} promises {promised_new} new and {promised_edited} edited files, and touches {new} and {edited}: {}",
        names.join(", ")
    ))
}

/// Does the recipes in the copy, and runs what the chosen ones say.
fn attempt(workspace: &Workspace, recipes: &[Recipe], chosen: &dyn Fn(&Recipe) -> bool) -> Result<()> {
    let copy = Copy::of(workspace)?;
    let mut commands: Vec<&str> = vec![];
    for command in recipes.iter().filter(|recipe| chosen(recipe)).flat_map(|recipe| &recipe.commands) {
        if !commands.contains(&command.as_str()) {
            commands.push(command);
        }
    }
    // What is written comes before what is looked at, and a migration before whoever is built with it.
    commands.sort_by_key(|command| (!command.starts_with(MIGRATION), *command != GENERATE));
    copy.become_(&with(workspace, recipes)?)?;
    for command in commands {
        heading(command);
        let begun = Instant::now();
        if let Err(error) = copy.run(command) {
            stop_if_interrupted()?;
            return Err(error.context(blame(workspace, &copy, recipes, command)?));
        }
        println!("✓ {command} ({})", seconds(begun.elapsed()));
    }
    println!("\nevery recipe does what it says, in {}", copy.0.root.display());
    Ok(())
}

const GENERATE: &str = "cargo xtask gen";
const MIGRATION: &str = "cargo xtask migration ";

/// The checkout with these recipes done.
fn with(workspace: &Workspace, recipes: &[Recipe]) -> Result<Tree> {
    let mut tree = files(&workspace.root)?;
    recipes.iter().try_for_each(|recipe| write(recipe, &mut tree))?;
    let manifest = PathBuf::from("Cargo.toml");
    let mut text = String::from_utf8_lossy(tree.get(&manifest).context("no Cargo.toml")?).into_owned();
    for (line, instead) in [
        // A step that was forgotten leaves something behind that nobody uses.
        ("[workspace.lints.rust]\n", "[workspace.lints.rust]\nwarnings = { level = \"deny\", priority = -1 }\n"),
        // Cargo knows the crates of a checkout by name, version and place in it: with our own version, what is built here would
        // be taken for what is built there.
        ("[workspace.package]\nversion = \"", "[workspace.package]\nversion = \"0.0.0-recipes-of-"),
    ] {
        ensure!(text.contains(line), "Cargo.toml has no {line:?}");
        text = text.replace(line, instead);
    }
    tree.insert(manifest, text.into_bytes());
    Ok(tree)
}

/// Says with which recipe a command begins to fail. Whatever is written has to build; other commands are run where a recipe says so.
fn blame(workspace: &Workspace, copy: &Copy, recipes: &[Recipe], command: &str) -> Result<String> {
    let says = |index: &usize| command == GENERATE || recipes[*index].commands.iter().any(|own| own == command);
    let candidates: Vec<usize> = (0..recipes.len()).filter(says).collect();
    let (mut works, mut fails) = (0, candidates.len().checked_sub(1).context("nobody says so")?);
    while works < fails {
        let middle = works.midpoint(fails);
        let upto = &recipes[..=candidates[middle]];
        println!("\n── is it before or after {:?}?", recipes[candidates[middle]].name);
        copy.become_(&with(workspace, upto)?)?;
        let built = copy.run(GENERATE);
        let outcome = if command == GENERATE { built } else { built.and_then(|()| copy.run(command)) };
        stop_if_interrupted()?;
        if outcome.is_ok() { works = middle + 1 } else { fails = middle }
    }
    Ok(format!("the recipe {:?} of CONTRIBUTING.md does not work: `{command}` fails", recipes[candidates[fails]].name))
}

/// The copy, a checkout of its own that is built into our target folder: what is not ours is compiled once.
struct Copy(Workspace, PathBuf);

impl Copy {
    fn of(workspace: &Workspace) -> Result<Self> {
        let metadata = workspace.metadata()?;
        let target = PathBuf::from(metadata["target_directory"].as_str().context("cargo metadata without a target")?);
        Ok(Self(Workspace { root: target.join("recipes") }, target))
    }

    /// Has these files and no other. What is as it should be is not written, so that it is not compiled again.
    fn become_(&self, tree: &Tree) -> Result<()> {
        let root = &self.0.root;
        fs::create_dir_all(root)?;
        let there = files_below(root)?;
        for path in there.keys().filter(|path| !tree.contains_key(*path)) {
            fs::remove_file(root.join(path))?;
            // An empty folder among the crates is taken for one; one that is not empty stays.
            for folder in path.ancestors().skip(1).filter(|folder| folder.components().next().is_some()) {
                fs::remove_dir(root.join(folder)).ok();
            }
        }
        for (path, content) in tree.iter().filter(|(path, content)| there.get(*path) != Some(*content)) {
            let file = root.join(path);
            fs::create_dir_all(file.parent().context("a file without a folder")?)?;
            fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    /// Runs a line of the page as if somebody had typed it there.
    fn run(&self, line: &str) -> Result<()> {
        let (line, into) = line.split_once(" > ").map_or((line, None), |(line, into)| (line, Some(into)));
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = match words.as_slice() {
            ["cargo", "xtask", rest @ ..] => {
                // This very program, which takes the copy for its checkout.
                let mut xtask = Command::new(std::env::current_exe()?);
                xtask.args(rest).env("CARGO_MANIFEST_DIR", self.0.root.join("xtask")).current_dir(&self.0.root);
                xtask
            }
            ["cargo", rest @ ..] => self.0.cargo(rest),
            _ => bail!("only cargo is run, not {line:?}"),
        };
        command.env("CARGO_TARGET_DIR", &self.1);
        match into {
            None => run_ok(command),
            Some(file) => {
                let printed = capture(command)?;
                Ok(fs::write(self.0.root.join(Path::new(file)), printed)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n## A command\n\nFiles: 1 edited.\n\n**src/a.rs**, below `mod a;`:\n```rust\nmod b;\n```\n\n\
                        **src/b.rs**, below `mod a;`:\n```rust\nmod b;\n```\n";

    fn tree() -> Tree {
        ["src/a.rs", "src/b.rs"].map(|path| (PathBuf::from(path), b"mod a;\n".to_vec())).into()
    }

    #[test]
    fn a_recipe_that_promises_one_file_less_than_it_touches_is_named() {
        let recipe = page::recipes(PAGE).unwrap().remove(0);
        let (before, mut after) = (tree(), tree());
        write(&recipe, &mut after).unwrap();
        let expected =
            "the recipe \"command\" promises 0 new and 1 edited files, and touches 0 and 2: src/a.rs, src/b.rs";
        assert_eq!(promise_broken(&recipe, &before, &after).unwrap(), expected);
        let honest = Recipe { edited: 2, ..recipe };
        assert_eq!(promise_broken(&honest, &before, &after), None);
    }

    #[test]
    fn a_recipe_whose_place_is_gone_is_named() {
        let recipe = page::recipes(PAGE).unwrap().remove(0);
        let error = write(&recipe, &mut Tree::new()).unwrap_err();
        assert!(format!("{error:#}").contains("\"command\": src/a.rs is not there"), "{error:#}");
    }

    #[test]
    fn the_page_keeps_what_the_house_promises() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let workspace = Workspace { root };
        let recipes = read(&workspace).unwrap();
        // At most so many files, new and edited.
        for (name, most) in
            [("command", 1), ("event", 2), ("aggregate", 7), ("domain", 4 + 6), ("table", 2), ("reaction", 2)]
        {
            let recipe = recipes.iter().find(|recipe| recipe.name == name).unwrap();
            assert!(recipe.new + recipe.edited <= most, "{name}");
        }
        check(&workspace).unwrap();
    }
}
