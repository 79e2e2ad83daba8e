//! Plays all schedules of a scenario, depth first. The world is copied before each move but the last of a choice, so
//! the moves that schedules have in common are played once.
//!
//! Two moves are independent if both orders of them have the same result: they belong to different requests, they touch
//! different places or both only read, and together they do not use up the faults. Everything that is checked is a
//! function of the answer to each request, of the sequence of states of each place, and of what is stored at the end.
//! None of these depends on the order of two independent moves, so of all schedules that differ only in such orders,
//! one is enough. Sleep sets select it (Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems",
//! 1996): when the search returns to a choice, it puts the move that was tried to sleep. The move sleeps in the
//! schedules below, until a move comes that is not independent of it.

use super::world::{Move, World};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The number of schedules that were played to the end.
    pub(crate) schedules: u64,
    /// The number of schedules that were left because all moves were asleep.
    pub(crate) left: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.left += other.left;
    }
}

/// Whether both orders of the two moves have the same result, if this many faults are left.
pub(crate) fn independent(one: &Move, other: &Move, faults: usize) -> bool {
    let of_one_request = one.goes_on && other.goes_on && one.request == other.request;
    let clash = match (one.touches, other.touches) {
        (Some((one, writes)), Some((other, also_writes))) => one == other && (writes || also_writes),
        _ => false,
    };
    !(of_one_request || clash || one.fault && other.fault && faults < 2)
}

/// Plays every schedule from this world on, and checks each. Stops at the first violation, and returns it with its
/// schedule.
pub(crate) fn explore(
    world: World,
    reduce: bool,
    check: &mut impl FnMut(&World) -> Result<(), String>,
) -> Result<Counts, String> {
    let mut exploration = Exploration {
        reduce,
        check,
        counts: Counts::default(),
        schedule: Vec::new(),
    };
    exploration.go_on(world, Vec::new())?;
    Ok(exploration.counts)
}

struct Exploration<'a, C> {
    reduce: bool,
    check: &'a mut C,
    counts: Counts,
    schedule: Vec<Move>,
}

impl<C: FnMut(&World) -> Result<(), String>> Exploration<'_, C> {
    fn go_on(&mut self, world: World, mut asleep: Vec<Move>) -> Result<(), String> {
        let mut moves = world.moves();
        if moves.is_empty() {
            self.counts.schedules += 1;
            return (self.check)(&world).map_err(|broken| self.shown(&world, &broken));
        }
        moves.retain(|next| !asleep.contains(next));
        let Some(last) = moves.pop() else {
            self.counts.left += 1;
            return Ok(());
        };
        for next in moves {
            self.play(world.clone(), next, &asleep)?;
            if self.reduce {
                asleep.push(next);
            }
        }
        self.play(world, last, &asleep)
    }

    fn play(&mut self, mut world: World, next: Move, asleep: &[Move]) -> Result<(), String> {
        let below = if self.reduce {
            let still = |other: &&Move| independent(other, &next, world.faults);
            asleep.iter().filter(still).copied().collect()
        } else {
            Vec::new()
        };
        world.play(next);
        self.schedule.push(next);
        self.go_on(world, below)?;
        self.schedule.pop();
        Ok(())
    }

    fn shown(&self, world: &World, broken: &str) -> String {
        let moves = self
            .schedule
            .iter()
            .map(|next| format!("request {}: {:?}", next.request, next.act));
        let outcomes = (0..world.scenario().requests.len()).map(|request| world.outcome(request));
        format!(
            "{broken}\n{:?}\n{}\n{:?}\n{:?}",
            world.scenario(),
            moves.collect::<Vec<_>>().join("\n"),
            outcomes.collect::<Vec<_>>(),
            world.played().sessions,
        )
    }
}
