//! Debian's `glewlwyd`: a server that is right in its own way.
//!
//! It answers a wrong secret with 403 and an empty body, takes Basic credentials only as they are, and
//! writes `bearer` in lower case. It is set up over its own admin API, by the requests of
//! `tests/servers/glewlwyd/setup.json`; every run starts from an empty database. There are two of its
//! servers in it, `/api/oidc` and `/api/strict`, which have users and clients in common.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client_keys::{self, ClientKeys};
use super::{Ready, Server, free_port, http, read, recipe, run_folder, url, write};
use crate::tools;
use crate::workspace::{Workspace, output};

pub(crate) fn start(workspace: &Workspace, client_keys: &ClientKeys) -> Result<Server> {
    tools::require_programs(&[
        // Its database is a file here, so what would set up MariaDB stays away.
        ("glewlwyd", &["glewlwyd", "dbconfig-sqlite3"]),
        ("sqlite3", &["sqlite3"]),
        ("openssl", &["openssl"]),
    ])?;
    let recipe = recipe(workspace, "glewlwyd");
    let folder = run_folder(workspace, "glewlwyd")?;
    let port = free_port()?;
    let config = folder.join("glewlwyd.conf");
    let text = read(&recipe.join("glewlwyd.conf"))?;
    let text = text.replace("@PORT@", &port.to_string()).replace("@URL@", &url(port));
    write(&config, &text.replace("@FOLDER@", &folder.to_string_lossy()))?;
    create_database(&folder)?;
    let (private_key, public_key) = key_pair(&folder)?;

    let mut glewlwyd = Command::new("glewlwyd");
    glewlwyd.arg(format!("--config-file={}", config.display()));
    let server = Server::start(&glewlwyd, folder, port, Ready::Get("/config"))?;
    let mut fill = vec![
        ("@URL@".to_owned(), url(port)),
        ("@PRIVATE_KEY@".to_owned(), private_key),
        ("@PUBLIC_KEY@".to_owned(), public_key),
    ];
    for (algorithm, public_key) in client_keys.public_keys()? {
        fill.push((format!("@CLIENT_KEY_{algorithm}@"), public_key));
    }
    let mut requests = serde_json::from_str(&read(&recipe.join("setup.json"))?)
        .context("setup.json is not JSON")?;
    fill_in(&mut requests, &fill);
    set_up(port, &requests).inspect_err(|_| server.print_log())?;
    Ok(server)
}

fn create_database(folder: &Path) -> Result<()> {
    let schema = File::open(SCHEMA)
        .with_context(|| format!("{SCHEMA} is missing; reinstall the package glewlwyd"))?;
    let mut sqlite = Command::new("sqlite3");
    output(sqlite.arg(folder.join("glewlwyd.db")).stdin(schema)).map(|_| ())
}

fn key_pair(folder: &Path) -> Result<(String, String)> {
    let private_key = folder.join("private.pem");
    let mut generate = Command::new("openssl");
    generate.args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    output(generate.arg("-out").arg(&private_key))?;
    Ok((read(&private_key)?, client_keys::public_key(&private_key)?))
}

/// Replaces every string that is one of the placeholders, or begins with it.
fn fill_in(value: &mut Value, fill: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (placeholder, with) in fill {
                *text = text.replace(placeholder, with);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, fill)),
        Value::Object(values) => values.values_mut().for_each(|value| fill_in(value, fill)),
        _ => {}
    }
}

fn set_up(port: u16, requests: &Value) -> Result<()> {
    // What the schema creates; the server is this machine's alone and lives for one run.
    let administrator = json!({ "username": "admin", "password": "password" });
    let login = http::post_json(port, "/api/auth/", "", &administrator)?;
    let cookie = login.cookie().context("glewlwyd does not let its administrator in")?;
    for request in requests.as_array().context("setup.json is not a list")? {
        let path = request["post"].as_str().context("a request of setup.json has no `post`")?;
        let mut body = request["body"].clone();
        post(port, path, cookie, &body)?;
        if let Some(differences) = request.get("again_with") {
            merge(&mut body, differences);
            post(port, path, cookie, &body)?;
        }
    }
    Ok(())
}

fn post(port: u16, path: &str, cookie: &str, body: &Value) -> Result<()> {
    let answer = http::post_json(port, path, cookie, body)?;
    if answer.status != 200 {
        bail!("glewlwyd answers {} to {body}: {}", answer.status, answer.body);
    }
    Ok(())
}

fn merge(into: &mut Value, differences: &Value) {
    match (into, differences) {
        (Value::Object(into), Value::Object(differences)) => {
            for (name, difference) in differences {
                merge(into.entry(name).or_insert(Value::Null), difference);
            }
        }
        (into, difference) => *into = difference.clone(),
    }
}

const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
