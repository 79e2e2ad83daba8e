//! All schedules of a scenario. Futures cannot be copied, so a schedule is played from the start each time: depth first, each
//! time with the last choice that has an alternative changed.
//!
//! Two moves are independent if either order of them leads to the same: they are of different requests, they do not touch the same
//! item or both only read it, and together they do not use up the faults. Everything that is checked is a function of what each
//! request was answered, of what became of each item in order, and of what stands at the end; none of it depends on the order of two
//! independent moves. So of all schedules that differ in such orders alone, one is enough. Sleep sets pick it (Godefroid,
//! "Partial-Order Methods for the Verification of Concurrent Systems", 1996): whoever goes back to a choice puts the move
//! that was tried to sleep, and it stays asleep below until a move comes that is not independent of it.

use super::scenario::Outside;
use super::world::{Act, Move, World};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Schedules played to the end.
    pub(crate) schedules: u64,
    /// Schedules left because all moves were asleep.
    pub(crate) left: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.left += other.left;
    }
}

struct Choice {
    moves: Vec<Move>,
    chosen: usize,
    asleep: Vec<Move>,
    faults: usize,
}

/// Whether either order of the two leads to the same, with so many faults left.
fn independent(one: &Move, other: &Move, faults: usize) -> bool {
    let of_one_request = one.request.is_some() && one.request == other.request;
    let clash = match (one.touches, other.touches) {
        (Some((one, writes)), Some((other, also_writes))) => one == other && (writes || also_writes),
        _ => false,
    };
    !(of_one_request || clash || one.fault && other.fault && faults < 2)
}

/// Plays every schedule of the world's scenario, and checks each. The first violation ends it, with its schedule.
pub(crate) fn explore(
    world: &mut World,
    reduce: bool,
    check: impl Fn(&World) -> Result<(), String>,
) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut choices: Vec<Choice> = Vec::new();
    loop {
        world.start();
        let mut asleep: Vec<Move> = Vec::new();
        let mut depth = 0;
        let finished = loop {
            if depth == choices.len() {
                let moves = world.moves();
                if moves.is_empty() {
                    break true;
                }
                let Some(chosen) = moves.iter().position(|next| !asleep.contains(next)) else {
                    break false;
                };
                choices.push(Choice {
                    moves,
                    chosen,
                    asleep: std::mem::take(&mut asleep),
                    faults: world.faults,
                });
            }
            let choice = &choices[depth];
            let next = choice.moves[choice.chosen];
            if reduce && depth + 1 == choices.len() {
                let still = |other: &&Move| independent(other, &next, choice.faults);
                asleep = choice.asleep.iter().filter(still).copied().collect();
            }
            world.play(next);
            depth += 1;
        };
        if finished {
            counts.schedules += 1;
            check(world).map_err(|broken| {
                let schedule = choices
                    .iter()
                    .map(|choice| shown(&choice.moves[choice.chosen], world.scenario().outside));
                format!(
                    "{broken}\n{:?}\n{}\n{:?}",
                    world.scenario(),
                    schedule.collect::<Vec<_>>().join("\n"),
                    world.outcomes
                )
            })?;
        } else {
            counts.left += 1;
        }
        loop {
            let Some(choice) = choices.last_mut() else {
                return Ok(counts);
            };
            choice.asleep.push(choice.moves[choice.chosen]);
            let mut rest = choice.chosen + 1..choice.moves.len();
            if let Some(next) = rest.find(|next| !choice.asleep.contains(&choice.moves[*next])) {
                choice.chosen = next;
                break;
            }
            choices.pop();
        }
    }
}

fn shown(next: &Move, outside: Outside) -> String {
    match next.act {
        Act::Store(choice) => match choice.fate {
            Some(fate) => format!("request {}: call {}: {fate:?}", choice.request, choice.number),
            None => format!("request {}: call {} arrives late", choice.request, choice.number),
        },
        Act::Cancel(late) => format!(
            "request {} is cancelled, its write late: {late}",
            next.request.unwrap_or_default()
        ),
        Act::Outside => format!("{outside:?}"),
    }
}
