//! Which processor runs what. On Lambda, a function and the program that hands it events share a processor, and the
//! store is elsewhere. Here the operating system would move them, and the cost of waking another processor would decide
//! the ratios.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// Binds this thread, and what it starts from now on, to the processor of the functions and their Runtime API, which is
/// the last that this process may use, or else to the others. If there is only one, all share it.
pub(crate) fn stay(with_functions: bool) -> Result<(), Failure> {
    let given = sched_getaffinity(None)?;
    let mut all: Vec<usize> = (0..CpuSet::MAX_CPU).collect();
    all.retain(|&processor| given.is_set(processor));
    let [.., _, last] = all[..] else { return Ok(()) };
    let mut kept = CpuSet::new();
    for &processor in all.iter().filter(|&&processor| (processor == last) == with_functions) {
        kept.set(processor);
    }
    Ok(sched_setaffinity(None, &kept)?)
}
