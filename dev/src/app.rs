//! Builds the app and the account example, as `cargo build` builds them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::command::Failure;

/// The name of the app's package and program.
pub const NAME: &str = "lambda-session-app";

/// Builds the app if needed, optimised or not, and returns its program. Cargo's own progress is written to standard
/// error.
///
/// `LOCAL_FUNCTION` in the environment names a program that is used instead.
///
/// # Errors
///
/// Cargo cannot be started, or fails.
pub async fn program(release: bool) -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("LOCAL_FUNCTION").filter(|path| !path.is_empty()) {
        return Ok(given.into());
    }
    build(&["--package", NAME, "--bin", NAME], NAME, release).await
}

/// Does the same for the account example.
///
/// # Errors
///
/// Cargo cannot be started, or fails.
pub async fn account(release: bool) -> Result<PathBuf, Failure> {
    let account = ["--package", "lambda-session", "--all-features", "--example", "account"];
    build(&account, "account", release).await
}

async fn build(what: &[&str], name: &str, release: bool) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The caller has just seen cargo build the command itself. Cargo's next progress bar does not say its purpose.
    let _ = writeln!(
        io::stderr(),
        "Building {name}, which this command runs (the first build takes minutes):"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_a_package) {
            command.env_remove(name);
        }
    }
    let cargo = command
        .arg("build")
        .args(what)
        .args(release.then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::Run(format!("cannot start cargo, which builds {name}: {error}")))?;
    let built = cargo.wait_with_output().await.map_err(Failure::run)?;
    let program = String::from_utf8_lossy(&built.stdout)
        .lines()
        .find_map(|message| executable(message, name));
    match program {
        Some(program) if built.status.success() => Ok(program),
        _ => Err(Failure::Run(format!("cargo did not build {name}: {}", built.status))),
    }
}

/// Whether `cargo run` and `cargo test` set this variable to tell a program which package it is from. Build scripts of
/// the app's dependencies read such variables, and would run again.
fn is_about_a_package(variable: &str) -> bool {
    let prefixes = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix))
}

/// Returns the program that a message of cargo names, if it has this name.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_ours = message["target"]["name"] == name;
    message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
}
