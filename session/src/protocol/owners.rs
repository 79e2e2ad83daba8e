//! What is decided about owners' lists: what a login does to its owner's, and how the sessions in one are listed and ended.
//!
//! A login is in the list before its record stands, so whoever reads the list and ends what it names misses no session whose
//! login was answered; and a tombstone under a key whose record does not stand yet makes that login fail.

use std::collections::BTreeSet;

use super::call::{Call, Next, Place, Told};
use super::error::{SessionError, SessionErrorKind};
use super::known::Known;
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::Moment;
use crate::store::OwnerList;

/// Most sessions of one owner: about 120 KB of the 400 that a DynamoDB item may have.
const MOST: usize = 2_000;

/// Most entries of a list in which a login finds no time to count the sessions.
const MOST_ENTRIES: usize = 2 * MOST;

/// How often a login looks for sessions in the list that have ended: when the list has reached a multiple of this.
const SWEEP_EVERY: usize = 32;

/// How many sessions of a list are looked at, or struck, by one call.
const PIECE: usize = 64;

/// Most sessions that are ended before they are struck from the list, so that ending many gets on.
const CHUNK: usize = 128;

/// How long a record may be missing or past its expiry, in seconds, until its key is struck from the list: a day. A write that is
/// under way takes minutes, and clocks are rarely wrong by more than an hour.
const SETTLED: u64 = 24 * 60 * 60;

/// How long a login may be under way, in seconds, until it has failed in all likelihood.
const LOGIN: u64 = 60;

/// A login, as its owner's list sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login<'a> {
    /// The key of its session.
    pub(super) new: &'a RecordKey,
    /// The keys of the sessions that this one takes the place of.
    pub(super) replaced: &'a [RecordKey],
    /// Most sessions that the owner may have.
    pub(super) most: Option<usize>,
}

/// What an entry of a list stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Unread,
    /// A session since this time, or a login that may be under way.
    Standing(u64),
    /// It has expired or its login has failed, but somebody whose clock is behind may still write it. It is not counted, and ended
    /// before it is struck.
    Resting,
    /// Ended for good.
    Gone,
}

fn entry(known: &Known, key: &RecordKey, enlisted: u64, at: &Moment) -> Entry {
    let settled = at.now.saturating_sub(SETTLED);
    match known.place(key) {
        None => Entry::Unread,
        Some(Place::Record(opened)) if opened.stored.is_alive(at) => Entry::Standing(opened.stored.created_at),
        Some(Place::Nothing) if enlisted.saturating_add(LOGIN) > at.now => Entry::Standing(enlisted),
        Some(Place::Record(opened)) if opened.stored.expires_at > settled => Entry::Resting,
        Some(Place::Nothing) if enlisted > settled => Entry::Resting,
        Some(Place::Malformed) => Entry::Resting,
        Some(Place::Record(_) | Place::Nothing | Place::Tombstone(_)) => Entry::Gone,
    }
}

/// The entries of a list that are not the login's own session, nor one that it takes the place of.
fn others<'a>(
    known: &'a Known,
    list: &'a OwnerList,
    login: Login<'a>,
    at: &'a Moment,
) -> impl Iterator<Item = (&'a RecordKey, Entry)> {
    // From the new key on and round again: keys are hashes, so each login looks at another piece.
    let round = list.range(login.new..).chain(list.range(..login.new));
    round
        .filter(move |(key, _)| *key != login.new && !login.replaced.contains(key))
        .map(|(key, enlisted)| (key, entry(known, key, *enlisted, at)))
}

/// So many of the entries that are this.
fn some_of<'a>(entries: impl Iterator<Item = (&'a RecordKey, Entry)>, wanted: Entry) -> Option<Vec<RecordKey>> {
    let keys = entries
        .filter(|(_, entry)| *entry == wanted)
        .map(|(key, _)| key.clone());
    let keys: Vec<_> = keys.take(PIECE).collect();
    (!keys.is_empty()).then_some(keys)
}

fn strike<'a>(owner: &OwnerKey, entries: impl Iterator<Item = (&'a RecordKey, Entry)>) -> Option<Call> {
    some_of(entries, Entry::Gone).map(|gone| Call::Strike(owner.clone(), gone))
}

/// What a login that is in the list does there before its record stands: nothing, unless the list is long or it is time to sweep
/// it.
///
/// # Errors
///
/// There are too many sessions of this owner. A login never fails because they could not be looked at.
pub(super) fn tidy(
    known: &Known,
    owner: &OwnerKey,
    list: &OwnerList,
    login: Login<'_>,
    at: &Moment,
) -> Result<Option<Next>, SessionError> {
    let entries = || others(known, list, login, at);
    let count = list.len();
    // The store had no room for one more.
    let full = known.place(login.new).is_none() && !list.contains_key(login.new);
    let reaches = |most: usize| entries().nth(most.saturating_sub(1)).is_some();
    let crowded = full || count > MOST || login.most.is_some_and(reaches);
    let others_of = |key: &RecordKey| key != login.new && !login.replaced.contains(key);
    let sweeps = known.listed.is_multiple_of(SWEEP_EVERY) && !known.loaded.iter().any(others_of);
    if !known.hurried {
        let looks = crowded || sweeps;
        let call = strike(owner, entries())
            .or_else(|| some_of(entries(), Entry::Unread).filter(|_| looks).map(Call::Load))
            .or_else(|| {
                some_of(entries(), Entry::Resting)
                    .filter(|_| full || count > MOST)
                    .map(Call::End)
            });
        if call.is_some() {
            return Ok(call.map(Next::Aside));
        }
    }
    let standing = entries().filter(|(_, entry)| matches!(entry, Entry::Standing(_)));
    // Where fewer are allowed, the oldest make room later.
    let most = login.most.filter(|most| *most < MOST);
    let no_room = full && count == known.listed;
    if no_room || count > MOST_ENTRIES || count > MOST && most.is_none() && !known.hurried && standing.count() >= MOST {
        let refused = "there are too many sessions of this owner; nobody was logged in";
        return Err(SessionError::new(SessionErrorKind::TooManySessions, refused));
    }
    Ok(full.then(|| Next::Call(Call::Enlist(owner.clone(), login.new.clone()))))
}

/// Ends the oldest sessions of an owner who has one too many, now that the new one stands.
pub(super) fn make_room(known: &Known, login: Login<'_>, at: &Moment) -> Option<Call> {
    let most = login.most?;
    let (owner, list) = known.list.as_ref().filter(|_| !known.hurried)?;
    let mut standing: Vec<_> = others(known, list, login, at)
        .filter_map(|(key, entry)| match entry {
            Entry::Standing(since) => Some((since, key)),
            _ => None,
        })
        .collect();
    standing.sort_unstable();
    let excess = (standing.len() + 1).saturating_sub(most);
    if excess > 0 {
        let oldest = standing[..excess].iter().map(|(_, key)| (*key).clone());
        return Some(Call::End(oldest.take(CHUNK).collect()));
    }
    let ended = known.ended.iter().filter(|key| list.contains_key(key));
    let Some([renewals, _]) = known.follow_listed(list, ended) else {
        return Some(Call::List(owner.clone()));
    };
    if !renewals.is_empty() {
        return Some(Call::End(renewals.into_iter().cloned().collect()));
    }
    strike(owner, others(known, list, login, at))
}

/// Reads what all entries stand for, and strikes what is gone.
pub(super) fn list(known: &Known, owner: &OwnerKey, at: &Moment) -> Next {
    let Some(list) = known.list_of(owner) else {
        return Next::Call(Call::List(owner.clone()));
    };
    let entries = || {
        list.iter()
            .map(|(key, enlisted)| (key, entry(known, key, *enlisted, at)))
    };
    // Struck first, so that the next look at a long list is at a shorter one.
    if let Some(call) = strike(owner, entries()).filter(|_| !known.hurried) {
        return Next::Aside(call);
    }
    some_of(entries(), Entry::Unread).map_or(Next::Over(Told::Keep), |unread| Next::Call(Call::Load(unread)))
}

/// Ends the session that a list calls `handle`, or what renewed it since.
pub(super) fn end(known: &Known, owner: &OwnerKey, handle: &RecordKey, at: &Moment) -> Next {
    let Some(list) = known.list_of(owner) else {
        return Next::Call(Call::List(owner.clone()));
    };
    let Some([standing, ended]) = known.follow_listed(list, [handle]) else {
        return Next::Call(Call::List(owner.clone()));
    };
    if let Some(unread) = standing.iter().find(|key| known.place(key).is_none()) {
        return Next::Call(Call::Load(vec![(*unread).clone()]));
    }
    let all = || ended.iter().chain(&standing).copied().chain([handle]);
    let was_ended = all().any(|key| known.ended.contains(key));
    let Some(enlisted) = all().find_map(|key| list.get(key)) else {
        return Next::Over(if was_ended { Told::Keep } else { Told::Missing });
    };
    let stands = |key: &RecordKey| !matches!(entry(known, key, *enlisted, at), Entry::Gone);
    let pending = Some(handle).filter(|key| matches!(known.place(key), Some(Place::Nothing)));
    let standing = standing.iter().copied().chain(pending).find(|key| stands(key));
    if let Some(standing) = standing {
        return Next::Call(Call::End(vec![standing.clone()]));
    }
    if was_ended {
        let listed: BTreeSet<_> = all().filter(|key| list.contains_key(key)).cloned().collect();
        return Next::Call(Call::Strike(owner.clone(), listed.into_iter().collect()));
    }
    Next::Over(Told::Missing)
}

/// Ends all sessions of an owner, but `but`.
pub(super) fn end_all(known: &Known, owner: &OwnerKey, but: Option<&RecordKey>) -> Result<Next, SessionError> {
    let Some(list) = known.list_of(owner) else {
        return Ok(Next::Call(Call::List(owner.clone())));
    };
    if let Some(but) = but {
        match known.place(but) {
            None => return Ok(Next::Call(Call::Load(vec![but.clone()]))),
            // Another tab of the same browser has renewed it: the list names what it has become.
            Some(Place::Tombstone(tombstone)) if tombstone.replaced_by.is_some() => {
                return Err(SessionError::conflict());
            }
            Some(_) => {}
        }
    }
    let listed: Vec<_> = list.keys().filter(|key| Some(*key) != but).collect();
    let is_ended = |key: &&RecordKey| matches!(known.place(key), Some(Place::Tombstone(_)));
    let ended: Vec<_> = listed.iter().copied().filter(is_ended).take(CHUNK).collect();
    // So many are struck before others are ended, but none before what renewed it has ended.
    let piece = if ended.len() == CHUNK { ended } else { listed };
    let Some([mut standing, ended]) = known.follow_listed(list, piece) else {
        return Ok(Next::Call(Call::List(owner.clone())));
    };
    standing.retain(|key| Some(*key) != but);
    Ok(if !standing.is_empty() {
        Next::Call(Call::End(standing.into_iter().take(CHUNK).cloned().collect()))
    } else if ended.is_empty() {
        Next::Over(Told::Keep)
    } else {
        Next::Call(Call::Strike(owner.clone(), ended.into_iter().cloned().collect()))
    })
}
