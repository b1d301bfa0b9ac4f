//! Keycloak, the server behind MangaDex and behind much that people host themselves.
//!
//! Maven fetches it once, into `.servers`. It is built there once (Keycloak calls that its optimized
//! start), and its realms are imported once into a database file. Every run starts from a copy of that
//! file, which saves most of the time that a start takes.
//! `tests/servers/keycloak` has the realms.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Ready, Server, free_port, read, recipe, run_folder, write};
use crate::tools;
use crate::workspace::{self, Workspace, output};

pub(crate) fn start(workspace: &Workspace) -> Result<Server> {
    let home = distribution(workspace)?;
    let template = database(workspace, &home)?;
    let port = free_port()?;
    let folder = run_folder(workspace, "keycloak")?;
    fs::copy(template.join(DATABASE_FILE), folder.join(DATABASE_FILE))
        .context("cannot copy the database of Keycloak")?;
    let mut keycloak = program(&home, "start");
    keycloak.args(["--optimized", "--http-enabled=true", "--hostname-strict=false"]);
    keycloak.args(["--http-host=127.0.0.1", &format!("--http-port={port}")]);
    keycloak.arg(database_url(&folder));
    Server::start_within(READY_WITHIN, &keycloak, folder, port, Ready::Get("/realms/mangadex"))
}

/// The folder of this version, built. It appears under its name when it is complete.
fn distribution(workspace: &Workspace) -> Result<PathBuf> {
    tools::require_programs(&[("java", &["default-jre-headless"])])?;
    require_java_version()?;
    let all = workspace.ignored("keycloak")?;
    let home = all.join(format!("{VERSION}-{BUILD}"));
    if home.exists() {
        return Ok(home);
    }
    tools::require_programs(&[("mvn", &["maven"])])?;
    println!("Keycloak {VERSION} is not here yet; it is fetched (170 MB) and built, once");
    let unpacked = all.join(format!("unpacked-{}", process::id()));
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", UNPACK]);
    maven.arg(format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"));
    maven.arg(option("-DoutputDirectory=", &unpacked));
    maven.arg(option("-Dmdep.unpack.markersDirectory=", &unpacked));
    workspace::run(maven.current_dir(&all)).with_context(|| {
        format!("cannot get Keycloak {VERSION}; this step needs it and the network, once")
    })?;
    let unbuilt = unpacked.join(format!("keycloak-{VERSION}"));
    let mut build = program(&unbuilt, "build");
    build.args(BUILD_OPTIONS);
    output(&mut build).context("cannot build Keycloak")?;
    fs::rename(&unbuilt, &home).context("cannot keep Keycloak")?;
    fs::remove_dir_all(&unpacked).context("cannot clean up after Maven")?;
    Ok(home)
}

/// A folder with the database of a Keycloak that has the realms and was never used. It is made again
/// when a realm changes.
fn database(workspace: &Workspace, home: &Path) -> Result<PathBuf> {
    let template = workspace.ignored("keycloak")?.join("realms");
    let realms = realms(workspace)?;
    let source = format!("{}\n{realms:#?}", home.display());
    if fs::read_to_string(template.join(SOURCE)).is_ok_and(|made_from| made_from == source) {
        return Ok(template);
    }
    let folder = run_folder(workspace, "keycloak-import")?;
    for (name, realm) in &realms {
        write(&folder.join(format!("{name}-realm.json")), realm)?;
    }
    let mut import = program(home, "import");
    import.args(["--optimized", "--dir"]).arg(&folder).arg(database_url(&folder));
    output(&mut import).context("cannot import the realms into Keycloak")?;
    write(&folder.join(SOURCE), &source)?;
    if template.exists() {
        fs::remove_dir_all(&template).context("cannot remove the realms of before")?;
    }
    fs::rename(&folder, &template).context("cannot keep the realms")?;
    Ok(template)
}

/// The realms by name. Those of MangaDex differ in what becomes of a refresh token that was used.
fn realms(workspace: &Workspace) -> Result<Vec<(&'static str, String)>> {
    let recipe = recipe(workspace, "keycloak");
    let mangadex = read(&recipe.join("mangadex.json"))?;
    let mut realms = vec![("interop", read(&recipe.join("interop.json"))?)];
    for (name, rotates, reuse) in [
        ("mangadex", "false", "0"),
        ("mangadex-rotating", "true", "0"),
        ("mangadex-forgiving", "true", "1"),
    ] {
        let realm = mangadex.replace("@REALM@", name).replace("@ROTATES@", rotates);
        realms.push((name, realm.replace("@REUSE@", reuse)));
    }
    Ok(realms)
}

/// Java with Keycloak, as its `kc.sh` starts it, but as one process that can be killed, which takes
/// little memory and is ready soon rather than fast.
fn program(home: &Path, command: &str) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xms64m", "-Xmx512m", "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC"]);
    java.args([
        "-XX:TieredStopAtLevel=1",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    ]);
    java.arg(
        "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
         io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    );
    for package in ["java.lang", "java.util", "java.util.concurrent", "java.security"] {
        java.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    }
    java.args(["-Dpicocli.disable.closures=true", "-Dquarkus-log-max-startup-records=10000"]);
    java.arg(option("-Dkc.home.dir=", home));
    java.arg(option("-Djboss.server.config.dir=", &home.join("conf")));
    java.arg("-cp").arg(home.join("lib/quarkus-run.jar"));
    java.args(["io.quarkus.bootstrap.runner.QuarkusEntryPoint", command]);
    java
}

fn require_java_version() -> Result<()> {
    let said = output(Command::new("java").arg("--version"))?;
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    let major = version.split(['.', '-', '+']).next().and_then(|major| major.parse::<u32>().ok());
    if major.context("java has no version")? < OLDEST_JAVA {
        bail!("this step needs Java {OLDEST_JAVA} or newer; here is {version}");
    }
    Ok(())
}

fn database_url(folder: &Path) -> std::ffi::OsString {
    let mut url = option("--db-url=jdbc:h2:file:", &folder.join("keycloakdb"));
    url.push(";NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE");
    url
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    [OsStr::new(name), path.as_os_str()].into_iter().collect()
}

const VERSION: &str = "26.7.3";
const OLDEST_JAVA: u32 = 17;
const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.8:unpack";
const DATABASE_FILE: &str = "keycloakdb.mv.db"; // as H2 calls it
const SOURCE: &str = "made-from";

/// Part of the folder's name: another number builds afresh. One more for every change of the options.
const BUILD: u32 = 1;
const BUILD_OPTIONS: &[&str] = &[
    "--db=dev-file",
    "--cache=local",
    "--health-enabled=false",
    "--metrics-enabled=false",
    "--features=jwt-authorization-grant",
];

/// Six seconds of one idle core; a busy machine takes a minute.
const READY_WITHIN: Duration = Duration::from_secs(300);
