//! The binaries that are measured, built as SAM builds them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::{Compression, write::DeflateEncoder};

use crate::{Failure, say};

/// The programs.
pub(crate) struct Artifacts {
    /// The product.
    pub(crate) product: PathBuf,
    /// A static page.
    pub(crate) hello: PathBuf,
    /// One bare call of `DynamoDB`.
    pub(crate) getitem: PathBuf,
    /// The same call, without the SDK and the runtime.
    pub(crate) limit: PathBuf,
    /// The same call, with the client, the runtime and the allocator that the product uses.
    pub(crate) parts: PathBuf,
    /// The library's counter example, in which every request is an update.
    pub(crate) counter: PathBuf,
    /// The library's example with owners, which also runs without a table.
    pub(crate) account: PathBuf,
    /// A site on axum and tower-sessions.
    pub(crate) rival: PathBuf,
    /// The same site on axum and this library.
    pub(crate) ours: PathBuf,
}

impl Artifacts {
    /// Builds the programs that are not built yet. All have the product's lock file and release profile.
    pub(crate) fn build() -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().ok_or("no workspace around this package")?;
        let build = target().join("bench");
        let release = target().join("release");
        fs::create_dir_all(&build)?;
        let lambda = probe(["lambda", "--version"]);
        say(if lambda {
            "building with cargo lambda (minutes, the first time)"
        } else {
            "building with cargo, as there is no cargo lambda (minutes, the first time)"
        });
        cargo(root, lambda, &["--bin", dev::app::NAME])?;
        let profile = build.join("profile.toml");
        fs::write(&profile, release_profile(&fs::read_to_string(root.join("Cargo.toml"))?))?;
        let config = profile.to_str().ok_or("the target directory's name is not UTF-8")?;
        for folder in ["benches/floor", "benches/rival"] {
            let package = here.join(folder);
            fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))?;
            cargo(&package, lambda, &["--config", config])?;
        }
        let examples = [
            "-p",
            "lambda-session",
            "--example",
            "counter",
            "--example",
            "account",
            "--features",
            "axum,lambda",
        ];
        cargo(root, false, &examples)?;
        let program = |name: &str| {
            if lambda {
                target().join("lambda").join(name).join("bootstrap")
            } else {
                release.join(name)
            }
        };
        Ok(Self {
            product: program(dev::app::NAME),
            hello: program("hello"),
            getitem: program("getitem"),
            limit: program("limit"),
            parts: program("parts"),
            counter: release.join("examples").join("counter"),
            account: release.join("examples").join("account"),
            rival: program("rival"),
            ours: program("ours"),
        })
    }
}

/// Cargo's target directory: this program is in `<target>/release/deps`.
pub(crate) fn target() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors().nth(3).map(Path::to_owned).unwrap_or_default()
}

/// Returns the size of what SAM uploads: the program, stripped and zipped.
pub(crate) fn zipped(program: &Path) -> Result<u64, Failure> {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    /// The local header, the central directory and its end, with the name `bootstrap`.
    const AROUND: u64 = 30 + 9 + 46 + 9 + 22;
    let mut encoder = DeflateEncoder::new(Count(AROUND), Compression::default());
    io::copy(&mut File::open(program)?, &mut encoder)?;
    Ok(encoder.finish()?.0)
}

fn probe(arguments: [&str; 2]) -> bool {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn cargo(package: &Path, lambda: bool, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(package).env("CARGO_TARGET_DIR", target());
    if lambda {
        command.arg("lambda");
    }
    let status = command.args(["build", "--release"]).args(arguments).status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("cargo build in {}: {status}", package.display()).into())
}

/// Returns the `[profile.release…]` tables of a manifest.
fn release_profile(manifest: &str) -> String {
    let mut inside = false;
    let lines = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            inside = line.starts_with("[profile.release");
        }
        inside
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}
