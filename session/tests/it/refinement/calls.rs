//! Sequences of the calls of `Store` and `OwnerStore`.

use std::collections::{BTreeMap, BTreeSet};

use lambda_session::testing::steps::{self, IDLE, START};
use lambda_session::{
    Data, MemoryStore, OwnerKey, OwnerList, OwnerStore, Record, RecordKey, StoreErrorKind, Stored, Swap, Tombstone,
    Value, WriteToken,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tokio::runtime::Builder;

use super::explore;
use crate::support::clock::Stopped;
use crate::support::{Compared, compared};

const KEYS: usize = 3;
const OWNERS: usize = 2;

/// What is done to one of a few keys, or to one of two owners' lists.
#[derive(Clone, Debug)]
enum Step {
    Load,
    Create(New),
    /// Swaps the newest record that was read, or an earlier one, perhaps with a wrong version.
    Swap {
        back: usize,
        off: Off,
        next: Next,
    },
    End,
    Enlist(usize),
    List(usize),
    Strike(usize, BTreeSet<usize>),
}

/// A record to create.
#[derive(Clone, Debug)]
struct New {
    variables: BTreeMap<u8, u8>,
    remembered: bool,
    owned: bool,
    sealed: bool,
    writes: u8,
}

/// What is wrong in the version that was read.
#[derive(Clone, Copy, Debug)]
enum Off {
    Nothing,
    Revision,
    Expiry,
    SeenAt,
}

#[derive(Clone, Debug)]
enum Next {
    /// Changes these variables, perhaps with 101 others, which the store writes in one, and perhaps seals the record.
    Change(BTreeMap<u8, Option<u8>>, bool, bool),
    /// Moves the times by this many seconds.
    Slide(u64),
    Tombstone(Option<usize>, bool),
}

/// A key, the seconds after the start, and what is done.
type Call = (usize, u64, Step);

fn step() -> impl Strategy<Value = Step> {
    let variables = btree_map(0..4_u8, any::<u8>(), 0..4);
    let new = (variables, any::<(bool, bool, bool)>(), 0..20_u8);
    let new = new.prop_map(|(variables, (remembered, owned, sealed), writes)| New {
        variables,
        remembered,
        owned,
        sealed,
        writes,
    });
    let rare = || prop::bool::weighted(0.1);
    let changes = btree_map(0..4_u8, proptest::option::of(any::<u8>()), 1..4);
    let next = prop_oneof![
        5 => (changes, rare(), rare()).prop_map(|(changes, many, seals)| Next::Change(changes, many, seals)),
        2 => (1..2_000_u64).prop_map(Next::Slide),
        1 => (proptest::option::of(0..KEYS), any::<bool>()).prop_map(|(by, renewed)| Next::Tombstone(by, renewed)),
    ];
    let off = prop_oneof![
        9 => Just(Off::Nothing),
        1 => Just(Off::Revision),
        1 => Just(Off::Expiry),
        1 => Just(Off::SeenAt)
    ];
    let back = prop_oneof![5 => Just(0_usize), 1 => 1..3_usize];
    prop_oneof![
        2 => Just(Step::Load),
        6 => new.prop_map(Step::Create),
        12 => (back, off, next).prop_map(|(back, off, next)| Step::Swap { back, off, next }),
        1 => Just(Step::End),
        2 => (0..OWNERS).prop_map(Step::Enlist),
        1 => (0..OWNERS).prop_map(Step::List),
        1 => (0..OWNERS, btree_set(0..KEYS, 0..3)).prop_map(|(owner, keys)| Step::Strike(owner, keys)),
    ]
}

/// One sequence of calls on all stores, under keys of its own.
struct Sequence<'a> {
    memory: MemoryStore,
    compared: &'a [(&'static str, Compared)],
    keys: Vec<RecordKey>,
    owners: Vec<OwnerKey>,
    /// The records that were read under each key, the newest last.
    read: Vec<Vec<Record>>,
}

/// The result of a call.
#[derive(Debug, PartialEq)]
enum Reply {
    Stands(Option<Stored>),
    Swapped(Swap),
    Ended(Tombstone),
    List(OwnerList),
    Struck,
}

fn number(n: u8) -> Value {
    Value::encode(n).expect("a number")
}

fn bytes(n: u8) -> Value {
    serde_json::from_value(serde_json::json!({ "B": format!("AAA{n:01}", n = n % 10) })).expect("bytes")
}

fn name(n: u8) -> String {
    format!("variable {n}")
}

fn value(sealed: bool, n: u8) -> Value {
    if sealed { bytes(n) } else { number(n) }
}

impl New {
    fn record(&self) -> Record {
        let data = self.variables.iter().map(|(n, to)| (name(*n), value(self.sealed, *to)));
        let mut record = Record::new(data.collect(), START, START + IDLE);
        (record.remembered, record.sealed) = (self.remembered, self.sealed);
        record.writes = (0..self.writes)
            .map(|n| WriteToken::from_stored(format!("before-{n}")))
            .collect();
        if self.owned {
            record.owner = Some(value(self.sealed, 7));
            record.label = Some("a browser".to_owned());
            record.seen_at = Some(START);
        }
        record
    }
}

impl Next {
    fn of(&self, read: &Record, seconds: u64, keys: &[RecordKey]) -> Stored {
        let mut next = read.clone();
        match self {
            Self::Change(changes, many, seals) => {
                if *seals && !read.sealed {
                    // The first seal replaces all variables.
                    next.sealed = true;
                    next.data = read.data.keys().map(|name| (name.clone(), bytes(3))).collect();
                    next.owner = read.owner.as_ref().map(|_| bytes(5));
                }
                for (n, change) in changes {
                    match change {
                        Some(to) => drop(next.data.insert(name(*n), value(next.sealed, *to))),
                        None => drop(next.data.remove(&name(*n))),
                    }
                }
                if *many {
                    next.data
                        .extend((0..101).map(|n| (name(100 + n), value(next.sealed, n))));
                }
                next.revision = read.revision.wrapping_add(1);
                next.writes
                    .push(WriteToken::from_stored(format!("token-{}", next.revision)));
            }
            Self::Slide(by) => {
                next.expires_at += by;
                next.seen_at = read.seen_at.map(|seen| seen + by);
            }
            Self::Tombstone(by, renewed) => {
                let mut left = Tombstone::of(Some(&Stored::Record(next)), START + seconds);
                left.replaced_by = by.map(|place| keys[place].clone());
                left.renewed = *renewed && by.is_some();
                return Stored::Tombstone(left);
            }
        }
        Stored::Record(next)
    }
}

impl Sequence<'_> {
    /// Returns one of the records that were read under the key, perhaps with a wrong version.
    fn read(&self, key: usize, back: usize, off: Off) -> Record {
        let read = &self.read[key];
        let record = read.len().checked_sub(1 + back).and_then(|place| read.get(place));
        let nothing = || Record::new(Data::new(), START, START + IDLE);
        let mut record = record.or(read.last()).cloned().unwrap_or_else(nothing);
        match off {
            Off::Nothing => {}
            // No record has such a version. A wrong version must not be that of another record.
            Off::Revision => record.revision += 1_000,
            Off::Expiry => record.expires_at += 1_000_000,
            Off::SeenAt => record.seen_at = record.seen_at.map_or(Some(1), |_| None),
        }
        record
    }

    async fn make(&self, store: &impl OwnerStore, (place, seconds, step): &Call) -> Result<Reply, StoreErrorKind> {
        let (key, at) = (&self.keys[*place], START + seconds);
        let made = match step {
            Step::Load => store.load(key).await.map(Reply::Stands),
            Step::Create(new) => store
                .swap(key, None, &Stored::Record(new.record()))
                .await
                .map(Reply::Swapped),
            Step::Swap { back, off, next } => {
                let read = self.read(*place, *back, *off);
                let next = next.of(&read, *seconds, &self.keys);
                store.swap(key, Some(&read), &next).await.map(Reply::Swapped)
            }
            Step::End => store.end(key, at).await.map(Reply::Ended),
            Step::Enlist(owner) => store
                .enlist(&self.owners[*owner], key, at, at + 1_000_000)
                .await
                .map(Reply::List),
            Step::List(owner) => store.list(&self.owners[*owner]).await.map(Reply::List),
            Step::Strike(owner, keys) => {
                let keys: Vec<_> = keys.iter().map(|place| self.keys[*place].clone()).collect();
                store.strike(&self.owners[*owner], &keys).await.map(|()| Reply::Struck)
            }
        };
        made.map_err(|error| error.kind())
    }

    /// Makes the call on all stores, and compares the results and what is stored afterwards.
    async fn check(&mut self, call: &Call) -> TestCaseResult {
        for call in [call, &(call.0, call.1, Step::Load)] {
            let expected = self.make(&self.memory, call).await;
            let mut made = Vec::new();
            for (name, compared) in self.compared {
                made.push((*name, self.make(&compared.store, call).await));
            }
            for (name, result) in made {
                if result != expected {
                    return Err(TestCaseError::fail(format!(
                        "{call:?}: {name} says {result:?}, memory {expected:?}"
                    )));
                }
            }
            if let Ok(Reply::Stands(Some(Stored::Record(record)))) = expected {
                let known = &mut self.read[call.0];
                if known.last() != Some(&record) {
                    known.push(record);
                }
            }
        }
        Ok(())
    }
}

#[test]
fn every_call_has_the_same_result_on_every_store() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let compared = runtime.block_on(compared());
    explore(40, vec((0..KEYS, 0..10_000_u64, step()), 1..50), |calls| {
        let unused = || std::iter::repeat_with(steps::key);
        let mut sequence = Sequence {
            memory: MemoryStore::default(),
            compared: &compared,
            keys: unused().take(KEYS).collect(),
            owners: unused().take(OWNERS).map(|key| OwnerKey::new(key.as_str())).collect(),
            read: vec![Vec::new(); KEYS],
        };
        runtime.block_on(async {
            // A call that took too long would be made again, and would find what it wrote.
            let _clock = Stopped::now();
            for call in &calls {
                sequence.check(call).await?;
            }
            Ok(())
        })
    });
}
