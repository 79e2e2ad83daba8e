//! Which processor runs what. On Lambda, a function and the program that hands it events share a processor, and the
//! store is elsewhere. Here the operating system would move them, and the cost of waking another processor would decide
//! the ratios.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// Binds this thread, and what it starts from now on, to the processor of the functions and their Runtime API.
pub(crate) fn of_functions() -> Result<(), Failure> {
    stay(|processor, last| processor == last)
}

/// Binds this thread, and what it starts from now on, to the other processors.
pub(crate) fn of_the_store() -> Result<(), Failure> {
    stay(|processor, last| processor != last)
}

/// The functions have the last of the processors that this process may use. If there is only one, all share it.
fn stay(ours: impl Fn(usize, usize) -> bool) -> Result<(), Failure> {
    let given = sched_getaffinity(None)?;
    let all: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&processor| given.is_set(processor))
        .collect();
    let [.., _, last] = all[..] else { return Ok(()) };
    let mut kept = CpuSet::new();
    for &processor in all.iter().filter(|&&processor| ours(processor, last)) {
        kept.set(processor);
    }
    Ok(sched_setaffinity(None, &kept)?)
}
