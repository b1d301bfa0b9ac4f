//! Proves that a program without logins compiles nothing for it.
//!
//! What a crate pulls in when it is asked for with its default features must have none of the
//! features in [`LOGIN_FEATURES`] on and none of the crates in [`LOGIN_CRATES`] in it.

use anyhow::{Result, bail};

use crate::workspace::{Workspace, output};

/// Complains about every crate that pulls in what only logins need.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    for name in FOR_MACHINES {
        let tree = ["tree", "--locked", "--package", name, "--edges", "normal", "--prefix", "none"];
        let tree = output(workspace.cargo(&tree).args(["--format", "{p} [{f}]"]))?;
        wrong.extend(login_parts(&tree).into_iter().map(|part| format!("{name} pulls in {part}")));
    }
    if !wrong.is_empty() {
        bail!("{}; logins are asked for by who wants them", wrong.join("\n"));
    }
    println!("who asks for no login compiles none ({} crates looked at)", FOR_MACHINES.len());
    Ok(())
}

/// What in a tree of `name v1.2.3 (/path) [feature,feature]` is for logins.
fn login_parts(tree: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for line in tree.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if LOGIN_CRATES.contains(&name) {
            parts.push(name.to_owned());
        }
        let features = line.rsplit_once('[').map_or("", |(_, features)| features);
        let features = features.trim_end_matches(" (*)").trim_end_matches(']').split(',');
        if name == PROVIDERS {
            let wanted = features.filter(|feature| LOGIN_FEATURES.contains(feature));
            parts.extend(wanted.map(|feature| format!("{PROVIDERS} with the feature {feature}")));
        }
    }
    parts.sort();
    parts.dedup();
    parts
}

const PROVIDERS: &str = "tokenkeeper-providers";

/// What programs use that only have credentials of their own.
const FOR_MACHINES: &[&str] = &[
    "tokenkeeper",
    PROVIDERS,
    "tokenkeeper-http",
    "tokenkeeper-reqwest",
    "tokenkeeper-tower",
    "tokenkeeper-mangadex",
    "tokenkeeper-storage-encrypted",
    "tokenkeeper-storage-file",
    "tokenkeeper-storage-keyring",
    "tokenkeeper-storage-redis",
];

const LOGIN_FEATURES: &[&str] = &[
    "authorization-code",
    "device",
    "discovery",
    "introspection",
    "jwt-bearer",
    "token-exchange",
    "user-info",
    "__endpoints",
];

const LOGIN_CRATES: &[&str] = &[
    "jsonwebtoken",
    "open",
    "openidconnect",
    "tokenkeeper-dpop",
    "tokenkeeper-jwt",
    "tokenkeeper-loopback",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_and_crates_of_logins_are_found_and_others_are_not() {
        let tree = "tokenkeeper-mangadex v0.1.0 (/a) []\n\
                    tokenkeeper-providers v0.1.0 (/b) [default,device,reqwest] (*)\n\
                    open v5.4.5 []\n\
                    openssl-probe v0.1.6 [default]\n\
                    discovery v1.0.0 [device]";

        let parts = login_parts(tree);

        assert_eq!(parts, ["open", "tokenkeeper-providers with the feature device"]);
    }

    #[test]
    fn a_tree_for_machines_has_no_part_for_logins() {
        let tree = "tokenkeeper-providers v0.1.0 (/b) [__exchange,default,reqwest]\nurl v2.5.8 []";

        assert_eq!(login_parts(tree), [""; 0]);
    }
}
