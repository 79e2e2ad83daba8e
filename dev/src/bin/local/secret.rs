//! The secret key of a local run, which the command generates so that nobody has to invent one to try the app.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dev::command::Failure;
use tempfile::NamedTempFile;

/// The shortest key that the app accepts, in bytes.
const SHORTEST: usize = 32;

/// Generates a new key with the operating system's random numbers.
fn generate() -> Result<String, Failure> {
    let mut bytes = [0; 48];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Run(format!("the operating system gave no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the key kept in this directory. The first run makes it, in a file that only its owner can read.
pub(crate) fn keep(directory: &Path) -> Result<String, Failure> {
    let path = directory.join("secret-key");
    let fail = |error: io::Error| Failure::Run(format!("cannot use the secret key in {}: {error}", path.display()));
    let key = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(directory, &path, &generate()?).map_err(fail)?;
            std::fs::read_to_string(&path)
        }
        read => read,
    }
    .map_err(fail)?;
    close(&path).map_err(fail)?;
    let key = key.trim();
    if key.len() < SHORTEST {
        return Err(Failure::Run(format!(
            "the secret key in {} has {} bytes, at least {SHORTEST} are needed; \
             delete the file to get a new key, which logs everybody out",
            path.display(),
            key.len(),
        )));
    }
    Ok(key.to_owned())
}

/// Closes the file to other users, whoever made it.
#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "it can fail on Unix"))]
fn close(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Writes the whole file or nothing. If another command was faster, its key stays.
fn make(directory: &Path, path: &Path, key: &str) -> io::Result<()> {
    // `tempfile` opens the file with mode 0600, so it never has another.
    let mut file = NamedTempFile::new_in(directory)?;
    writeln!(file, "{key}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(refused) if refused.error.kind() != io::ErrorKind::AlreadyExists => Err(refused.error),
        _ => Ok(()),
    }
}
