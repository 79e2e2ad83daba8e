//! Who runs where. On Lambda a function and what hands it its events share a processor, and the store is elsewhere. Left
//! to itself, the system would move them about here, and what it costs to wake another processor would decide the ratios.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// For this thread and what it starts from now on: the processor of the functions and their Runtime API.
pub(crate) fn of_functions() -> Result<(), Failure> {
    stay(|processor, last| processor == last)
}

/// For this thread and what it starts from now on: the other processors.
pub(crate) fn of_the_store() -> Result<(), Failure> {
    stay(|processor, last| processor != last)
}

/// The last of the processors we were given is the functions'. Where there is only one, all share it.
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
