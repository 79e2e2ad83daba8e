//! Has the linker put the functions that a request runs side by side, in the order of `src/layout.ld`. Otherwise they
//! are strewn over the whole program, and a request touches more pages of code (`docs/speed.md`).

use std::env;

fn main() {
    let target = env::var("TARGET").unwrap_or_default().replace('-', "_").to_uppercase();
    let linker = format!("CARGO_TARGET_{target}_LINKER");
    println!("cargo::rerun-if-env-changed={linker}");
    println!("cargo::rerun-if-changed=src/layout.ld");
    // Only for `cargo lambda`, which links with zig. Another linker might refuse the file, as mold does.
    if env::var(linker).is_ok_and(|linker| linker.contains("zigcc")) {
        // The linker runs in the workspace's directory, so it finds the file wherever that is.
        println!("cargo::rustc-link-arg-bins=-Wl,-T,src/layout.ld");
    }
}
