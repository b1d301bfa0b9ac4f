//! An OAuth2 and OpenID Connect server for tests, as a program of its own.
//!
//! It is the fake server of `tokenkeeper-testkit` at a fixed port, for tests in any language. Its
//! README says how it is used.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the person at a shell")]

mod admin;
mod clock;
mod command;
mod fault;
mod flags;
mod settings;
mod tls;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::Builder;

use crate::admin::Admin;
use crate::clock::MovedClock;
use crate::flags::Flags;
use crate::settings::Settings;

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<()> {
    let settings = Settings::of(flags)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = MovedClock::default();
        let front = tls::bind(&settings).await?;
        let port = match &front {
            Some(front) => front.port()?,
            None => settings.port,
        };
        let builder = settings.builder(port)?.clock(clock.clone());
        let server = match &front {
            // Behind TLS the server itself takes any free port of this machine.
            Some(_) => builder.try_start(),
            None => builder.address((settings.host, port).into()).try_start(),
        };
        let server = server.with_context(|| {
            format!("cannot listen at {}:{port}; --port chooses another port", settings.host)
        })?;
        let server = Arc::new(server);
        if let Some(front) = front {
            front.serve(server.address());
        }
        println!("issuer {}", server.issuer());
        if let Some(port) = settings.admin_port {
            let admin = Admin { server: Arc::clone(&server), clock };
            let address = admin::start((settings.admin_host, port).into(), admin).await?;
            println!("admin http://{address}");
        }
        println!("ready");
        until_told_to_stop().await
    })
}

/// By Ctrl+C, or by SIGTERM: in a container this is process 1, which no signal ends by itself.
async fn until_told_to_stop() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
