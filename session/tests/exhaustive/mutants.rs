//! What is left out, one thing at a time, so that the schedules show that they would notice.

use Mutant::{Forgets, Ignores, Skip, Swap};

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    /// Of variables, be they those of a new session that nobody has the cookie of.
    Change,
    /// A change that leaves nothing, and so a tombstone.
    Empty,
    Slide,
    Replace,
    End,
    Enlist,
    Strike,
}

/// A part of what a swap compares, or of what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// That nothing stands there.
    Nothing,
    /// That no tombstone stands there.
    Tombstone,
    Revision,
    Expiry,
    SeenAt,
    Writes,
    /// The variables that are new.
    Set,
    /// The variables that are gone.
    Removed,
    /// That a tombstone stands there now.
    Ended,
    Successor,
    /// That the successor is a renewal.
    Renewed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The swap does not compare this.
    Ignores(Part),
    /// Nor write this.
    Forgets(Part),
    /// The write is acknowledged and not made.
    Skip(Kind),
    /// The first write is acknowledged and made only after the same request's second one, or after its answer.
    Swap(Kind, Option<Kind>),
}

/// Each mutant, and the property that is found broken first. What a strike leaves out is only seen in the lists, and one that comes
/// after the answer by nobody: it only tidies up.
pub(crate) const ALL: [(Mutant, &str); 30] = [
    (Ignores(Part::Nothing), "P1"),
    (Ignores(Part::Tombstone), "P1"),
    (Ignores(Part::Revision), "P2"),
    (Ignores(Part::Expiry), "P5"),
    (Ignores(Part::SeenAt), "P5"),
    (Forgets(Part::Revision), "P2"),
    (Forgets(Part::Expiry), "P2"),
    (Forgets(Part::Writes), "P2"),
    (Forgets(Part::Set), "P2"),
    (Forgets(Part::Removed), "P2"),
    (Forgets(Part::Ended), "P1"),
    (Forgets(Part::Successor), "P2"),
    (Forgets(Part::Renewed), "P2"),
    (Skip(Kind::Create), "P4"),
    (Skip(Kind::Change), "P2"),
    (Skip(Kind::Empty), "P2"),
    (Skip(Kind::Slide), "P2"),
    (Skip(Kind::Replace), "P4"),
    (Skip(Kind::End), "P2"),
    (Skip(Kind::Enlist), "P2"),
    (Skip(Kind::Strike), "lists"),
    (Swap(Kind::Enlist, Some(Kind::Create)), "P2"),
    (Swap(Kind::Enlist, None), "P2"),
    (Swap(Kind::Create, Some(Kind::Replace)), "orphans"),
    (Swap(Kind::Create, None), "orphans"),
    (Swap(Kind::Change, None), "P2"),
    (Swap(Kind::Empty, None), "P2"),
    (Swap(Kind::Replace, None), "P2"),
    (Swap(Kind::End, None), "P2"),
    (Swap(Kind::End, Some(Kind::Strike)), "P2"),
];
