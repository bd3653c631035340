//! No circle between the modules of a crate: it can be read from its ground up, and each file understood by those below it.
//!
//! Compared are the modules that stand side by side, each with whatever is in it. A module and those inside it are one thing.

use super::tree::{code, files, folder, packages, read, root};
use proc_macro2::{Delimiter, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const GROUND_UP: &str = "A crate is read from its ground up.";

/// Crates that still have circles, each with the modules that are in them. It only gets shorter.
const CIRCULAR: &[(&str, &[&str])] = &[
    ("domain/identity", &["tenant", "user"]),
    ("domain/kernel", &["aggregate", "context", "flag", "grant", "permission", "postal_address", "values"]),
    ("domain/kernel", &["field", "input", "time"]),
    ("domain/samples", &["generate", "subject", "world"]),
    ("platform/runtime", &["settings", "tls"]),
    ("platform/vault", &["follow", "vault"]),
    ("tests/faults", &["report", "run"]),
    (
        "workflow-engine",
        &[
            "actions",
            "bounds",
            "check",
            "children",
            "crew",
            "denials",
            "document",
            "hand",
            "intake",
            "plan",
            "publish",
            "schedules",
            "schema",
            "tasks",
            "turn",
            "waits",
            "worker",
        ],
    ),
];

/// `["server", "work"]`; the crate's root is empty.
type Name = Vec<String>;

/// What a module says of others: from where a path starts, and the path.
type Said = (Name, Name);

/// The modules of a crate, and what each says of others.
#[derive(Default)]
struct Modules {
    said: BTreeMap<Name, Vec<Said>>,
    /// What a module passes on under a name of its own.
    passed_on: BTreeMap<(Name, String), Said>,
}

impl Modules {
    /// Of the crate in a folder.
    fn of(folder: &Path) -> Self {
        let source = folder.join("src");
        let paths = files(&source, ".rs").into_iter();
        Self::new(paths.map(|path| (path.strip_prefix(&source).expect("below it").to_path_buf(), read(&path))))
    }

    fn new(sources: impl Iterator<Item = (impl AsRef<Path>, String)>) -> Self {
        let mut modules = Self::default();
        for (path, text) in sources {
            let path = path.as_ref().with_extension("");
            let mut name: Name = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let last = name.last().map(String::as_str);
            // Programs beside the library are crates of their own, and tests look at anything.
            if name.first().is_some_and(|first| first == "bin") || last == Some("tests") {
                continue;
            }
            if last == Some("mod") || name.len() == 1 && matches!(last, Some("lib" | "main")) {
                name.pop();
            }
            modules.said.entry(name.clone()).or_default();
            modules.walk(&code(&text).into_iter().collect::<Vec<_>>(), &name, &name);
        }
        modules
    }

    /// Notes every path that tokens in `file` name, in the module `here`, which may be inside it.
    fn walk(&mut self, tokens: &[TokenTree], file: &Name, here: &Name) {
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            let word = ident(tokens, index).unwrap_or_default();
            let is_start = index < 2 || !(is(tokens, index - 1, ':') && is(tokens, index - 2, ':'));
            let base = match word.as_str() {
                "crate" => Some(vec![]),
                "self" => Some(here.clone()),
                "super" => Some(parent(here)),
                _ => None,
            };
            match (token, base) {
                (TokenTree::Group(group), _) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    let is_module = index > 1 && ident(tokens, index - 2).as_deref() == Some("mod");
                    let name = ident(tokens, index.saturating_sub(1)).filter(|_| is_module);
                    let here = here.iter().cloned().chain(name).collect();
                    self.walk(&inner, file, &here);
                }
                (_, Some(mut base)) if is_start && is(tokens, index + 1, ':') && is(tokens, index + 2, ':') => {
                    index += 3;
                    while ident(tokens, index).as_deref() == Some("super") && is(tokens, index + 1, ':') {
                        base.pop();
                        index += 3;
                    }
                    let is_public = is_passed_on(tokens, index);
                    for path in tree(tokens, &mut index) {
                        if let (true, Some(name)) = (is_public, path.last()) {
                            self.passed_on.insert((here.clone(), name.clone()), (base.clone(), path.clone()));
                        }
                        self.said.entry(file.clone()).or_default().push((base.clone(), path));
                    }
                    continue;
                }
                _ if word == "use" && ident(tokens, index + 1).is_some_and(|next| !is_keyword(&next)) => {
                    index += 1;
                    let is_public = is_passed_on(tokens, index);
                    for path in tree(tokens, &mut index) {
                        if let (true, Some(name)) = (is_public, path.last()) {
                            self.passed_on.insert((here.clone(), name.clone()), (here.clone(), path.clone()));
                        }
                        self.said.entry(file.clone()).or_default().push((here.clone(), path));
                    }
                    continue;
                }
                _ => {}
            }
            index += 1;
        }
    }

    /// The module that a path leads to.
    fn target(&self, (base, path): &Said, hops: usize) -> Name {
        let mut at = base.clone();
        for (index, part) in path.iter().enumerate() {
            let further: Name = at.iter().chain([part]).cloned().collect();
            if self.said.contains_key(&further) {
                at = further;
            } else if let Some((base, passed)) = self.passed_on.get(&(at.clone(), part.clone()))
                && hops < 8
            {
                let rest = passed.iter().chain(&path[index + 1..]).cloned().collect();
                return self.target(&(base.clone(), rest), hops + 1);
            } else {
                break;
            }
        }
        at
    }

    /// The circles of modules side by side, each as their names in order.
    fn circles(&self) -> Vec<Vec<String>> {
        let levels: BTreeSet<Name> = self.said.keys().filter(|name| !name.is_empty()).map(parent).collect();
        levels.iter().flat_map(|level| self.circles_in(level)).collect()
    }

    fn circles_in(&self, level: &Name) -> Vec<Vec<String>> {
        let side = |name: &Name| name.strip_prefix(level.as_slice()).and_then(|rest| rest.first()).cloned();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, said) in &self.said {
            let Some(from) = side(from) else { continue };
            let to = said.iter().filter_map(|said| side(&self.target(said, 0))).filter(|to| *to != from);
            edges.entry(from.clone()).or_default().extend(to);
        }
        let mut reached = edges.clone();
        // Until nobody reaches anybody more.
        loop {
            let further: BTreeMap<String, BTreeSet<String>> = reached
                .iter()
                .map(|(from, to)| {
                    let beyond = to.iter().filter_map(|next| reached.get(next)).flatten();
                    (from.clone(), to.iter().chain(beyond).cloned().collect())
                })
                .collect();
            if further == reached {
                break;
            }
            reached = further;
        }
        let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
        let circle = |name: &String| reached.keys().filter(|o| reaches(name, o) && reaches(o, name)).cloned().collect();
        let circles: BTreeSet<Vec<String>> = reached.keys().map(circle).filter(|c: &Vec<String>| c.len() > 1).collect();
        circles.into_iter().collect()
    }
}

fn parent(name: &Name) -> Name {
    name.split_last().map_or_else(Vec::new, |(_, rest)| rest.to_vec())
}

fn ident(tokens: &[TokenTree], index: usize) -> Option<String> {
    match tokens.get(index) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn is(tokens: &[TokenTree], index: usize, sign: char) -> bool {
    matches!(tokens.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "crate" | "self" | "super")
}

/// Does the `use` that stands before this index begin with `pub`, or with `pub(crate)`?
fn is_passed_on(tokens: &[TokenTree], index: usize) -> bool {
    let begin = tokens[..index].iter().rposition(|token| token.to_string() == "use");
    let before = begin.and_then(|begin| begin.checked_sub(1));
    let is_statement = begin.is_some_and(|begin| !tokens[begin..index].iter().any(|token| token.to_string() == ";"));
    is_statement
        && before.is_some_and(|before| match &tokens[before] {
            TokenTree::Group(_) => before > 0 && ident(tokens, before - 1).as_deref() == Some("pub"),
            token => token.to_string() == "pub",
        })
}

/// The paths of a tree such as `a::{b, c::d}`, from `index` on, which is moved behind it.
fn tree(tokens: &[TokenTree], index: &mut usize) -> Vec<Name> {
    let mut path = Name::new();
    loop {
        match tokens.get(*index) {
            Some(TokenTree::Ident(word)) => {
                path.push(word.to_string());
                *index += 1;
                if !(is(tokens, *index, ':') && is(tokens, *index + 1, ':')) {
                    return vec![path];
                }
                *index += 2;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                *index += 1;
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let branches = inner.split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ','));
                let branches = branches.flat_map(|branch| tree(branch, &mut 0));
                return branches.map(|branch| path.iter().cloned().chain(branch).collect()).collect();
            }
            _ => return vec![path],
        }
    }
}

fn of(sources: &[(&str, &str)]) -> Vec<Vec<String>> {
    Modules::new(sources.iter().map(|(path, text)| (*path, (*text).to_owned()))).circles()
}

#[test]
fn no_crate_has_a_circle_of_modules() {
    let (mut found, mut mended) = (vec![], vec![]);
    for package in packages() {
        let folder = folder(&package);
        let circles = Modules::of(&root().join(&folder)).circles();
        let known: Vec<_> = CIRCULAR.iter().filter(|(name, _)| *name == folder).map(|(_, circle)| *circle).collect();
        let new = circles.iter().filter(|circle| !known.iter().any(|known| circle == known));
        found.extend(new.map(|circle| format!("{folder}: {} know each other, but: {GROUND_UP}", circle.join(", "))));
        let old = known.iter().filter(|known| !circles.iter().any(|circle| circle == *known));
        mended.extend(old.map(|circle| format!("{folder}: {}", circle.join(", "))));
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(mended.is_empty(), "these circles are gone, so CIRCULAR says too much: {mended:#?}");
}

#[test]
fn a_circle_is_found_however_it_is_spelt() {
    let circle = [["problem".to_owned(), "server".to_owned()].to_vec()];
    let library = ("lib.rs", "mod problem; mod server; pub use problem::Problem; pub use self::server::listen;");
    for problem in [
        "use crate::server::listen;",
        "use crate::{server, std::fmt};",
        "use super::server::listen as hear;",
        "use crate::listen;",
        "fn f() { let x = crate::server::listen(super::Problem); }",
        "macro_rules! m { () => { $crate::server::listen() } }",
        "mod inside { use super::super::server::listen; }",
    ] {
        let server = ("server/mod.rs", "mod work; pub fn listen() {}");
        let work = ("server/work.rs", "use crate::Problem;");
        assert_eq!(of(&[library, ("problem.rs", problem), server, work]), circle, "{problem}");
    }
}

#[test]
fn what_is_no_circle_is_allowed() {
    let library = ("lib.rs", "mod a; mod b; pub use a::A; pub fn root() {}");
    for (a, b) in [
        ("use crate::b::B;", "use crate::root; use self::inner::C; mod inner { use super::X; }"),
        ("use crate::b::B; /// See [`crate::b`].\nfn f() {}", "/// `crate::a`\npub struct B;"),
        ("use crate::b::B;", "#[cfg(test)] mod tests { use crate::a::A; } pub struct B;"),
        ("use crate::b::B;", "use other::a::A; use ::a::A; pub struct B;"),
        ("mod c; use self::c::C; pub struct A;", "use crate::a::A;"),
    ] {
        assert_eq!(of(&[library, ("a.rs", a), ("b.rs", b)]), Vec::<Vec<String>>::new(), "{a} | {b}");
    }
    let inside = [("lib.rs", "mod a;"), ("a/mod.rs", "mod c; use c::C; pub struct A;"), ("a/c.rs", "use super::A;")];
    assert_eq!(of(&inside), Vec::<Vec<String>>::new(), "a module and what is inside it are one thing");
}
