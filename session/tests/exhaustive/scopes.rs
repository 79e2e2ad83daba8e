//! The scenarios that are explored.

use super::scenario::{Asked, Brings, Instance, Op, Outside, Scenario, Start};

pub(crate) const OPS: [Op; 18] = [
    Op::View,
    Op::Set,
    Op::Add,
    Op::Pop,
    Op::Flash,
    Op::Take,
    Op::Ann,
    Op::Bob,
    Op::Owner,
    Op::Renew,
    Op::RenewAndPop,
    Op::Remember,
    Op::Clear,
    Op::Logout,
    Op::Goodbye,
    Op::Anew,
    Op::EndAll,
    Op::SaveAndAdd,
];

/// One operation of each kind: they read, write, compute, take, begin and end.
pub(crate) const KINDS: [Op; 9] = [
    Op::View,
    Op::Add,
    Op::Pop,
    Op::Take,
    Op::Ann,
    Op::Owner,
    Op::Renew,
    Op::Logout,
    Op::EndAll,
];

/// What may happen to the session of another owner than the one who logs in. The schedules know one owner's list, so
/// nothing here asks for the other's.
pub(crate) const TAKEN_OVER: [Op; 9] = [
    Op::View,
    Op::Add,
    Op::Pop,
    Op::Take,
    Op::Bob,
    Op::Owner,
    Op::Logout,
    Op::Goodbye,
    Op::Anew,
];

/// The operations that change the most.
pub(crate) const HARD: [Op; 4] = [Op::Add, Op::Take, Op::Ann, Op::Logout];

/// Registrations of two devices, and what they may meet.
pub(crate) const BINDING: [Op; 8] = [
    Op::Bind,
    Op::BindElsewhere,
    Op::View,
    Op::Add,
    Op::Owner,
    Op::Renew,
    Op::Logout,
    Op::EndAll,
];

pub(crate) const STARTS: [Start; 14] = [
    Start::Nothing,
    Start::Live,
    Start::Owned,
    Start::Old,
    Start::Small,
    Start::Idle,
    Start::Past,
    Start::Aged,
    Start::Remembered,
    Start::Forgotten,
    Start::Malformed,
    Start::Ended,
    Start::Buried,
    Start::Gone,
];

/// The starts that both 0.3 and this version may meet: a session without an owner, with an owner, with an owner and an
/// idle timeout or lifetime that is about to end, with one variable only, and one that 0.1 wrote.
pub(crate) const UPGRADED: [Start; 6] = [
    Start::Live,
    Start::Owned,
    Start::Idle,
    Start::Aged,
    Start::Small,
    Start::Old,
];

/// The starts at which clocks matter.
pub(crate) const TIMES: [Start; 6] = [
    Start::Old,
    Start::Idle,
    Start::Past,
    Start::Aged,
    Start::Remembered,
    Start::Forgotten,
];

pub(crate) fn asked(op: Op) -> Asked {
    Asked {
        op,
        brings: Brings::First,
        after: 0,
        skew: 0,
        slow: false,
        instance: Instance::Usual,
        per_owner: None,
    }
}

fn outside(start: Start) -> Outside {
    if start == Start::Past {
        Outside::Deletes
    } else {
        Outside::Nothing
    }
}

/// One request without a fault.
pub(crate) fn alone(start: Start, op: Op) -> Scenario {
    Scenario {
        start,
        requests: vec![asked(op)],
        faults: 0,
        outside: Outside::Nothing,
    }
}

/// All pairs of these operations: at the same time, and one after the other with the cookie from before or the first
/// one's.
pub(crate) fn pairs(start: Start, ops: &[Op], faults: usize) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (index, one) in ops.iter().enumerate() {
        for other in &ops[index..] {
            let mut orders = vec![[asked(*one), asked(*other)]];
            for (first, second) in [(one, other), (other, one)] {
                let second = Asked {
                    after: 1,
                    ..asked(*second)
                };
                orders.push([asked(*first), second]);
                orders.push([
                    asked(*first),
                    Asked {
                        brings: Brings::After(0),
                        ..second
                    },
                ]);
            }
            if one == other {
                orders.truncate(3);
            }
            scenarios.extend(orders.into_iter().map(|requests| Scenario {
                start,
                requests: requests.to_vec(),
                faults,
                outside: outside(start),
            }));
        }
    }
    scenarios
}

/// All triples of these operations: at the same time, two and then the third, one and then two, and one after the
/// other. Triples that differ only by exchanging concurrent requests are played once.
pub(crate) fn triples(start: Start, ops: &[Op], faults: usize) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let count = ops.len();
    for places in (0..count.pow(3)).map(|n| [n / count / count, n / count % count, n % count]) {
        let [one, other, third] = places;
        // Whether later requests have the cookie of the answer before them, and whether this triple is played.
        for (after, follows, this) in [
            ([0, 0, 0], false, one <= other && other <= third),
            ([0, 0, 3], false, one <= other),
            ([0, 0, 3], true, true),
            ([0, 1, 1], false, other <= third),
            ([0, 1, 1], true, other <= third),
            ([0, 1, 0], false, true),
            ([0, 1, 0], true, true),
            ([0, 1, 3], false, true),
            ([0, 1, 3], true, true),
        ] {
            if !this {
                continue;
            }
            let mut requests = places.map(|place| asked(ops[place]));
            for (request, after) in requests.iter_mut().zip(after) {
                request.after = after;
                if follows && after > 0 {
                    request.brings = Brings::After(usize::from(after > 1));
                }
            }
            scenarios.push(Scenario {
                start,
                requests: requests.to_vec(),
                faults,
                outside: outside(start),
            });
        }
    }
    scenarios
}

/// Raises the most faults to this number in the scenarios that have one of these starts and only these operations. A
/// scenario with at most two faults includes the schedules with fewer.
pub(crate) fn with_faults(mut scenarios: Vec<Scenario>, faults: usize, starts: &[Start], ops: &[Op]) -> Vec<Scenario> {
    for scenario in &mut scenarios {
        if starts.contains(&scenario.start) && scenario.requests.iter().all(|asked| ops.contains(&asked.op)) {
            scenario.faults = scenario.faults.max(faults);
        }
    }
    scenarios
}

/// The scenarios with clocks that differ, and with slow requests.
pub(crate) fn in_time(scenarios: &[Scenario]) -> Vec<Scenario> {
    let clocks = [[-5, 5], [5, -5], [0, 0]].map(|clocks| clocks.map(|skew| (skew, false)));
    let slow = [
        [(0, true), (0, false)],
        [(0, false), (0, true)],
        [(-5, true), (5, true)],
    ];
    let variants = clocks.into_iter().chain(slow).flat_map(|[one, other]| {
        // A third request has the clock of the first, but is not slow.
        let variant = [one, other, (one.0, false)];
        scenarios.iter().cloned().map(move |mut scenario| {
            for (request, (skew, slow)) in scenario.requests.iter_mut().zip(variant) {
                (request.skew, request.slow) = (skew, slow);
            }
            scenario
        })
    });
    variants.collect()
}

/// The scenarios in which the record may become malformed at any time.
pub(crate) fn spoiled(scenarios: &[Scenario]) -> Vec<Scenario> {
    let spoiled = scenarios.iter().cloned();
    spoiled
        .map(|scenario| Scenario {
            outside: Outside::Spoils,
            ..scenario
        })
        .collect()
}

/// The scenarios during a rotation of keys: one of the instances signs with the new key.
pub(crate) fn rotated(scenarios: &[Scenario]) -> Vec<Scenario> {
    with_one(scenarios, Instance::Rotated)
}

/// The scenarios during an upgrade: one of the instances still runs 0.3, which registers no key.
pub(crate) fn upgraded(scenarios: &[Scenario]) -> Vec<Scenario> {
    let mut scenarios = with_one(scenarios, Instance::Older);
    let registers = |asked: &Asked| asked.instance == Instance::Older && asked.op.key().is_some();
    scenarios.retain(|scenario| !scenario.requests.iter().any(registers));
    scenarios
}

/// The scenarios in which this instance serves the first request, and those in which it serves the second.
fn with_one(scenarios: &[Scenario], instance: Instance) -> Vec<Scenario> {
    let each = [0, 1].into_iter().flat_map(|place| {
        scenarios.iter().cloned().map(move |mut scenario| {
            scenario.requests[place].instance = instance;
            scenario
        })
    });
    each.collect()
}

/// The scenarios with an owner who may have at most this many sessions.
pub(crate) fn limited(scenarios: &[Scenario], most: usize) -> Vec<Scenario> {
    let limited = scenarios.iter().cloned().map(|mut scenario| {
        for request in &mut scenario.requests {
            request.per_owner = Some(most);
        }
        scenario
    });
    limited.collect()
}

/// Four of these operations at the same time, or two after two with the cookies from before or the new one.
pub(crate) fn quadruples(start: Start, ops: &[Op]) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let count = ops.len();
    let places = |n: usize| [n / count.pow(3), n / count.pow(2) % count, n / count % count, n % count];
    for places in (0..count.pow(4)).map(places) {
        let [one, other, third, last] = places;
        for (after, follows, this) in [
            ([0; 4], false, one <= other && other <= third && third <= last),
            ([0, 0, 3, 3], false, one <= other && third <= last),
            ([0, 0, 3, 3], true, third <= last),
        ] {
            if !this {
                continue;
            }
            let mut requests = places.map(|place| asked(ops[place]));
            for (request, after) in requests.iter_mut().zip(after) {
                request.after = after;
                if follows && after > 0 {
                    request.brings = Brings::After(1);
                }
            }
            scenarios.push(Scenario {
                start,
                requests: requests.to_vec(),
                faults: 0,
                outside: outside(start),
            });
        }
    }
    scenarios
}

/// The scenarios with these instances.
pub(crate) fn served_by(scenarios: &[Scenario], instances: [Instance; 2]) -> Vec<Scenario> {
    let served = scenarios.iter().cloned().map(|mut scenario| {
        for (request, instance) in scenario.requests.iter_mut().zip(instances) {
            request.instance = instance;
        }
        scenario
    });
    served.collect()
}
