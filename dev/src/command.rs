//! What the local commands have in common: flags, listening, stopping, and saying in one line what is wrong.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};
use tokio::net::TcpListener;

/// The arguments of a local command.
#[derive(Debug)]
pub struct Arguments {
    /// The port to listen on; 0 is any free port.
    pub port: u16,
    /// The directory that keeps the items.
    pub data_dir: Option<PathBuf>,
}

/// Why a command ends early: the message it prints, and whether the command line is to blame.
#[derive(Debug)]
pub enum Failure {
    /// Exit status 2.
    Usage(String),
    /// Exit status 1.
    Run(String),
}

impl Failure {
    /// Wraps any error whose message is complete.
    pub fn run(error: impl std::fmt::Display) -> Self {
        Self::Run(error.to_string())
    }
}

/// Reads the flags. Returns `None` if the help text is asked for.
///
/// # Errors
///
/// A flag is unknown, or has no valid value.
pub fn arguments(given: impl IntoIterator<Item = OsString>, default_port: u16) -> Result<Option<Arguments>, Failure> {
    let mut read = Arguments {
        port: default_port,
        data_dir: None,
    };
    let mut parser = Parser::from_args(given);
    let usage = |error: lexopt::Error| Failure::Usage(error.to_string());
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("port") => {
                let value = parser.value().map_err(usage)?;
                read.port = value
                    .parse()
                    .map_err(|_| Failure::Usage(format!("--port {}: not a port from 0 to 65535", value.display())))?;
            }
            Arg::Long("data-dir") => read.data_dir = Some(parser.value().map_err(usage)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Some(read))
}

/// Makes the data directory, closed to other users, if it does not exist.
///
/// # Errors
///
/// The directory cannot be made. The message names it.
pub fn make_directory(directory: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Failure::Run(format!("cannot use the directory {}: {error}", directory.display())))
}

/// Listens on this address.
///
/// # Errors
///
/// The port is taken, or the address cannot be used. The message says so, and how to choose another port.
pub async fn listen(ip: IpAddr, port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Run(if error.kind() == io::ErrorKind::AddrInUse {
            format!("port {port} on {ip} is already taken; choose another with --port")
        } else {
            format!("cannot listen on {address}: {error}; choose another port with --port")
        })
    })
}

/// Ctrl-C, or the signal that asks a process to end. It is caught while this value exists.
#[derive(Debug)]
pub struct Stop {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    ctrl_c: tokio::signal::windows::CtrlC,
}

impl Stop {
    /// Starts to catch the signals.
    ///
    /// # Errors
    ///
    /// The operating system does not let a handler be installed.
    pub fn new() -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let catch = |kind| signal(kind).map_err(Failure::run);
            Ok(Self {
                signals: [catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?],
            })
        }
        #[cfg(windows)]
        Ok(Self {
            ctrl_c: tokio::signal::windows::ctrl_c().map_err(Failure::run)?,
        })
    }

    /// Returns when the process is asked to end.
    pub async fn requested(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(windows)]
        self.ctrl_c.recv().await;
    }
}

/// Prints to standard output. The command goes on if nobody reads it (`cargo local | head -1`).
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Turns the result of a command into its last line and its exit status.
pub fn exit(outcome: Result<(), Failure>) -> ExitCode {
    let (message, status) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (format!("{message} (--help lists the flags)"), 2),
        Err(Failure::Run(message)) => (message, 1),
    };
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::from(status)
}
