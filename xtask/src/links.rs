//! The documentation's links: every relative link of a Markdown file leads to a file, and its
//! fragment to a heading; every `docs/NAME.md` that a source, config or text names exists.
//!
//! In: the files that git tracks or would track. Addresses on the web are not visited.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Checks the whole repository.
pub(crate) fn check(root: &Path) -> Result<()> {
    let files = listed(root)?;
    let mut texts = BTreeMap::new();
    for file in &files {
        let kept = file
            .extension()
            .is_some_and(|ending| ["md", "rs", "toml"].iter().any(|kept| ending == *kept));
        // The examples below lead nowhere.
        if kept && !file.starts_with("vendor") && file != Path::new(file!()) {
            let text = fs::read_to_string(root.join(file));
            texts.insert(file, text.with_context(|| file.display().to_string())?);
        }
    }
    let mut wrong = Vec::new();
    for (file, text) in &texts {
        let named = mentions(text).map(|name| (name, PathBuf::from(name), ""));
        let folder = file.parent().unwrap_or(Path::new(""));
        let linked = links(text).map(|link| {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                file.to_path_buf()
            } else {
                resolved(&folder.join(path))
            };
            (link, target, fragment)
        });
        let linked = linked.filter(|_| file.extension().is_some_and(|ending| ending == "md"));
        for (link, target, fragment) in named.chain(linked) {
            let exists = files.contains(&target) || files.iter().any(|f| f.starts_with(&target));
            let headed = fragment.is_empty()
                || texts
                    .get(&target)
                    .is_none_or(|text| headings(text).any(|heading| heading == fragment));
            if !exists {
                wrong.push(format!("{}: {link}: no such file", file.display()));
            } else if !headed {
                wrong.push(format!("{}: {link}: no such heading", file.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "links:\n  {}", wrong.join("\n  "));
    Ok(())
}

/// Files that are tracked or would be, relative to `root`.
fn listed(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", output.status);
    let names = String::from_utf8(output.stdout)?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    // A file that was removed and not yet committed is still listed.
    Ok(files.filter(|file| root.join(file).exists()).collect())
}

/// Targets of the relative links and images of a Markdown text, code blocks left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// What a text calls `docs/NAME.md`, wherever it stands.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("docs/").filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let name = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        if before.is_some_and(name) {
            return None;
        }
        let rest = &text[at..];
        let named = &rest[..rest.find(|c| !name(c)).unwrap_or(rest.len())];
        let end = named.find(".md")? + ".md".len();
        Some(&named[..end])
    })
}

/// The fragments of a Markdown text's headings, as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.split("```")
        .step_by(2)
        .flat_map(str::lines)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c => c.is_alphanumeric().then_some(c),
            });
            kept.collect()
        })
}

/// A path without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            component => resolved.push(component),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_are_found_outside_of_code() {
        let text = "[a](b.md) ![c](d/e.svg \"f\")\n```\n[g](h.md)\n```\n[i](https://j) [k](#l-m)";
        let found: Vec<&str> = links(text).collect();
        assert_eq!(found, ["b.md", "d/e.svg", "#l-m"]);
    }

    #[test]
    fn documents_are_named_in_sources() {
        let text =
            "see docs/cameras.md. [x](../docs/boxes.md) target/docs/a.md docs/adr/0001-b.md:3";
        let found: Vec<&str> = mentions(text).collect();
        assert_eq!(found, ["docs/cameras.md", "docs/adr/0001-b.md"]);
    }

    #[test]
    fn headings_become_the_fragments_of_github() {
        let found: Vec<String> = headings("# A b, c: `d`\ntext\n## E-f (2)\n").collect();
        assert_eq!(found, ["a-b-c-d", "e-f-2"]);
    }

    #[test]
    fn broken_links_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let status = Command::new("git").args(args).current_dir(&folder).status();
            assert!(status.unwrap().success());
        };
        git(&["init", "--quiet"]);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.md", "[here](b.md#there)");
        write("b.md", "# There\n");
        check(folder.path()).unwrap();
        write("a.md", "[here](b.md#where) [c](c.md)");
        write("x.rs", "//! See docs/c.md.");
        let error = check(folder.path()).unwrap_err().to_string();
        for wanted in [
            "a.md: b.md#where: no such heading",
            "a.md: c.md: no such file",
            "x.rs: docs/c.md: no such file",
        ] {
            assert!(error.contains(wanted), "{error}");
        }
    }
}
