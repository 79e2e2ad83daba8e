//! How long a visitor waits if the function has only the share of a processor that 128 MB of memory buy. With 1,769 MB
//! it has one processor (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::artifact::Artifacts;
use crate::rounds::{Others, measure, median};
use crate::routes::{Route, log_in};
use crate::sandbox::Sandbox;
use crate::world::World;
use crate::{Failure, say};

/// The microseconds after which a function gets its share again. AWS does not say how long that is.
const PERIOD: u64 = 20_000;
const SHARE: u64 = PERIOD * 128 / 1_769;
const STARTS: usize = 9;
const VIEWS: usize = 40;
const IN_A_ROW: usize = 10;

/// Measures each program. Returns no rows if the system does not let a process be limited, which takes control groups
/// and root.
pub(crate) async fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    let group = match Group::new() {
        Ok(group) => group,
        Err(error) => {
            say(&format!("128 MB's share of a processor is left out: {error}"));
            return Ok(Vec::new());
        }
    };
    say("128 MB's share of a processor");
    let environment = world.environment(&world.plain);
    let mut others = Others::new();
    let mut lines = Vec::new();
    for (name, program) in [
        ("product", &artifacts.product),
        ("getitem", &artifacts.getitem),
        ("limit", &artifacts.limit),
    ] {
        let cookie = log_in(&Sandbox::start(program, &environment).await?).await?;
        let view = Route::View.event(&cookie);
        let (mut first, mut sparse, mut row) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..STARTS {
            // During its start a function has a whole processor.
            let sandbox = Sandbox::start(program, &environment).await?;
            group.take(sandbox.process())?;
            first.extend(measure(&sandbox, &view, 1).await?.0);
            for _ in 0..VIEWS / STARTS {
                rest().await;
                others.take_the_caches();
                sparse.extend(measure(&sandbox, &view, 1).await?.0);
            }
            rest().await;
            row.push(measure(&sandbox, &view, IN_A_ROW).await?.0.iter().sum());
        }
        let ms = |values| median(values).map(|value| (value * 100.0).round() / 100.0);
        lines.push(json!({
            "who": name,
            "first_view_ms": ms(first),
            "sparse_view_ms": ms(sparse),
            "ten_views_in_a_row_ms": ms(row),
        }));
    }
    Ok(lines)
}

/// Waits until the function has its share again.
async fn rest() {
    tokio::time::sleep(2 * Duration::from_micros(PERIOD)).await;
}

/// A control group of this process, which ends when the value is dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> io::Result<Self> {
        let name = format!("lambda-session-bench-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/cpu");
        let group = Self(if old.exists() { old } else { Path::new("/sys/fs/cgroup") }.join(name));
        fs::create_dir(&group.0)?;
        if old.exists() {
            fs::write(group.0.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            fs::write(group.0.join("cpu.cfs_quota_us"), SHARE.to_string())?;
        } else {
            fs::write(group.0.join("cpu.max"), format!("{SHARE} {PERIOD}"))?;
        }
        Ok(group)
    }

    fn take(&self, process: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A function that was killed may take a moment to end.
        while fs::read_to_string(self.0.join("cgroup.procs")).is_ok_and(|processes| !processes.is_empty()) {
            std::thread::yield_now();
        }
        let _ = fs::remove_dir(&self.0);
    }
}
