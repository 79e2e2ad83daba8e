//! Plays all schedules of a scenario, depth first. The world is copied before each move but the last of a choice, so
//! the moves that schedules have in common are played once.
//!
//! Different moves often lead to the same state, for example two writes to two places in either order. What can follow
//! a state, and what is checked at the end, depend on the state alone. So when the search meets a state again, it only
//! counts the schedules that go on from there. A state is known by its mark (`table.rs`).

use foldhash::{HashMap, HashMapExt as _};

use super::world::{Move, World};

/// Plays every schedule from this world on, and checks each. Returns how many there are. Stops at the first violation,
/// and returns it with its schedule. If `forgetful`, it also plays again what follows a state that it has met.
pub(crate) fn explore(
    world: World<'_>,
    forgetful: bool,
    check: &mut impl FnMut(&World<'_>) -> Result<(), String>,
) -> Result<u64, String> {
    let mut exploration = Exploration {
        forgetful,
        check,
        met: HashMap::new(),
        schedule: Vec::new(),
    };
    exploration.go_on(world)
}

struct Exploration<'a, C> {
    forgetful: bool,
    check: &'a mut C,
    /// The states whose schedules have been played, by their marks, with the number of these schedules.
    met: HashMap<u64, u64>,
    schedule: Vec<Move>,
}

impl<C: FnMut(&World<'_>) -> Result<(), String>> Exploration<'_, C> {
    fn go_on(&mut self, world: World<'_>) -> Result<u64, String> {
        let mark = world.mark();
        if let Some(schedules) = self.met.get(&mark).filter(|_| !self.forgetful) {
            return Ok(*schedules);
        }
        let mut moves = world.moves();
        let schedules = if let Some(last) = moves.pop() {
            let mut schedules = 0;
            for next in moves {
                schedules += self.play(world.clone(), next)?;
            }
            schedules + self.play(world, last)?
        } else {
            (self.check)(&world).map_err(|broken| self.shown(&world, &broken))?;
            1
        };
        self.met.insert(mark, schedules);
        Ok(schedules)
    }

    fn play(&mut self, mut world: World<'_>, next: Move) -> Result<u64, String> {
        world.play(next);
        self.schedule.push(next);
        let schedules = self.go_on(world)?;
        self.schedule.pop();
        Ok(schedules)
    }

    fn shown(&self, world: &World<'_>, broken: &str) -> String {
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
