//! Programs for Python: their packages are installed from a list of versions into `.servers`, and
//! again when the list changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{read, recipe, write};
use crate::tools;
use crate::workspace::{self, Workspace};

/// Puts the scripts of `tests/servers/<name>` and their packages into a folder, and gives the folder.
pub(crate) fn install(workspace: &Workspace, name: &str, scripts: &[&str]) -> Result<PathBuf> {
    tools::require_programs(&[("python3", &["python3"])])?;
    let home = workspace.ignored(name)?;
    let recipe = recipe(workspace, name);
    for script in scripts {
        fs::copy(recipe.join(script), home.join(script))
            .with_context(|| format!("cannot copy {script}"))?;
    }
    let wanted = read(&recipe.join(LIST))?;
    let installed = home.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(home);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target"]);
    pip.arg(packages(&home)).arg("--requirement").arg(recipe.join(LIST));
    workspace::run(&mut pip).with_context(|| {
        format!(
            "cannot install the packages of {name}; this step needs pip (apt-get install \
             python3-pip) and the network, once"
        )
    })?;
    write(&installed, &wanted)?;
    Ok(home)
}

/// Python, with the packages of this folder.
pub(crate) fn command(home: &Path) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages(home)).env("PYTHONUNBUFFERED", "1");
    python
}

fn packages(home: &Path) -> PathBuf {
    home.join("packages")
}

const LIST: &str = "requirements.txt";
