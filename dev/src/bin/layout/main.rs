//! `cargo run -p dev --features tls --bin layout`: finds the functions of the app that a start and a request run, and
//! writes them to `src/layout.ld`, for the linker.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use dev::command::{self, Failure};
use dev::dynamodb::{Embedded, table};
use dev::event::Event;
use dev::lambda::Lambda;
use dev::tls::Terminator;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

const HELP: &str = "\
Writes the order of the app's functions in memory, for the linker, to src/layout.ld

Usage: cargo run -p dev --features tls --bin layout -- PROGRAM

PROGRAM is the app with its symbols, as this builds it:

  CARGO_PROFILE_RELEASE_STRIP=none cargo lambda build --release

It runs in valgrind, which must be installed, as must nm.";

/// A file that names functions, for the linker: <https://sourceware.org/binutils/docs/ld/Scripts.html>.
const LAYOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/layout.ld");

const HEAD: &str = "\
/* The functions that a request runs, then those that only a sealed session needs, and then those that only a start runs,
   each in the order in which they first run. `*` stands for the parts of a name that change with each compiler, so a
   line names all instances of a generic function. A name that the program no longer has is ignored. The compiler puts
   functions that it takes for rarely called into sections whose names begin with `.text.unlikely`. `cargo run -p dev
   --features tls --bin layout` writes this file, and `build.rs` gives it to the linker. */
SECTIONS
{
  .text.hot :
  {
";

const TAIL: &str = "  }
}
INSERT BEFORE .text;
";

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run(std::env::args_os().skip(1).collect()).await)
}

async fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let [program] = &arguments[..] else {
        return Err(Failure::Usage("not one PROGRAM".to_owned()));
    };
    if program == "--help" || program == "-h" {
        command::say(HELP);
        return Ok(());
    }
    let program =
        fs::canonicalize(program).map_err(|error| Failure::Usage(format!("{}: {error}", program.display())))?;
    let functions = functions(&program).await?;
    let (requests, start) = trace(&program, false).await?;
    let (sealed, _) = trace(&program, true).await?;
    let (mut script, mut written) = (HEAD.to_owned(), BTreeSet::new());
    for address in [requests, sealed, start].concat() {
        for pattern in names_at(&functions, address).iter().map(|name| pattern(name)) {
            if written.insert(pattern.clone()) {
                writeln!(script, "    *(.text.{pattern} .text.unlikely.{pattern})").map_err(Failure::run)?;
            }
        }
    }
    if written.is_empty() {
        return Err(Failure::run("the program ran no function that nm has listed"));
    }
    script.push_str(TAIL);
    fs::write(LAYOUT, script).map_err(Failure::run)?;
    command::say(&format!(
        "{} names of functions are in src/layout.ld now",
        written.len()
    ));
    Ok(())
}

/// The program's functions by their first addresses: for each the address after its last one, and its names as the
/// linker knows them. Functions with the same code may be one function with several names.
type Functions = BTreeMap<u64, (u64, Vec<String>)>;

async fn functions(program: &Path) -> Result<Functions, Failure> {
    let mut nm = Command::new("nm");
    nm.args(["--defined-only", "--print-size"]).arg(program);
    let listed = nm
        .output()
        .await
        .map_err(|error| Failure::Run(format!("nm: {error}")))?;
    let functions = listed_functions(&String::from_utf8_lossy(&listed.stdout));
    if functions.is_empty() {
        return Err(Failure::Usage(format!("{} has no symbols", program.display())));
    }
    Ok(functions)
}

fn listed_functions(listed: &str) -> Functions {
    let mut functions = Functions::new();
    for (from, until, name) in listed.lines().filter_map(function) {
        let (end, names) = functions.entry(from).or_default();
        *end = until.max(*end);
        names.push(name.to_owned());
    }
    functions
}

/// Reads a line of nm: the address, the size, the kind and the name of a symbol.
fn function(line: &str) -> Option<(u64, u64, &str)> {
    let mut fields = line.split(' ');
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (from, size) = (number()?, number()?);
    let is_code = matches!(fields.next()?, "t" | "T" | "w" | "W");
    is_code.then_some((from, from + size, fields.next()?))
}

/// Returns the names of the function at this address.
fn names_at(functions: &Functions, address: u64) -> &[String] {
    match functions.range(..=address).next_back() {
        Some((_, (end, names))) if address < *end => names,
        _ => &[],
    }
}

/// Starts the program in valgrind, with or without sealed sessions, and sends it what visitors send. Returns the
/// addresses of what the requests ran and of what the start ran, each as an offset from the program's first byte.
async fn trace(program: &Path, sealed: bool) -> Result<(Vec<u64>, Vec<u64>), Failure> {
    let directory = tempfile::tempdir().map_err(Failure::run)?;
    let file = directory.path().join("trace");
    let mut valgrind = Command::new("valgrind");
    valgrind
        // A line for each block of code that runs. A block ends at each call.
        .args([
            "--tool=lackey",
            "--basic-counts=no",
            "--trace-superblocks=yes",
            "--vex-guest-chase=no",
        ])
        .arg(format!("--log-file={}", file.display()))
        .arg(program);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::run)?;
    let dynamodb = Embedded::start([listener], table::NAME, None).map_err(Failure::run)?;
    // Calls are encrypted, as they are on Lambda.
    let tls = Terminator::new().map_err(Failure::run)?;
    let authority = directory.path().join("authority.pem");
    fs::write(&authority, &tls.authority).map_err(Failure::run)?;
    let endpoint = tls.start(&dynamodb).await.map_err(Failure::run)?;
    let environment = [
        ("TABLE_NAME", table::NAME.to_owned()),
        ("DYNAMODB_ENDPOINT", endpoint),
        ("SSL_CERT_FILE", authority.display().to_string()),
        ("SECRET_KEY", "a key that is longer than thirty-two bytes".to_owned()),
        ("SESSION_SEALED", sealed.to_string()),
    ];
    let lambda = Lambda::with_output(valgrind, environment, Stdio::null(), Stdio::inherit());
    let mut lambda = lambda
        .await
        .map_err(|error| Failure::Run(format!("valgrind: {error}")))?;
    let api = Arc::clone(lambda.api());
    tokio::select! {
        ready = timeout(dev::PATIENCE, api.polled(1)) => {
            ready.map_err(|_| Failure::run("the program did not ask for an event"))?;
        }
        ended = lambda.ended() => return Err(Failure::Run(format!("{} ended: {ended:?}", program.display()))),
    }
    let first_byte = first_byte(&lambda, program)?;
    let ask = async |event: Event| match lambda.invoke(event.into_value()).await {
        Ok(answer) if answer.status < 400 => Ok(answer),
        other => Err(Failure::Run(format!("not an answer to a visitor: {other:?}"))),
    };
    let login = || Event::post_form("/login", &[("username", "admin")]);
    let cookie = ask(login()).await?.cookie();
    let start = fs::metadata(&file).map_err(Failure::run)?.len();
    // The most frequent request comes first, so its functions are in the order in which it runs them.
    for event in [
        Event::get("/").cookie(&cookie),
        login(),
        Event::get("/"),
        Event::get("/login"),
        Event::get("/logout").cookie(&cookie),
    ] {
        ask(event).await?;
    }
    drop(lambda);
    let trace = fs::read(&file).map_err(Failure::run)?;
    let start = usize::try_from(start).map_err(Failure::run)?;
    let (start, requests) = trace.split_at(start.min(trace.len()));
    let ran = |trace| blocks(&String::from_utf8_lossy(trace), first_byte);
    Ok((ran(requests), ran(start)))
}

/// Returns the address of the program's first byte in the memory of its process.
fn first_byte(lambda: &Lambda, program: &Path) -> Result<u64, Failure> {
    let process = lambda.process_id().ok_or_else(|| Failure::run("the program ended"))?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).map_err(Failure::run)?;
    let mapped = maps.lines().find(|line| line.ends_with(&*program.to_string_lossy()));
    let address = mapped.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
    address.ok_or_else(|| Failure::run("the program is not in the memory of its process"))
}

/// Reads the trace's lines, such as `SB 0401ab70`.
fn blocks(trace: &str, first_byte: u64) -> Vec<u64> {
    let addresses = trace
        .lines()
        .filter_map(|line| u64::from_str_radix(line.strip_prefix("SB ")?, 16).ok());
    addresses
        .filter_map(|address| address.checked_sub(first_byte))
        .collect()
}

/// Returns a name with `*` for what differs from build to build: the hash of a name in Rust's first form
/// (`_ZN…17h0123456789abcdefE`), the hash of each crate in one of its second form (`_R…CsgEmfK2I1SDS_4core…`), and the
/// number that LLVM appends to the second function of a name.
///
/// <https://doc.rust-lang.org/rustc/symbol-mangling/index.html>
fn pattern(name: &str) -> String {
    const HASH: &str = "17h";
    let (name, number) = match name.rsplit_once('.') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (name, "*"),
        _ => (name, ""),
    };
    if let Some((path, _)) = name.strip_suffix('E').and_then(|name| name.rsplit_once(HASH))
        && name.starts_with("_ZN")
    {
        return format!("{path}{HASH}*E{number}");
    }
    if !name.starts_with("_R") {
        return format!("{name}{number}");
    }
    let mut crates = name.split("Cs");
    let mut pattern = crates.next().unwrap_or_default().to_owned();
    for rest in crates {
        let hash = rest
            .find('_')
            .filter(|end| rest[..*end].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        pattern.push_str("Cs");
        pattern.push_str(&hash.map_or(rest.to_owned(), |end| format!("*{}", &rest[end..])));
    }
    pattern + number
}

#[cfg(test)]
mod tests {
    use super::{listed_functions, names_at, pattern};

    #[test]
    fn what_differs_from_build_to_build_is_not_in_a_pattern() {
        for (name, expected) in [
            (
                "_ZN4sha26sha25611compress25617h4f1961108b68689dE",
                "_ZN4sha26sha25611compress25617h*E",
            ),
            (
                "_ZN4http3uri17hostE5parse17h0123456789abcdefE",
                "_ZN4http3uri17hostE5parse17h*E",
            ),
            ("_ZN4core3ptr4drop17h0123456789abcdefE.12", "_ZN4core3ptr4drop17h*E*"),
            ("_ZN3a..b4drop17h0123456789abcdefE", "_ZN3a..b4drop17h*E"),
            (
                "_RNvNtNtCsgEmfK2I1SDS_4core3str8converts9from_utf8",
                "_RNvNtNtCs*_4core3str8converts9from_utf8",
            ),
            ("_RINvCs1_1aNtCs2_1bE.5586", "_RINvCs*_1aNtCs*_1bE*"),
            ("mi_malloc", "mi_malloc"),
        ] {
            assert_eq!(pattern(name), expected);
        }
    }

    #[test]
    fn a_function_is_found_under_all_of_its_names() {
        let listed = "0000000000000010 0000000000000008 T realloc\n0000000000000010 0000000000000008 T mi_realloc\n\
                      0000000000000020 0000000000000004 t free\n0000000000000012 0000000000000001 D data\n";
        let functions = listed_functions(listed);
        for (address, names) in [
            (0x0f, &[][..]),
            (0x10, &["realloc", "mi_realloc"]),
            (0x17, &["realloc", "mi_realloc"]),
            (0x18, &[]),
            (0x20, &["free"]),
            (0x24, &[]),
        ] {
            assert_eq!(names_at(&functions, address), names, "{address:#x}");
        }
    }
}
