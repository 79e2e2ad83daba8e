//! Sequences of the calls of `Store` and `OwnerStore`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lambda_session::testing::steps;
use lambda_session::{
    Changes, Data, Load, MemoryStore, Moment, OwnerKey, OwnerList, Record, RecordKey, Slide, Store, StoreErrorKind,
    Value, WriteOutcome, WriteToken,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tokio::runtime::{Builder, Runtime};

use super::{explore, tables};
use crate::exhaustive::scenario::Outside;
use crate::exhaustive::steps::Steps;
use crate::support::own_table::{Table, string};

const IDLE: u64 = 1_800;
const LIFETIME: u64 = 43_200;
const REMEMBERED: u64 = 400_000;
const START: u64 = 1_800_000_000;

const KEYS: usize = 3;
const OWNERS: usize = 2;

/// What is done to one of a few keys, or to one of two owners' lists. Times are seconds after the start.
#[derive(Clone, Debug)]
enum Step {
    Load,
    Create(New),
    Update(Update),
    /// From the expiry of a record that was read, or of one that was not, to a later one or not.
    Slide {
        read: usize,
        off: u64,
        by: i64,
        seen: bool,
    },
    Replace {
        read: usize,
        off: u64,
        successor: usize,
    },
    End,
    EndRead {
        read: usize,
        off: u64,
    },
    Enlist(usize),
    List(usize),
    Strike(usize, BTreeSet<usize>),
    Revoke,
    /// Somebody else writes an attribute of another type.
    Spoil(bool),
}

/// A record to create.
#[derive(Clone, Debug)]
struct New {
    variables: BTreeMap<u8, u8>,
    remembered: bool,
    owned: bool,
    sealed: bool,
    writes: u8,
    /// How much longer than the idle timeout it lives.
    more: u64,
}

/// An update of a record that was read: the newest, or one before.
#[derive(Clone, Debug)]
struct Update {
    read: usize,
    /// How far its revision is off.
    off: u64,
    changes: BTreeMap<u8, Option<u8>>,
    /// Whether so many variables change that they are written in one.
    many: bool,
    /// What is added to its expiry.
    by: i64,
    seals: bool,
}

/// A key, a moment and what is done.
type Call = (usize, u64, Step);

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..30_u64,
        2 => IDLE - 2..IDLE + 3,
        2 => 0..2 * IDLE,
        1 => LIFETIME - 2..LIFETIME + 3,
        1 => 0..LIFETIME,
        1 => REMEMBERED - 2..REMEMBERED + 3,
    ]
}

fn off() -> impl Strategy<Value = u64> {
    prop_oneof![5 => Just(0_u64), 1 => 1..3_u64]
}

fn read() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => 1..3_usize]
}

fn by() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0_i64), 2 => 1..2_000_i64, 1 => -100..0_i64]
}

fn create() -> impl Strategy<Value = Step> {
    let variables = proptest::collection::btree_map(0..4_u8, any::<u8>(), 0..4);
    let more = prop_oneof![3 => Just(0_u64), 1 => 0..REMEMBERED];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (variables, flags, 0..20_u8, more).prop_map(|(variables, (remembered, owned, sealed), writes, more)| {
        Step::Create(New {
            variables,
            remembered,
            owned,
            sealed,
            writes,
            more,
        })
    })
}

fn update() -> impl Strategy<Value = Step> {
    let changes = proptest::collection::btree_map(0..4_u8, proptest::option::of(any::<u8>()), 1..4);
    let rare = prop::bool::weighted(0.1);
    (read(), off(), changes, rare, by(), rare).prop_map(|(read, off, changes, many, by, seals)| {
        Step::Update(Update {
            read,
            off,
            changes,
            many,
            by,
            seals,
        })
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Load),
        6 => create(),
        8 => update(),
        4 => (read(), off(), by(), any::<bool>())
            .prop_map(|(read, off, by, seen)| Step::Slide { read, off, by, seen }),
        3 => (read(), off(), 0..KEYS).prop_map(|(read, off, successor)| Step::Replace { read, off, successor }),
        1 => Just(Step::End),
        2 => (read(), off()).prop_map(|(read, off)| Step::EndRead { read, off }),
        2 => (0..OWNERS).prop_map(Step::Enlist),
        1 => (0..OWNERS).prop_map(Step::List),
        1 => (0..OWNERS, btree_set(0..KEYS, 0..3)).prop_map(|(owner, keys)| Step::Strike(owner, keys)),
        1 => Just(Step::Revoke),
        1 => any::<bool>().prop_map(Step::Spoil),
    ]
}

/// One sequence on all stores, under keys of its own.
struct Sequence<'a> {
    memory: MemoryStore,
    model: Steps,
    tables: &'a [(&'static str, Table)],
    keys: Vec<RecordKey>,
    owners: Vec<OwnerKey>,
    /// The records that were read under each key, the newest last.
    read: Vec<Vec<Record>>,
    /// The keys under which something malformed stands, which memory cannot hold.
    spoiled: BTreeSet<usize>,
}

/// What a call came to.
type Made = Result<Reply, StoreErrorKind>;

#[derive(Debug, PartialEq)]
enum Reply {
    /// What is wrong with a malformed record is said in each store's own words.
    Loaded(Load),
    Written(WriteOutcome),
    List(OwnerList),
    Struck,
    Revoked(Option<RecordKey>),
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

fn at(seconds: u64) -> Moment {
    let (idle, lifetime) = (Duration::from_secs(IDLE), Duration::from_secs(LIFETIME));
    Moment::new(START + seconds, idle, lifetime).with_max_remembered(Duration::from_secs(REMEMBERED))
}

impl New {
    fn record(&self, at: &Moment) -> Record {
        let value = if self.sealed { bytes } else { number };
        let data = self.variables.iter().map(|(n, value_of)| (name(*n), value(*value_of)));
        let mut record = Record::new(data.collect(), at);
        record.expires_at += self.more;
        record.remembered = self.remembered;
        record.sealed = self.sealed;
        record.writes = (0..self.writes)
            .map(|n| WriteToken::from_stored(format!("before-{n}")))
            .collect();
        if self.owned {
            record.owner = Some(value(7));
            record.label = Some("a browser".to_owned());
            record.seen_at = Some(at.now());
        }
        record
    }
}

impl Update {
    fn of(&self, before: &Record, at: &Moment) -> (Record, Changes) {
        let mut next = before.clone();
        next.sealed |= self.seals;
        let value = if next.sealed { bytes } else { number };
        if next.sealed && !before.sealed {
            // Sealed for the first time: all of it.
            let all: Data = next.data.keys().map(|name| (name.clone(), bytes(3))).collect();
            next.data = all;
            next.owner = next.owner.as_ref().map(|_| bytes(5));
        }
        for (n, change) in &self.changes {
            match change {
                Some(n_value) => drop(next.data.insert(name(*n), value(*n_value))),
                None => drop(next.data.remove(&name(*n))),
            }
        }
        if self.many {
            next.data.extend((0..101).map(|n| (name(100 + n), value(n))));
        }
        let changes = Changes::between(&before.data, &next.data);
        next.revision = (before.revision + 1).wrapping_sub(self.off);
        next.expires_at = at
            .expiry(before.created_at)
            .max(before.expires_at)
            .saturating_add_signed(self.by);
        next.seen_at = before.seen_at.map(|seen| seen.max(at.now()));
        next.writes
            .push(WriteToken::from_stored(format!("token-{}", next.revision)));
        (next, changes)
    }
}

impl Sequence<'_> {
    /// One of the records that were read under the key.
    fn read(&self, key: usize, back: usize) -> Record {
        let read = &self.read[key];
        let record = read.len().checked_sub(1 + back).and_then(|place| read.get(place));
        record
            .or(read.last())
            .cloned()
            .unwrap_or_else(|| Record::new(Data::new(), &at(0)))
    }

    async fn make(&self, store: &dyn Store, (key, seconds, step): &Call) -> Made {
        let (place, key, at) = (*key, &self.keys[*key], &at(*seconds));
        let owners = store.owners().expect("a store that keeps lists");
        let made = match step {
            Step::Load | Step::Spoil(_) => store.load(key, at).await.map(loaded),
            Step::Create(new) => store.create(key, &new.record(at)).await.map(Reply::Written),
            Step::Update(update) => {
                let (next, changes) = update.of(&self.read(place, update.read), at);
                store.update(key, &next, &changes, at).await.map(Reply::Written)
            }
            Step::Slide { read, off, by, seen } => {
                let record = self.read(place, *read);
                let to = at.expiry(record.created_at).saturating_add_signed(*by);
                let mut slide: Slide = steps::slide_of(record.expires_at + off, to);
                // A session of nobody has none.
                slide.seen_at = record.seen_at.filter(|_| *seen).map(|before| before.max(at.now()));
                store.slide(key, slide, at).await.map(Reply::Written)
            }
            Step::Replace { read, off, successor } => {
                let revision = self.read(place, *read).revision + off;
                let successor = &self.keys[*successor];
                store.replace(key, revision, successor, at).await.map(Reply::Written)
            }
            Step::End => store.end(key, None, at).await.map(Reply::Written),
            Step::EndRead { read, off } => {
                let revision = self.read(place, *read).revision + off;
                store.end(key, Some(revision), at).await.map(Reply::Written)
            }
            Step::Enlist(owner) => {
                let list = owners.enlist(&self.owners[*owner], key, at).await;
                list.map(Reply::List)
            }
            Step::List(owner) => owners.list(&self.owners[*owner]).await.map(Reply::List),
            Step::Strike(owner, keys) => {
                let keys: Vec<_> = keys.iter().map(|place| self.keys[*place].clone()).collect();
                owners.strike(&self.owners[*owner], &keys).await.map(|()| Reply::Struck)
            }
            Step::Revoke => owners.revoke(key, at).await.map(Reply::Revoked),
        };
        made.map_err(|error| error.kind())
    }

    /// Spoils the record where that can be.
    async fn spoil(&mut self, place: usize, data: bool) {
        let key = self.keys[place].clone();
        let (outside, attribute) = if data {
            (Outside::SpoilsData, "data")
        } else {
            (Outside::SpoilsRevision, "revision")
        };
        if !self.model.control().table.may(outside, &key) {
            return;
        }
        self.spoiled.insert(place);
        self.model.control().table.happen(outside, &key);
        for (_, table) in self.tables {
            table.edit(&key, attribute, Some(string("something else"))).await;
        }
    }

    /// Makes the call on all stores, and compares what it came to and what is read afterwards: by a clock of then, and by one of the
    /// start.
    async fn check(&mut self, call: &Call) -> TestCaseResult {
        let (place, seconds, step) = call;
        if let Step::Spoil(data) = step {
            self.spoil(*place, *data).await;
        }
        let calls = [call.clone(), (*place, *seconds, Step::Load), (*place, 0, Step::Load)];
        for call in &calls {
            let expected = self.make(&self.model, call).await;
            let mut made = Vec::new();
            let of_a_list = matches!(call.2, Step::Enlist(_) | Step::List(_) | Step::Strike(..));
            if of_a_list || !self.spoiled.contains(place) {
                made.push(("memory", self.make(&self.memory, call).await));
            }
            for (name, table) in self.tables {
                made.push((name, self.make(&table.store, call).await));
            }
            for (name, result) in made {
                if result != expected {
                    return Err(TestCaseError::fail(format!(
                        "{call:?}: {name} says {result:?}, the model {expected:?}"
                    )));
                }
            }
        }
        for seconds in [*seconds, 0] {
            let found = self.model.load(&self.keys[*place], &at(seconds)).await;
            if let Ok(Load::Live(record)) = found {
                let known = &mut self.read[*place];
                if known.last() != Some(&record) {
                    known.push(record);
                }
            }
        }
        Ok(())
    }
}

fn loaded(found: Load) -> Reply {
    Reply::Loaded(match found {
        Load::Malformed(_) => Load::Malformed(String::new()),
        other => other,
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn every_call_has_the_same_result_on_every_store() {
    let runtime = runtime();
    let tables = runtime.block_on(tables());
    explore(40, vec((0..KEYS, time(), step()), 1..50), |calls| {
        let unused = || std::iter::repeat_with(steps::key);
        let mut sequence = Sequence {
            memory: MemoryStore::default(),
            model: Steps::open(),
            tables: &tables,
            keys: unused().take(KEYS).collect(),
            owners: unused().take(OWNERS).map(|key| OwnerKey::new(key.as_str())).collect(),
            read: vec![Vec::new(); KEYS],
            spoiled: BTreeSet::new(),
        };
        runtime.block_on(async {
            for call in &calls {
                sequence.check(call).await?;
            }
            Ok(())
        })
    });
}
