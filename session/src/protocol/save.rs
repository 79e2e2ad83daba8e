//! The decisions about saving one visitor's session.
//!
//! The order of the steps is the protocol: first the owner's list names the new record, then the new record is created,
//! then the old record is replaced, and last the cookie is sent. No transaction is needed, because nobody knows the new
//! ID before the cookie is sent.

use std::sync::Arc;

use super::call::{Call, Next, Opened, Place, Told, Write};
use super::error::{SessionError, SessionErrorKind};
use super::known::Known;
use super::owners;
use crate::core::bound::Binding;
use crate::core::edits::Edits;
use crate::core::id::{RecordKey, SessionId};
use crate::core::record::{Record, Stored, Tombstone, WriteToken, has};
use crate::core::time::{Lifetime, Moment};
use crate::core::value::{Data, Value};

/// The most cookies that may verify in one request. A browser holds one, and an attacker may plant another. If more
/// verify, all are ignored.
pub(crate) const MOST_COOKIES: usize = 4;

/// The seconds after a session's end for which a change with its cookie is refused and begins no new session. A request
/// that arrives in that time was probably on its way when the session ended.
const STRAGGLER: u64 = 60;

/// If an owner logs in again while the old session is bound to a device, the browser has this many seconds to bind the
/// new session. After that, the new session is locked. Otherwise a second login would remove the binding.
const REGISTRATION: u64 = 600;

/// What a handler wants to happen to its session.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) edits: Edits,
    /// Whether the session gets a new ID, for a login or another reason.
    pub(crate) renewed: bool,
    pub(crate) login: Option<NewOwner>,
    /// How long the session lives, if not as long as the layer says.
    pub(crate) lifetime: Option<Lifetime>,
    /// Whether all sessions of the request's cookies end. What else is wanted goes into a new session.
    pub(crate) ended: bool,
    /// Whether the edits take something out for this request. Then the session stays even if nothing is left in it.
    pub(crate) takes: bool,
}

/// The owner and the label of a login.
#[derive(Clone, Debug)]
pub(crate) struct NewOwner {
    pub(crate) owner: Value,
    pub(crate) label: Option<String>,
}

impl Wanted {
    pub(crate) fn is_nothing(&self) -> bool {
        self.edits.is_empty() && !self.renewed && !self.ended
    }

    /// Whether a new session inherits the owner and the lifetime of the old one: nobody logged in, and nothing
    /// was cleared.
    pub(crate) fn inherits(&self) -> bool {
        self.login.is_none() && !self.edits.cleared
    }

    /// Returns the binding of a new session that replaces the session `before`, whose record has the key `key`. A
    /// renewal keeps the binding, so it can neither bind the session to another device nor give the browser more time
    /// to send a key. After a login of the same owner, the browser has [`REGISTRATION`] seconds to bind the new
    /// session. If `before` had another owner or no owner, or if the handler cleared it, the new session has no
    /// binding.
    fn binding(&self, key: &RecordKey, before: &Record, at: &Moment) -> Option<Binding> {
        let bound = before.bound.as_ref()?;
        let awaited = || Binding::awaited(at.now.saturating_add(REGISTRATION));
        match &self.login {
            Some(login) => (before.owner.as_ref() == Some(&login.owner)).then(awaited),
            None => self.inherits().then(|| bound.renewed(key)),
        }
    }

    /// Creates the record of a new session with `data`, which replaces the session `before`.
    fn record(&self, data: Data, before: Option<(&RecordKey, &Record)>, at: &Moment) -> Record {
        let mut record = Record::new(data, at.now, at.expiry(at.now));
        record.sealed = before.is_some_and(|(_, before)| before.sealed);
        if let Some((_, before)) = before.filter(|_| self.inherits()) {
            record.owner.clone_from(&before.owner);
            record.label.clone_from(&before.label);
            record.inherit(before, at);
        }
        record.bound = before.and_then(|(key, before)| self.binding(key, before, at));
        if let Some(login) = &self.login {
            record.owner = Some(login.owner.clone());
            record.label.clone_from(&login.label);
        }
        if let Some(lifetime) = self.lifetime {
            record.live(lifetime, at);
        }
        record.seen_at = record.owner.is_some().then_some(at.now);
        record
    }
}

/// The random values that a save may use: the ID of a new session, and the token of its writes.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) id: SessionId,
    pub(crate) token: WriteToken,
}

/// The key and the record of the session that the handler saw.
type Saw = (RecordKey, Arc<Record>);

/// A request's save.
#[derive(Clone)]
pub(crate) struct Save {
    /// The record keys of the request's cookies, and of the sessions that it has saved.
    pub(crate) keys: Vec<RecordKey>,
    /// When the request first read what is stored under them, in seconds since 1970.
    pub(crate) read_at: u64,
    /// The live session that the handler saw.
    pub(crate) saw: Option<Saw>,
    /// Whether the visitor may have a live session that is bound to a device, and the request does not come from it.
    /// Such a request leaves the cookie alone, unless it logs in anew.
    pub(crate) locked: bool,
    /// The keys of the request's session cookies without a valid second cookie, which would prove that the request
    /// comes from the device. Empty if the layer binds no sessions. It may contain keys that are not in `keys`.
    pub(crate) unproven: Vec<RecordKey>,
    pub(crate) wanted: Wanted,
    pub(crate) fresh: Fresh,
    /// The most sessions that an owner may have.
    pub(crate) per_owner: Option<usize>,
}

impl Save {
    /// Decides what comes next. If the handler did several things, the strongest counts: ended, emptied, renewed,
    /// changed.
    pub(super) fn next(&self, known: &Known, at: &Moment) -> Result<Next, SessionError> {
        if self.wanted.ended && self.locked && self.wanted.login.is_none() {
            return self.leave();
        }
        if self.wanted.ended {
            return self.end(known, &self.keys, at);
        }
        let Some(saw) = &self.saw else {
            return self.begin(known, at);
        };
        match known.place(&saw.0) {
            None => Ok(Next::Call(Call::Load(vec![saw.0.clone()]))),
            Some(Place::Record(now)) if now.record.is_alive(at) => self.change(known, saw, now, at),
            Some(place) => self.too_late(known, saw, place, at),
        }
    }

    /// Decides a logout. It ends the sessions under these keys, and the sessions that renewed them, except for renewals
    /// that are bound to a device from which the request does not come. If the handler then added a flash message or
    /// logged in, a new session begins.
    fn end(&self, known: &Known, keys: &[RecordKey], at: &Moment) -> Result<Next, SessionError> {
        let [mut standing, _] = known.follow(keys);
        let [proven, _] = known.follow(keys.iter().filter(|key| !self.unproven.contains(key)));
        // The request's own sessions were checked for a lock when they were read. Their renewals are checked here.
        let is_doubtful = |key: &&RecordKey| !keys.contains(key) && !proven.contains(key);
        let doubtful = standing.iter().copied().filter(is_doubtful);
        if let Some(load) = known.loading(doubtful.clone()) {
            return Ok(Next::Call(load));
        }
        let locked: Vec<_> = doubtful.filter(|key| known.needs_second(key, at)).collect();
        standing.retain(|key| !locked.contains(key));
        if !standing.is_empty() {
            return Ok(Next::Call(Call::End(standing.into_iter().cloned().collect())));
        }
        if self.wanted.login.is_none() && (self.locked || !locked.is_empty()) {
            return self.leave();
        }
        let new = self
            .wanted
            .record(self.wanted.edits.applied_to(&Data::new())?, None, at);
        if new.data.is_empty() && new.owner.is_none() {
            return Ok(Next::Over(Told::Clear));
        }
        self.stand(known, new, None, at)
    }

    /// Leaves the cookie of a locked session alone. Fails if there is a flash message, because the message needs a new
    /// session, whose cookie would replace that of the locked one.
    fn leave(&self) -> Result<Next, SessionError> {
        if self.wanted.edits.applied_to(&Data::new())?.is_empty() {
            Ok(Next::Over(Told::Keep))
        } else {
            Err(SessionError::conflict())
        }
    }

    /// Decides a save where there was no session. It creates one if there are variables or an owner.
    fn begin(&self, known: &Known, at: &Moment) -> Result<Next, SessionError> {
        let data = self.wanted.edits.applied_to(&Data::new())?;
        let record = self.wanted.record(data, None, at);
        if record.data.is_empty() && record.owner.is_none() {
            // A `clear` without a live session ends what is stored under the cookies' keys, so that these IDs are dead.
            return if self.wanted.edits.cleared && !self.keys.is_empty() {
                self.end(known, &self.keys, at)
            } else {
                Ok(Next::Over(Told::Keep))
            };
        }
        if !self.wanted.renewed && (self.locked || self.is_late(known) || self.is_planted(known, at)) {
            return Err(SessionError::conflict());
        }
        self.stand(known, record, None, at)
    }

    /// Whether another request ended the session while this one was on its way.
    fn is_late(&self, known: &Known) -> bool {
        let mut others = self.keys.iter().filter(|key| !known.ended.contains(*key));
        others.any(|key| match known.place(key) {
            Some(Place::Tombstone(tombstone)) => tombstone.ended_at.saturating_add(STRAGGLER) > self.read_at,
            _ => false,
        })
    }

    /// Whether several cookies belong to live sessions, so that nobody can tell which one is the visitor's.
    fn is_planted(&self, known: &Known, at: &Moment) -> bool {
        let alive = self.keys.iter().filter_map(|key| known.alive(key, at));
        self.keys.len() > MOST_COOKIES || alive.count() > 1
    }

    /// Decides a change of a live session, whose present record is `now`.
    fn change(&self, known: &Known, (key, saw): &Saw, now: &Opened, at: &Moment) -> Result<Next, SessionError> {
        if self.landed(known, &now.record.writes, now.record.revision)? {
            return Ok(Next::Over(Told::Changed));
        }
        let Wanted { edits, renewed, .. } = &self.wanted;
        let data = edits.of_consequence(&saw.data).applied_to(&now.record.data)?;
        let changed = data != now.record.data;
        let new = renewed.then(|| self.wanted.record(data.clone(), Some((key, &now.record)), at));
        let owned = new.as_ref().map_or(&now.record.owner, |new| &new.owner).is_some();
        let emptied = !edits.is_empty() && self.empties(&data, owned);
        match new {
            _ if emptied && !changed && edits.cleared => self.end(known, std::slice::from_ref(key), at),
            Some(new) if !(emptied && changed) => {
                let left = Tombstone {
                    replaced_by: Some(self.fresh.id.record_key().clone()),
                    renewed: self.wanted.inherits(),
                    ..now.record.ended(at.now)
                };
                let replace = Call::swap(key, Some(now), Stored::Tombstone(left), Write::Replace);
                self.stand(known, new, Some(replace), at)
            }
            _ if !changed => Ok(view(known, key, at)),
            _ => {
                let next = now.record.changed(data, &self.fresh.token, at);
                let next = if emptied {
                    Stored::Tombstone(next.ended(at.now))
                } else {
                    Stored::Record(next)
                };
                Ok(Next::Call(Call::swap(key, Some(now), next, Write::Change)))
            }
        }
    }

    /// Whether a session with these variables ends. A session with an owner stays even if it is empty.
    fn empties(&self, data: &Data, owned: bool) -> bool {
        data.is_empty() && !owned && !self.wanted.takes
    }

    /// Whether the store has made the last change and only its reply was lost: `writes` and `revision` are those of the
    /// present record.
    fn landed(&self, known: &Known, writes: &[WriteToken], revision: u64) -> Result<bool, SessionError> {
        match &known.sent {
            Some((read, true)) => {
                let forgotten = "too many other requests changed the session to tell whether this one did";
                let landed = has(writes, revision, &self.fresh.token, read.revision);
                landed.ok_or_else(|| SessionError::new(SessionErrorKind::Contention, forgotten))
            }
            _ => Ok(false),
        }
    }

    /// Decides a save whose session has ended since the handler saw it.
    fn too_late(&self, known: &Known, (key, saw): &Saw, place: &Place, at: &Moment) -> Result<Next, SessionError> {
        let Wanted { edits, login, .. } = &self.wanted;
        let read = known.sent.as_ref().map_or(saw, |(read, _)| read);
        let as_read = edits.of_consequence(&saw.data).applied_to(&read.data)?;
        // A delayed write may extend an expired record that nobody has ended, so a new session replaces it, too.
        let (tombstone, old) = match place {
            Place::Tombstone(tombstone) => (Some(tombstone), None),
            Place::Record(now) => {
                let left = Stored::Tombstone(now.record.ended(at.now));
                let replace = Call::swap(key, Some(now), left, Write::Replace);
                (None, Some(replace))
            }
            Place::Nothing | Place::Malformed => (None, None),
        };
        if let Some(tombstone) = tombstone
            && self.landed(known, &tombstone.writes, tombstone.revision)?
        {
            // If the change left nothing, it ended the session itself. Otherwise somebody has ended the session since.
            let emptied = self.empties(&as_read, read.owner.is_some());
            return Ok(Next::Over(if emptied { Told::Clear } else { Told::Changed }));
        }
        if known.ended.contains(key) && edits.cleared && as_read.is_empty() && login.is_none() {
            return self.end(known, std::slice::from_ref(key), at);
        }
        if !self.wanted.renewed {
            return if as_read == read.data {
                Ok(Next::Over(Told::Keep))
            } else {
                Err(SessionError::conflict())
            };
        }
        let replaced = tombstone.filter(|tombstone| tombstone.replaced_by.is_some());
        let data = match replaced {
            Some(mine) if mine.replaced_by.as_ref() == Some(self.fresh.id.record_key()) => as_read,
            // A renewal inherits its owner from the session, so it fails if that session has ended.
            _ if read.owner.is_some() && self.wanted.inherits() => return Err(SessionError::conflict()),
            // Another login from the same state was faster, as after a double click, and both are valid. A newer state
            // may belong to another user.
            Some(other) if other.revision == read.revision && !edits.is_empty() && !as_read.is_empty() => as_read,
            Some(other) if other.revision == read.revision && login.is_some() => as_read,
            Some(_) => return Err(SessionError::conflict()),
            None => {
                let own = edits.applied_to(&Data::new())?;
                if own.is_empty() && login.is_none() {
                    return Err(SessionError::conflict());
                }
                // A request that ended all of the owner's sessions may have ended the new one, too.
                let new = self.fresh.id.record_key();
                if known.record(new).is_some() && !known.reloaded {
                    return Ok(Next::Call(Call::Load(vec![new.clone()])));
                }
                own
            }
        };
        self.stand(known, self.wanted.record(data, Some((key, read)), at), old, at)
    }

    /// Creates a new session. The call `old` replaces the session before it by a tombstone.
    fn stand(&self, known: &Known, record: Record, old: Option<Call>, at: &Moment) -> Result<Next, SessionError> {
        let new = self.fresh.id.record_key();
        if let Some(owner) = record.owner_key()
            && let Some(next) = owners::enter(known, &owner, self.login(), at)?
        {
            return Ok(next);
        }
        let call = match known.place(new) {
            None => Call::swap(new, None, Stored::Record(record), Write::New),
            Some(Place::Record(now))
                if now.record.data != record.data
                    || now.record.bound != record.bound
                    || record.sealed && !now.record.sealed =>
            {
                let mut next = now.record.changed(record.data, &self.fresh.token, at);
                next.sealed |= record.sealed;
                next.bound = record.bound;
                Call::swap(new, Some(now), Stored::Record(next), Write::New)
            }
            Some(Place::Record(_)) => return Ok(self.take_over(known, old, at)),
            // A request that ended all of the owner's sessions has ended this one, too.
            Some(_) => return Err(SessionError::conflict()),
        };
        Ok(Next::Call(call))
    }

    fn login(&self) -> owners::Login<'_> {
        owners::Login {
            new: self.fresh.id.record_key(),
            replaced: &self.keys,
            most: self.per_owner,
        }
    }

    /// After the new record was created, ends the other sessions, and then sends the cookie.
    fn take_over(&self, known: &Known, old: Option<Call>, at: &Moment) -> Next {
        if let Some(replace) = old {
            return Next::Call(replace);
        }
        // An expired session is ended, too. Otherwise a delayed write could revive it beside the new one.
        let stands = |key: &&RecordKey| !matches!(known.place(key), Some(Place::Tombstone(_) | Place::Nothing));
        let standing: Vec<_> = self.keys.iter().filter(stands).cloned().collect();
        if !standing.is_empty() {
            return Next::Call(Call::End(standing));
        }
        match owners::make_room(known, self.login(), at) {
            Some(call) => Next::Aside(call),
            None => Next::Over(Told::Issue),
        }
    }
}

/// Decides a view, which moves the expiry of a live session if that is worth a write.
pub(super) fn view(known: &Known, key: &RecordKey, at: &Moment) -> Next {
    let alive = known.alive(key, at);
    match alive.and_then(|read| Some((read, read.record.slid(at)?))) {
        Some((read, slid)) if !known.hurried => {
            Next::Aside(Call::swap(key, Some(read), Stored::Record(slid), Write::Slide))
        }
        _ => Next::Over(Told::Keep),
    }
}
