//! The book in `docs/`: it can be built, and every link between its pages, and from the README, leads
//! somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::tools;
use crate::workspace::{Workspace, output, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let files =
        output(Command::new("git").current_dir(workspace.root()).args(["ls-files", "*.md"]))?;
    let pages: Vec<PathBuf> = files.lines().map(|file| workspace.root().join(file)).collect();
    let mut broken = Vec::new();
    for page in &pages {
        broken.extend(broken_links(page)?);
    }
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n{}", broken.join("\n"));
    }
    println!("{} pages, every link leads somewhere", pages.len());
    let program = tools::mdbook(workspace)?;
    run(Command::new(program).current_dir(workspace.root()).args(["build", "docs"]))
}

/// A line for each link of the page to a file or heading that does not exist.
fn broken_links(page: &Path) -> Result<Vec<String>> {
    let text = read(page)?;
    let mut broken = Vec::new();
    for link in links(&text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue; // other people's pages are not ours to test
        }
        let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
        let folder = page.parent().context("a page has no folder")?;
        let target = if path.is_empty() { page.to_path_buf() } else { folder.join(path) };
        let is_page = target.extension().is_some_and(|extension| extension == "md");
        let found = target.exists()
            && (heading.is_empty()
                || !is_page
                || headings(&read(&target)?).contains(&slug(heading)));
        if !found {
            broken.push(format!("{}: {link}", page.display()));
        }
    }
    Ok(broken)
}

fn read(page: &Path) -> Result<String> {
    fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))
}

fn links(text: &str) -> Vec<String> {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let target = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        _ => None,
    };
    parser.filter_map(target).collect()
}

/// The anchors of all headings of a page.
fn headings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), _) => found.extend(heading.take().map(|h| slug(&h))),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            _ => {}
        }
    }
    found
}

/// The anchor that renderers make of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_pictures_are_found_in_text_and_tables_and_not_in_code() {
        let text =
            "[a](one.md#x) ![b](two.svg)\n\n| t |\n|---|\n| [c](three.md) |\n\n`[d](four.md)`";

        assert_eq!(links(text), ["one.md#x", "two.svg", "three.md"]);
    }

    #[test]
    fn headings_become_the_anchors_that_renderers_make() {
        let text = "# What `it` is, briefly\n\ntext\n\n## Two-step\n";

        assert_eq!(headings(text), ["what-it-is-briefly", "two-step"]);
    }
}
