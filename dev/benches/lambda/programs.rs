//! The programs that are measured, built as `sam build` builds a function.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::{Compression, write::DeflateEncoder};

use crate::{Failure, say};

/// The compiled programs. `dev/benches/README.md` says what each is.
pub(crate) struct Programs {
    pub(crate) product: PathBuf,
    pub(crate) hello: PathBuf,
    pub(crate) getitem: PathBuf,
    pub(crate) parts: PathBuf,
    pub(crate) hand: PathBuf,
    pub(crate) ours: PathBuf,
    pub(crate) rival: PathBuf,
}

impl Programs {
    /// Builds the programs that are not built yet, with the command that SAM runs. `cargo build` would make others:
    /// `cargo lambda` adds a processor (`target-cpu`), and compiles and links C code with zig.
    pub(crate) fn build() -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().ok_or("no workspace around this package")?;
        let mut probe = lambda(root, &["--version"]);
        probe.stdout(Stdio::null()).stderr(Stdio::null());
        if !probe.status().is_ok_and(|status| status.success()) {
            return Err("the bench builds with `cargo lambda`, as `sam build` does; install cargo-lambda".into());
        }
        say("building with cargo lambda, as SAM does (minutes, the first time)");
        build(root, &["--bin", dev::app::NAME])?;
        let profile = release_profile(root)?;
        for folder in ["benches/floor", "benches/rival"] {
            let package = here.join(folder);
            // `cargo lambda` replaces what a manifest does not set (by `lto = "thin"` and `panic = "abort"`), even if
            // `--config` sets it.
            if release_profile(&package)? != profile {
                return Err(format!("{folder}/Cargo.toml must have the [profile.release] of the app").into());
            }
            fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))?;
            build(&package, &[])?;
        }
        let program = |name: &str| target().join("lambda").join(name).join("bootstrap");
        Ok(Self {
            product: program(dev::app::NAME),
            hello: program("hello"),
            getitem: program("getitem"),
            parts: program("parts"),
            hand: program("hand"),
            ours: program("ours"),
            rival: program("rival"),
        })
    }

    /// Replaces each program's file by a copy, which lies elsewhere in the kernel's memory. Where it lies decides how
    /// long page faults take, so the starts of two copies, which are mostly page faults, differ by a tenth.
    pub(crate) fn copy(&self) -> Result<(), Failure> {
        let Self {
            product,
            hello,
            getitem,
            parts,
            hand,
            ours,
            rival,
        } = self;
        for program in [product, hello, getitem, parts, hand, ours, rival] {
            let copy = program.with_extension("copy");
            fs::copy(program, &copy)?;
            // Otherwise the disk would be busy during the measurements.
            File::open(&copy)?.sync_all()?;
            fs::rename(copy, program)?;
        }
        Ok(())
    }
}

/// Cargo's target directory: this program is in `<target>/release/deps`.
pub(crate) fn target() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors().nth(3).map(Path::to_owned).unwrap_or_default()
}

/// Returns the megabytes that SAM uploads of a program.
pub(crate) fn zipped(program: &Path) -> Result<f64, Failure> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    io::copy(&mut File::open(program)?, &mut encoder)?;
    Ok(encoder.finish()?.len() as f64 / 1e6)
}

fn build(package: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let status = lambda(package, &["build", "--release"]).args(arguments).status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("cargo lambda build in {}: {status}", package.display()).into())
}

fn lambda(package: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(package).env("CARGO_TARGET_DIR", target());
    command.arg("lambda").args(arguments);
    command
}

/// Returns the settings of a manifest's release profile, without comments.
fn release_profile(package: &Path) -> Result<Vec<String>, Failure> {
    let manifest = fs::read_to_string(package.join("Cargo.toml"))?;
    let lines = manifest.lines().skip_while(|line| *line != "[profile.release]").skip(1);
    let settings = lines.take_while(|line| !line.starts_with('['));
    let settings = settings.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(settings.map(str::to_owned).collect())
}
