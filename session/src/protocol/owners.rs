//! The decisions about owners' lists: how a login enters its owner's list, and how the sessions in a list are listed
//! and ended.
//!
//! A login enters the list before its record is created. So a request that reads the list and ends every session in it
//! misses no session whose login was answered. If a listed record does not exist yet, ending it leaves a tombstone, and
//! the tombstone makes that login fail.

use std::collections::BTreeSet;

use super::call::{Call, Next, Place, Told};
use super::error::{SessionError, SessionErrorKind};
use super::known::{Known, Listed};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::Moment;
use crate::store::OwnerList;

/// The most live sessions of one owner. Their list takes about 120 KB of the 400 KB that a DynamoDB item may have.
const MOST: usize = 2_000;

/// The most entries of a list. Beyond it a login is refused even if it has no time to count the live sessions.
const MOST_ENTRIES: usize = 2 * MOST;

/// A login looks for ended sessions in the list when the length of the list is a multiple of this number.
const SWEEP_EVERY: usize = 32;

/// The most entries of a list that one call loads or tidies up.
const PIECE: usize = 64;

/// The most sessions that are ended before they are struck from the list, so that ending many sessions makes progress.
const CHUNK: usize = 128;

/// The seconds for which a record must be missing or expired before its key is struck from the list: a day. A delayed
/// write takes minutes, and clocks are rarely wrong by more than an hour.
const SETTLED: u64 = 24 * 60 * 60;

/// The seconds that a login may take. After them the login has almost certainly failed.
const LOGIN: u64 = 60;

/// A login, as the decisions about its owner's list need it.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    /// The key of the new session.
    pub(super) new: &'a RecordKey,
    /// The keys of the sessions that the new one replaces.
    pub(super) replaced: &'a [RecordKey],
    /// The most sessions that the owner may have.
    pub(super) most: Option<usize>,
}

/// The state of an entry in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Unread,
    /// A session that has been alive, or a login that may have been under way, since this time.
    Standing(u64),
    /// Expired by our clock, perhaps not yet by a slower one; or a login that has failed; or a malformed record. Such
    /// an entry is not counted. Its key can be struck after its session is ended, or, unless the record is malformed,
    /// after [`SETTLED`].
    Resting,
    /// Ended for good, so the key can be struck.
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

/// The entries of a list, without the login's own session and the sessions that it replaces.
fn others<'a>(
    known: &'a Known,
    list: &'a OwnerList,
    login: Login<'a>,
    at: &'a Moment,
) -> impl Iterator<Item = (&'a RecordKey, Entry)> {
    // Starts at the new key and wraps around. Keys are hashes, so each login looks at another piece of the list.
    let round = list.range(login.new..).chain(list.range(..login.new));
    round
        .filter(move |(key, _)| *key != login.new && !login.replaced.contains(key))
        .map(|(key, enlisted)| (key, entry(known, key, *enlisted, at)))
}

/// Returns up to [`PIECE`] keys whose entries are in the state `wanted`, or `None` if no entry is.
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

/// Decides how a login enters its owner's list, and tidies it, before its record is created. Returns `None` when that
/// is done.
///
/// # Errors
///
/// The owner has too many sessions, or their list is full. If the other sessions could not be read, a login fails only
/// if the list is full or has more than [`MOST_ENTRIES`] entries.
pub(super) fn enter(
    known: &Known,
    owner: &OwnerKey,
    login: Login<'_>,
    at: &Moment,
) -> Result<Option<Next>, SessionError> {
    let enlist = || Next::Call(Call::Enlist(owner.clone(), login.new.clone()));
    let Some(list) = known.list_of(owner) else {
        return Ok(Some(enlist()));
    };
    let sessions = &list.sessions;
    let entries = || others(known, sessions, login, at);
    let count = sessions.len();
    // The store refused to add the new key, because the list is too large.
    let full = known.place(login.new).is_none() && !sessions.contains_key(login.new);
    let reaches = |most: usize| entries().nth(most.saturating_sub(1)).is_some();
    let crowded = full || count > MOST || login.most.is_some_and(reaches);
    // A login that has swept knows some entries or has struck some.
    let is_unswept = || count == list.length_when_read && entries().all(|(_, entry)| entry == Entry::Unread);
    let sweeps = count.is_multiple_of(SWEEP_EVERY) && is_unswept();
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
    // With a lower maximum, `make_room` ends the oldest sessions later.
    let most = login.most.filter(|most| *most < MOST);
    let no_room = full && count == list.length_when_read;
    if no_room || count > MOST_ENTRIES || count > MOST && most.is_none() && !known.hurried && standing.count() >= MOST {
        let refused = "there are too many sessions of this owner; nobody was logged in";
        return Err(SessionError::new(SessionErrorKind::TooManySessions, refused));
    }
    Ok(full.then(enlist))
}

/// Ends the owner's oldest sessions beyond the maximum, after the new record was created.
pub(super) fn make_room(known: &Known, login: Login<'_>, at: &Moment) -> Option<Call> {
    let most = login.most?;
    let list = known.list.as_deref().filter(|_| !known.hurried)?;
    let Listed { owner, sessions, .. } = list;
    let mut standing: Vec<_> = others(known, sessions, login, at)
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
    let ended = known.ended.iter().filter(|key| sessions.contains_key(key));
    let Some([renewals, _]) = known.follow_listed(list, ended) else {
        return Some(Call::List(owner.clone()));
    };
    if !renewals.is_empty() {
        return Some(Call::End(renewals.into_iter().cloned().collect()));
    }
    strike(owner, others(known, sessions, login, at))
}

/// Loads the records of all entries, and strikes the entries whose sessions are gone. Returns `None` if the list has to
/// be read first.
pub(super) fn list(known: &Known, owner: &OwnerKey, at: &Moment) -> Option<Next> {
    let list = known.list_of(owner)?;
    let entries = || {
        list.sessions
            .iter()
            .map(|(key, enlisted)| (key, entry(known, key, *enlisted, at)))
    };
    // Striking comes before further loads, so that a listing that is interrupted still shortens the list.
    if let Some(call) = strike(owner, entries()).filter(|_| !known.hurried) {
        return Some(Next::Aside(call));
    }
    let unread = some_of(entries(), Entry::Unread);
    Some(unread.map_or(Next::Over(Told::Keep), |unread| Next::Call(Call::Load(unread))))
}

/// Ends the session with this `handle`, or the session that has renewed it since. Returns `None` if the list has to be
/// read first, or again.
pub(super) fn end(known: &Known, owner: &OwnerKey, handle: &RecordKey, at: &Moment) -> Option<Next> {
    let list = known.list_of(owner)?;
    let [standing, ended] = known.follow_listed(list, [handle])?;
    if let Some(unread) = standing.iter().find(|key| known.place(key).is_none()) {
        return Some(Next::Call(Call::Load(vec![(*unread).clone()])));
    }
    let all = || ended.iter().chain(&standing).copied().chain([handle]);
    let was_ended = all().any(|key| known.ended.contains(key));
    let Some(enlisted) = all().find_map(|key| list.sessions.get(key)) else {
        return Some(Next::Over(if was_ended { Told::Keep } else { Told::Missing }));
    };
    let stands = |key: &RecordKey| !matches!(entry(known, key, *enlisted, at), Entry::Gone);
    let pending = Some(handle).filter(|key| matches!(known.place(key), Some(Place::Nothing)));
    let standing = standing.iter().copied().chain(pending).find(|key| stands(key));
    if let Some(standing) = standing {
        return Some(Next::Call(Call::End(vec![standing.clone()])));
    }
    if was_ended {
        let listed: BTreeSet<_> = all().filter(|key| list.sessions.contains_key(key)).cloned().collect();
        return Some(Next::Call(Call::Strike(owner.clone(), listed.into_iter().collect())));
    }
    Some(Next::Over(Told::Missing))
}

/// Ends all sessions of an owner, except `but`. Returns `Ok(None)` if the list has to be read first, or again.
pub(super) fn end_all(known: &Known, owner: &OwnerKey, but: Option<&RecordKey>) -> Result<Option<Next>, SessionError> {
    let Some(list) = known.list_of(owner) else {
        return Ok(None);
    };
    if let Some(but) = but {
        match known.place(but) {
            None => return Ok(Some(Next::Call(Call::Load(vec![but.clone()])))),
            // Another tab of the same browser has replaced this session, and ending all others would end the new one.
            Some(Place::Tombstone(tombstone)) if tombstone.replaced_by.is_some() => {
                return Err(SessionError::conflict());
            }
            Some(_) => {}
        }
    }
    let listed: Vec<_> = list.sessions.keys().filter(|key| Some(*key) != but).collect();
    let is_ended = |key: &&RecordKey| matches!(known.place(key), Some(Place::Tombstone(_)));
    let ended: Vec<_> = listed.iter().copied().filter(is_ended).take(CHUNK).collect();
    // A full chunk of ended sessions is struck before others are ended, but not before the sessions that renewed them
    // have ended.
    let piece = if ended.len() == CHUNK { ended } else { listed };
    let Some([mut standing, ended]) = known.follow_listed(list, piece) else {
        return Ok(None);
    };
    standing.retain(|key| Some(*key) != but);
    Ok(Some(if !standing.is_empty() {
        Next::Call(Call::End(standing.into_iter().take(CHUNK).cloned().collect()))
    } else if ended.is_empty() {
        Next::Over(Told::Keep)
    } else {
        Next::Call(Call::Strike(owner.clone(), ended.into_iter().cloned().collect()))
    }))
}
