//! The shape of the workspace: which crate may use which, and no ring of modules within one.
//!
//! Reads `Cargo.toml` files and the paths of every source file (`crate::`, `super::`, `self::`,
//! child modules and the crate's own name). Of the modules of one folder, files and folders of one name taken together,
//! none may use itself by way of others. A module and what lies in it may use each other. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use syn::visit::{self, Visit};

/// Which crates of the workspace a crate may use; tests and examples may use `fixtures` as well.
const CRATES: [(&str, &[&str]); 13] = [
    ("cli", &[]),
    ("network", &[]),
    ("pages", &[]),
    ("kernels", &["network"]),
    ("retrieval", &["network"]),
    ("media", &[]),
    ("synth", &["media", "retrieval"]),
    (
        "runtime",
        &["cli", "kernels", "media", "network", "pages", "retrieval"],
    ),
    (
        "trainer",
        &[
            "cli",
            "kernels",
            "media",
            "network",
            "pages",
            "retrieval",
            "synth",
        ],
    ),
    ("fixtures", &["media", "network", "runtime"]),
    ("fuzz", &["media", "network", "runtime", "trainer"]),
    ("v4l2-sys-mit", &[]),
    ("xtask", &[]),
];

/// Checks the whole workspace.
pub(crate) fn check(root: &Path) -> Result<()> {
    let manifest = table(&root.join("Cargo.toml"))?;
    let members = manifest["workspace"]["members"]
        .as_array()
        .context("workspace.members is a list")?;
    let folders: Vec<PathBuf> = members
        .iter()
        .filter_map(toml::Value::as_str)
        .map(|member| root.join(member))
        .collect();
    let mut wrong = Vec::new();
    for folder in &folders {
        let manifest = table(&folder.join("Cargo.toml"))?;
        let name = manifest["package"]["name"]
            .as_str()
            .context("package.name is text")?;
        wrong.extend(arrows(name, &manifest));
        let source = folder.join("src");
        if source.exists() {
            wrong.extend(rings_in(name, &source)?.into_iter().map(|ring| {
                format!(
                    "a ring of modules: {ring}\n    move what both need into a module below both"
                )
            }));
        }
    }
    ensure!(wrong.is_empty(), "layout:\n  {}", wrong.join("\n  "));
    Ok(())
}

fn table(path: &Path) -> Result<toml::Table> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// Dependencies on crates of the workspace that `CRATES` does not have.
fn arrows(name: &str, manifest: &toml::Table) -> Vec<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "crate {name} is not in CRATES of xtask/src/layout.rs"
        )];
    };
    let used = |key: &str| {
        let table = manifest.get(key).and_then(toml::Value::as_table);
        table.into_iter().flat_map(|table| table.keys().cloned())
    };
    let ours = |dependency: &String| CRATES.iter().any(|(known, _)| known == dependency);
    let normal = used("dependencies").chain(used("build-dependencies"));
    let tests = used("dev-dependencies")
        .filter(|dependency| dependency != "fixtures" && dependency != name);
    normal
        .chain(tests)
        .filter(ours)
        .filter(|dependency| {
            !allowed.contains(&dependency.as_str()) && dependency != "v4l2-sys-mit"
        })
        .map(|dependency| {
            format!(
                "crate {name} uses {dependency}, which CRATES of xtask/src/layout.rs does not allow"
            )
        })
        .collect()
}

/// A module by its path from the crate's root: `["plan", "step"]`.
type Module = Vec<String>;

/// Rings among the modules of a crate, as `name: a -> b -> a`.
fn rings_in(name: &str, source: &Path) -> Result<Vec<String>> {
    let mut files = BTreeMap::new();
    collect(source, &[], &mut files)?;
    let modules: BTreeSet<Module> = files.keys().cloned().collect();
    // For each folder: which of its modules uses which.
    let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, path) in &files {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        let mut uses = Uses {
            name,
            modules: &modules,
            here: module.clone(),
            found: BTreeSet::new(),
        };
        uses.visit_file(&file);
        for other in uses.found {
            let common = module
                .iter()
                .zip(&other)
                .take_while(|(a, b)| a == b)
                .count();
            if let (Some(from), Some(to)) = (module.get(common), other.get(common)) {
                folders
                    .entry(module[..common].to_vec())
                    .or_default()
                    .entry(from.clone())
                    .or_default()
                    .insert(to.clone());
            }
        }
    }
    let mut rings = Vec::new();
    for (folder, arrows) in folders {
        let place: String = folder.iter().map(|part| format!("::{part}")).collect();
        rings.extend(
            components(&arrows)
                .into_iter()
                .map(|ring| format!("{name}{place}: {}", ring.join(", "))),
        );
    }
    Ok(rings)
}

/// The source files of a crate by module; `main.rs` and `lib.rs` are both the root.
fn collect(folder: &Path, module: &[String], files: &mut BTreeMap<Module, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.with_context(|| format!("{}: not UTF-8", path.display()))?;
        let child = [module, &[stem.to_owned()]].concat();
        if path.is_dir() {
            collect(&path, &child, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && stem != "tests"
            && stem != "fixtures"
        {
            let root = module.is_empty() && ["lib", "main"].contains(&stem);
            // Of a program with a library, the library is what others use.
            if !(root && stem == "main") {
                files.insert(if root { Vec::new() } else { child }, path);
            }
        }
    }
    Ok(())
}

/// The modules that a file uses.
struct Uses<'a> {
    name: &'a str,
    modules: &'a BTreeSet<Module>,
    here: Module,
    found: BTreeSet<Module>,
}

impl Uses<'_> {
    /// Takes a path of names, as in `crate::plan::step::Step`.
    fn path(&mut self, path: &[String]) {
        let mut at = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some(name) if name == self.name => Vec::new(),
            Some("self" | "super") => self.here.clone(),
            // A module of this one.
            Some(name) => {
                let child = [self.here.as_slice(), &[name.to_owned()]].concat();
                if !self.modules.contains(&child) {
                    return;
                }
                self.here.clone()
            }
            None => return,
        };
        for (i, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" | "self" => {}
                part if i == 0 && part == self.name => {}
                "super" => {
                    at.pop();
                }
                part => {
                    at.push(part.to_owned());
                    if !self.modules.contains(&at) {
                        at.pop();
                        break;
                    }
                }
            }
        }
        if at != self.here {
            self.found.insert(at);
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Name(name) => self.leaf(before, &name.ident),
            syn::UseTree::Rename(name) => self.leaf(before, &name.ident),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
        }
    }

    fn leaf(&mut self, before: &[String], name: &syn::Ident) {
        self.path(&[before, &[name.to_string()]].concat());
    }
}

impl<'a> Visit<'a> for Uses<'_> {
    fn visit_item(&mut self, item: &'a syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            let names: Vec<_> = path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            self.path(&names);
        }
        visit::visit_path(self, path);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item is there in tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test")
        }
        meta => meta.path().is_ident("test"),
    })
}

/// Sets of names that reach each other, each sorted.
fn components(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let mut found = BTreeSet::new();
        let mut next = vec![from];
        while let Some(name) = next.pop() {
            for to in arrows.get(name).into_iter().flatten() {
                if found.insert(to.clone()) {
                    next.push(to);
                }
            }
        }
        found
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|name| (name, reached(name))).collect();
    let mut rings = BTreeSet::new();
    for (name, others) in &reach {
        if others.contains(*name) {
            let ring: Vec<String> = others
                .iter()
                .filter(|other| reach.get(other).is_some_and(|back| back.contains(*name)))
                .cloned()
                .collect();
            rings.insert(ring);
        }
    }
    rings.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings of a crate `demo` with these files in `src`.
    fn rings(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        rings_in("demo", folder.path()).unwrap()
    }

    #[test]
    fn rings_are_found_whatever_form_a_path_has() {
        let a = "pub struct A;";
        let cases = [
            (
                "use",
                "use crate::b::B;",
                "use super::a::{A, Other as Another};",
            ),
            ("its own name", "use demo::b;", "use crate::a;"),
            (
                "an expression",
                "fn f() { crate::b::g() }",
                "fn g() { let _ = super::a::A; }",
            ),
            (
                "a type",
                "fn f(_: crate::b::B) {}",
                "impl From<super::a::A> for B {}",
            ),
            ("a glob", "use super::b::*;", "use super::a::*;"),
        ];
        for (name, from_a, from_b) in cases {
            let found = rings(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", &format!("{a} {from_a}")),
                ("b.rs", &format!("pub struct B; {from_b}")),
            ]);
            assert_eq!(found, ["demo: a, b"], "{name}");
        }
    }

    #[test]
    fn folders_count_as_their_module_at_each_level() {
        let found = rings(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "mod x; mod y;"),
            ("a/x.rs", "use super::y::Y; use crate::b::inner::I;"),
            ("a/y.rs", "use super::x::X;"),
            ("b.rs", "mod inner; use crate::c;"),
            ("b/inner.rs", ""),
            ("c.rs", "use crate::a::y;"),
        ]);
        assert_eq!(found, ["demo: a, b, c", "demo::a: x, y"]);
    }

    #[test]
    fn parents_children_and_tests_make_no_ring() {
        let found = rings(&[
            ("lib.rs", "mod a; mod b; pub struct Error; use a::A;"),
            ("a.rs", "use crate::Error; use crate::b::B; mod inner;"),
            ("a/inner.rs", "use super::A;"),
            ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
            ("b/tests.rs", "use crate::a::A;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn only_arrows_of_the_table_are_allowed() {
        let arrows = |name, text: &str| arrows(name, &toml::from_str(text).unwrap()).len();
        let cases = [
            (
                "runtime",
                "[dependencies]\nkernels = { path = \"\" }\nserde = \"1\"",
                0,
            ),
            ("kernels", "[dependencies]\nruntime = { path = \"\" }", 1),
            (
                "kernels",
                "[dev-dependencies]\ntrainer = { path = \"\" }\nfixtures = { path = \"\" }",
                1,
            ),
            ("new", "", 1),
        ];
        for (name, text, wanted) in cases {
            assert_eq!(arrows(name, text), wanted, "{name}: {text}");
        }
    }
}
