//! The programs' memory, descriptors and sockets, as Linux reports them.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use dev::command::Failure;

use crate::tally::Tally;

/// The minutes that are not judged, in which caches fill and connections are made.
const WARMING_UP: u64 = 2;

/// The minutes that a judgement needs.
const ENOUGH: usize = 6;

/// The figures of one program at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    memory_kib: u64,
    descriptors: u64,
    sockets: u64,
}

/// The heading of the lines.
pub(crate) const HEAD: &str = "memory, descriptors and sockets of each program, and all requests so far";

pub(crate) struct Watch {
    programs: Vec<(&'static str, u32, Vec<Look>)>,
    began: Instant,
}

impl Watch {
    pub(crate) fn new(programs: [(&'static str, Option<u32>); 2]) -> Self {
        let programs = programs
            .into_iter()
            .map(|(name, id)| (name, id.unwrap_or_default(), Vec::new()));
        Self {
            programs: programs.collect(),
            began: Instant::now(),
        }
    }

    /// Looks at the programs, and returns a line with the figures.
    pub(crate) fn look(&mut self, minute: u64, tally: &Tally) -> Result<String, Failure> {
        let mut line = format!("{:>4} s", self.began.elapsed().as_secs());
        for (name, id, looks) in &mut self.programs {
            let look = look(*id).ok_or_else(|| Failure::Run(format!("{name} has ended")))?;
            // Writing to a string does not fail.
            let _ = write!(
                line,
                " | {name} {} KiB, {} descriptors, {} sockets",
                look.memory_kib, look.descriptors, look.sockets
            );
            if minute > WARMING_UP {
                looks.push(look);
            }
        }
        Ok(format!("{line} | {}", tally.summary()))
    }

    /// Fails if the lowest memory or the fewest descriptors of the last third are clearly above those of the first
    /// third.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        for (name, _, looks) in &self.programs {
            if looks.len() < ENOUGH {
                continue;
            }
            let least = |looks: &[Look], of: fn(&Look) -> u64| looks.iter().map(of).min().unwrap_or_default();
            let third = looks.len() / 3;
            let (early, late) = (&looks[..third], &looks[looks.len() - third..]);
            let memory: fn(&Look) -> u64 = |look| look.memory_kib;
            let (before, after) = (least(early, memory), least(late, memory));
            if after > before + before / 20 + 1_024 {
                return Err(Failure::Run(format!(
                    "{name}'s memory has grown from {before} to {after} KiB"
                )));
            }
            let descriptors: fn(&Look) -> u64 = |look| look.descriptors;
            let (before, after) = (least(early, descriptors), least(late, descriptors));
            if after > before + 4 {
                return Err(Failure::Run(format!(
                    "{name}'s descriptors have grown from {before} to {after}"
                )));
            }
        }
        Ok(())
    }

    /// Returns the result of the run.
    pub(crate) fn summary(&self) -> String {
        let programs = self.programs.iter().map(|(name, _, looks)| {
            let all = |of: fn(&Look) -> u64| {
                let values = looks.iter().map(of);
                let (least, most) = (values.clone().min(), values.max());
                format!("{} to {}", least.unwrap_or_default(), most.unwrap_or_default())
            };
            format!(
                "{name}: {} KiB, {} descriptors, {} sockets",
                all(|look| look.memory_kib),
                all(|look| look.descriptors),
                all(|look| look.sockets)
            )
        });
        let judged = if self.programs.iter().all(|(.., looks)| looks.len() >= ENOUGH) {
            "nothing has grown"
        } else {
            "too short to judge growth"
        };
        format!("no violation, {judged}; {}", programs.collect::<Vec<_>>().join("; "))
    }
}

fn look(process: u32) -> Option<Look> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let links = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let links: Vec<_> = links
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect();
    let sockets = links
        .iter()
        .filter(|link| link.to_string_lossy().starts_with("socket:"));
    Some(Look {
        memory_kib: memory.trim().trim_end_matches(" kB").parse().ok()?,
        descriptors: links.len() as u64,
        sockets: sockets.count() as u64,
    })
}
