//! Proves which crate depends on which.
//!
//! What one member of the workspace may use of another is a table, [`MAY_USE`]; what core must never
//! pull in, however indirectly, is a list, [`NOT_IN_CORE`]. A crate under `crates/` that the table does
//! not know is an error, so that a new crate gets its line on the day it is born.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::logins;
use crate::workspace::{Workspace, output};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata =
        output(&mut workspace.cargo(&["metadata", "--locked", "--format-version", "1"]))?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let everything = ["--all-features", "--target", "all", "--edges", "normal,build"];
    let usual = ["--edges", "normal"];

    let mut wrong = wrong_arrows(&members(&metadata)?);
    let pulled = tree(workspace, &everything)?;
    wrong.extend(pulled.iter().filter(|name| forbidden_in_core(name)).map(|name| {
        format!("{CORE} pulls in {name}; `cargo tree -p {CORE} -i {name} --all-features` shows how")
    }));
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }

    println!("{CORE} stands on {} crates, itself included", tree(workspace, &usual)?.len());
    logins::check(workspace)
}

/// A package of the workspace, with its dependencies on other packages of the workspace.
#[derive(Debug)]
struct Member {
    name: String,
    /// Under `crates/`: what users get.
    published: bool,
    uses: Vec<Use>,
}

#[derive(Debug)]
struct Use {
    name: String,
    dev: bool,
    /// A version is asked for, not only a path.
    versioned: bool,
}

fn members(metadata: &Value) -> Result<Vec<Member>> {
    let root = text(metadata, "workspace_root")?;
    let packages = list(metadata, "packages")?.iter();
    // A path dependency says `source: null`, and so does a member.
    packages
        .filter(|package| package["source"].is_null())
        .map(|package| member(package, root))
        .collect()
}

fn member(package: &Value, root: &str) -> Result<Member> {
    let manifest = text(package, "manifest_path")?;
    let inside = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches(['/', '\\']);
    let mut uses = Vec::new();
    for dependency in list(package, "dependencies")? {
        if dependency["path"].is_string() {
            uses.push(Use {
                name: text(dependency, "name")?.to_owned(),
                dev: dependency["kind"] == "dev",
                versioned: text(dependency, "req")? != "*",
            });
        }
    }
    Ok(Member {
        name: text(package, "name")?.to_owned(),
        published: inside.starts_with("crates"),
        uses,
    })
}

fn wrong_arrows(members: &[Member]) -> Vec<String> {
    let published: BTreeSet<&str> = members
        .iter()
        .filter(|member| member.published)
        .map(|member| member.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for Member { name, published: is_published, uses } in members {
        let may_use = MAY_USE.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, to)| *to);
        if *is_published && may_use.is_none() {
            wrong.push(format!("{name} is not in the table of arrows; add a line for it"));
        }
        for used in uses {
            let to = &used.name;
            if to == TESTKIT && used.versioned {
                wrong.push(format!("{name} asks for a version of {to}; give its path alone"));
            }
            if !is_published {
                continue;
            }
            if !published.contains(to.as_str()) {
                wrong.push(format!("{name} is for users and depends on {to}, which is not"));
            } else if to == TESTKIT && !used.dev && name != FAKE_SERVER {
                wrong.push(format!("{name} depends on {to} otherwise than as a dev-dependency"));
            } else if !used.dev && may_use.is_some_and(|may_use| !may_use.contains(&to.as_str())) {
                wrong.push(format!("{name} must not depend on {to}"));
            }
        }
    }
    wrong
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn forbidden_in_core(name: &str) -> bool {
    NOT_IN_CORE.iter().any(|pattern| matches(pattern, name))
}

/// The names of all packages that core is built from, each version counted once.
fn tree(workspace: &Workspace, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let mut cargo = workspace.cargo(&["tree", "--locked", "--package", CORE, "--prefix", "none"]);
    Ok(crates_of_tree(&output(cargo.args(["--format", "{p}"]).args(arguments))?))
}

/// `name v1.2.3 (/path) (*)` and the like, one a line, as `name` or, for a second version of the same
/// name, `name v1.2.4`.
fn crates_of_tree(tree: &str) -> BTreeSet<String> {
    let mut crates = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        if seen.insert((name, version)) && !crates.insert(name.to_owned()) {
            crates.insert(format!("{name} {version}"));
        }
    }
    crates
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| format!("cargo metadata has no text `{field}`"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value[field].as_array().with_context(|| format!("cargo metadata has no list `{field}`"))
}

const CORE: &str = "tokenkeeper";
const TESTKIT: &str = "tokenkeeper-testkit";
const FAKE_SERVER: &str = "tokenkeeper-fake-server"; // the testkit's server as a program

/// Who may use whom, outside of tests. A trailing `*` stands for any rest of the name.
const MAY_USE: &[(&str, &[&str])] = &[
    (CORE, &[]),
    ("tokenkeeper-providers", &[CORE]),
    ("tokenkeeper-mangadex", &[CORE, "tokenkeeper-providers"]),
    ("tokenkeeper-loopback", &[CORE, "tokenkeeper-providers"]),
    ("tokenkeeper-storage-*", &[CORE]),
    ("tokenkeeper-http", &[CORE]),
    ("tokenkeeper-jwt", &[CORE, "tokenkeeper-providers"]),
    ("tokenkeeper-dpop", &[CORE, "tokenkeeper-http", "tokenkeeper-jwt", "tokenkeeper-providers"]),
    ("tokenkeeper-reqwest", &[CORE, "tokenkeeper-http", "tokenkeeper-providers"]),
    ("tokenkeeper-tower", &[CORE, "tokenkeeper-http"]),
    (TESTKIT, &[CORE]),
    (FAKE_SERVER, &[CORE, TESTKIT]),
];

/// HTTP clients, TLS, the protocol, and stores: each belongs to a crate above core.
const NOT_IN_CORE: &[&str] = &[
    "attohttpc",
    "aws-lc-*",
    "boring*",
    "curl*",
    "fred",
    "h2",
    "h3",
    "hyper*",
    "isahc",
    "minreq",
    "native-tls",
    "oauth2",
    "openidconnect",
    "openssl*",
    "quinn*",
    "redis*",
    "reqwest*",
    "ring",
    "rustls*",
    "schannel",
    "security-framework*",
    "surf",
    "tokio-native-tls",
    "tokio-rustls",
    "tower*",
    "ureq*",
    "webpki*",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The complaints about one dependency of one package, in a workspace of five.
    fn complaints(from: &str, dependency: Value) -> Vec<String> {
        let package = |folder: &str, name: &str| {
            let dependencies = if name == from { vec![dependency.clone()] } else { Vec::new() };
            json!({
                "name": name,
                "source": null,
                "manifest_path": format!("/repo/{folder}/Cargo.toml"),
                "dependencies": dependencies,
            })
        };
        let metadata = json!({
            "workspace_root": "/repo",
            "packages": [
                package("crates/core", "tokenkeeper"),
                package("crates/providers", "tokenkeeper-providers"),
                package("crates/storage-file", "tokenkeeper-storage-file"),
                package("crates/testkit", "tokenkeeper-testkit"),
                package("tests", "tokenkeeper-tests"),
                { "name": "url", "source": "elsewhere" },
            ],
        });
        wrong_arrows(&members(&metadata).unwrap())
    }

    fn dependency(name: &str, kind: Option<&str>, req: &str) -> Value {
        json!({ "name": name, "kind": kind, "req": req, "path": "/repo/somewhere" })
    }

    #[test]
    fn an_arrow_of_the_table_is_fine_in_its_direction_only() {
        let with = complaints("tokenkeeper-providers", dependency("tokenkeeper", None, "^0.1.0"));
        let against =
            complaints("tokenkeeper", dependency("tokenkeeper-providers", None, "^0.1.0"));
        let across = complaints(
            "tokenkeeper-storage-file",
            dependency("tokenkeeper-providers", None, "^0.1.0"),
        );
        let building =
            complaints("tokenkeeper", dependency("tokenkeeper-providers", Some("build"), "*"));

        assert_eq!(with, [""; 0]);
        assert_eq!(against, ["tokenkeeper must not depend on tokenkeeper-providers"]);
        assert_eq!(across, ["tokenkeeper-storage-file must not depend on tokenkeeper-providers"]);
        assert_eq!(building, ["tokenkeeper must not depend on tokenkeeper-providers"]);
    }

    #[test]
    fn the_testkit_is_a_dev_dependency_by_path_alone() {
        let good = complaints("tokenkeeper", dependency("tokenkeeper-testkit", Some("dev"), "*"));
        let versioned =
            complaints("tokenkeeper", dependency("tokenkeeper-testkit", Some("dev"), "^0.1.0"));
        let normal =
            complaints("tokenkeeper-providers", dependency("tokenkeeper-testkit", None, "*"));

        assert_eq!(good, [""; 0]);
        assert_eq!(versioned.len(), 1);
        assert_eq!(normal.len(), 1);
    }

    #[test]
    fn an_unpublished_member_uses_what_it_likes_and_is_used_by_anonymous() {
        let uses = complaints("tokenkeeper-tests", dependency("tokenkeeper-testkit", None, "*"));
        let used = complaints("tokenkeeper", dependency("tokenkeeper-tests", Some("dev"), "*"));

        assert_eq!(uses, [""; 0]);
        assert_eq!(used.len(), 1);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_an_error() {
        let stranger =
            Member { name: "tokenkeeper-new".to_owned(), published: true, uses: Vec::new() };

        assert_eq!(wrong_arrows(&[stranger]).len(), 1);
    }

    #[test]
    fn a_tree_counts_every_version_once() {
        let tree = "tokenkeeper v0.1.0 (/repo/crates/core)\nsyn v2.0.1 (proc-macro)\nsyn v2.0.1 (*)\n\nsyn v3.0.0\n";

        let crates = crates_of_tree(tree);

        assert_eq!(crates.len(), 3);
    }

    #[test]
    fn clients_and_tls_are_forbidden_in_core_and_vocabulary_is_not() {
        for name in
            ["reqwest", "hyper-util", "rustls", "native-tls", "oauth2", "ureq", "redis", "ring"]
        {
            assert!(forbidden_in_core(name), "{name}");
        }
        for name in ["http", "tokio", "sha2", "serde_json", "url"] {
            assert!(!forbidden_in_core(name), "{name}");
        }
    }
}
