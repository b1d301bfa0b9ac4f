//! Clients of other projects as users of the fake server: openid-client of npm, authlib of PyPI.
//!
//! What they do is in `tests/servers/openid-client` and `tests/servers/authlib`.

use std::process::Command;

use anyhow::Result;

use crate::servers::fake_server::{self, FakeServer};
use crate::servers::{node, python};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let program = fake_server::build(workspace)?;
    let openid_client = node::install(workspace, "openid-client", &["check.mjs"])?;
    let authlib = python::install(workspace, "authlib", &["check.py"])?;

    let mut node = Command::new("node");
    node.arg(openid_client.join("check.mjs"));
    let server = FakeServer::start(workspace, &program)?;
    // What the program trusts is in an environment variable, as it is for its users.
    node.env("NODE_EXTRA_CA_CERTS", server.certificate());
    use_server(&mut node, &server)?;

    let mut python = python::command(&authlib);
    python.arg(authlib.join("check.py"));
    let server = FakeServer::start(workspace, &program)?;
    python.env("REQUESTS_CA_BUNDLE", server.certificate());
    use_server(&mut python, &server)
}

fn use_server(client: &mut Command, server: &FakeServer) -> Result<()> {
    client.env("ISSUER", server.issuer()).env("ADMIN", server.admin());
    run(client).inspect_err(|_| server.print_log())
}
