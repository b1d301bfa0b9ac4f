//! The fake server as a program of its own, with TLS and a certificate that it makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Ready, Server, free_port, run_folder};
use crate::workspace::{Workspace, output};

/// A running one, which ends with this value.
#[derive(Debug)]
pub(crate) struct FakeServer {
    /// By its admin endpoint, which speaks plain HTTP.
    admin: Server,
    port: u16,
    certificate: PathBuf,
}

/// Builds the program, and gives its path.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let arguments = ["build", "--locked", "--package", PACKAGE, "--message-format", "json"];
    let messages = output(&mut workspace.cargo(&arguments))?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.pointer("/target/name")?.as_str()?;
        let executable = message.get("executable")?.as_str()?;
        (name == PACKAGE).then(|| PathBuf::from(executable))
    });
    executable.context("cargo built no tokenkeeper-fake-server")
}

impl FakeServer {
    /// With the clients of `tests/servers/fake-server.toml`.
    pub(crate) fn start(workspace: &Workspace, program: &Path) -> Result<Self> {
        let (port, admin_port) = (free_port()?, free_port()?);
        let folder = run_folder(workspace, &format!("fake-server-{port}"))?;
        let certificate = folder.join("certificate.pem");
        let settings = folder.join("settings.toml");
        fs::copy(workspace.root().join("tests/servers/fake-server.toml"), &settings)
            .context("cannot copy fake-server.toml")?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&settings);
        command.args(["--port", &port.to_string(), "--admin-port", &admin_port.to_string()]);
        command.args(["--public-url", &issuer(port), "--tls", "--save-certificate"]);
        command.arg(&certificate);
        let admin = Server::start(&command, folder, admin_port, Ready::Get("/counters"))?;
        Ok(Self { admin, port, certificate })
    }

    pub(crate) fn issuer(&self) -> String {
        issuer(self.port)
    }

    pub(crate) fn admin(&self) -> String {
        self.admin.url()
    }

    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    pub(crate) fn print_log(&self) {
        self.admin.print_log();
    }
}

fn issuer(port: u16) -> String {
    format!("https://localhost:{port}")
}

const PACKAGE: &str = "tokenkeeper-fake-server";
