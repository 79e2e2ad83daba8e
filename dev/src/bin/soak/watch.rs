//! The programs' memory and descriptors, as Linux reports them.

use std::fmt::Write as _;
use std::fs;

use dev::command::Failure;
use dev::lambda::Lambda;

/// The minutes that are not judged, in which caches fill and connections are made.
const WARMING_UP: usize = 2;

/// The minutes that a judgement needs.
const ENOUGH: usize = 6;

/// The figures that are watched, each with the growth that says nothing: a share of it, and a fixed part.
const FIGURES: [(&str, u64, u64); 2] = [("KiB", 20, 1_024), ("descriptors", u64::MAX, 4)];

/// The programs, and their figures in each minute.
pub(crate) struct Watch<'a>(Vec<(&'a str, &'a Lambda, Vec<[u64; 2]>)>);

impl<'a> Watch<'a> {
    pub(crate) fn new(programs: impl IntoIterator<Item = (&'a str, &'a Lambda)>) -> Self {
        let programs = programs.into_iter();
        Self(programs.map(|(name, program)| (name, program, Vec::new())).collect())
    }

    /// Looks at the programs, and returns their figures.
    pub(crate) fn look(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        for (name, program, minutes) in &mut self.0 {
            let [memory, descriptors] = look(program).ok_or_else(|| Failure::Run(format!("{name} has ended")))?;
            minutes.push([memory, descriptors]);
            // Writing to a string does not fail.
            let _ = write!(line, "{name} {memory} KiB, {descriptors} descriptors; ");
        }
        Ok(line)
    }

    /// Returns the range of each figure. Fails if the least of the last third of the minutes is clearly above that of
    /// the first third.
    pub(crate) fn judge(&self) -> Result<String, Failure> {
        let mut result = String::new();
        for (name, _, minutes) in &self.0 {
            let minutes = minutes.get(WARMING_UP..).unwrap_or_default();
            if minutes.len() < ENOUGH {
                return Ok("too short to judge growth".to_owned());
            }
            let third = minutes.len() / 3;
            for (n, (unit, share, fixed)) in FIGURES.into_iter().enumerate() {
                let least = |minutes: &[[u64; 2]]| minutes.iter().map(|figures| figures[n]).min().unwrap_or_default();
                let (before, after) = (least(&minutes[..third]), least(&minutes[minutes.len() - third..]));
                if after > before + before / share + fixed {
                    return Err(Failure::Run(format!(
                        "{name} has grown from {before} to {after} {unit}"
                    )));
                }
                let most = minutes.iter().map(|figures| figures[n]).max().unwrap_or_default();
                let _ = write!(result, "{name} {} to {most} {unit}; ", least(minutes));
            }
        }
        Ok(format!("nothing has grown: {result}"))
    }
}

fn look(program: &Lambda) -> Option<[u64; 2]> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", program.process_id()?)).ok()?;
    Some([program.memory_kib("VmRSS")?, descriptors.count() as u64])
}
