//! The mutants. Each breaks one thing, to show that the schedules notice it.

use Mutant::{Forgets, Ignores, Skip, Swap};

/// The purpose of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Create,
    /// Changes variables, also those of a new session whose cookie was not sent.
    Change,
    /// Ends a session because the change leaves nothing in it, and writes a tombstone.
    Empty,
    Slide,
    Replace,
    End,
    Enlist,
    Strike,
}

/// A part of what a swap compares or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Whether nothing is stored.
    Nothing,
    /// Whether a tombstone is stored.
    Tombstone,
    Revision,
    Expiry,
    SeenAt,
    Writes,
    /// The variables that are set.
    Set,
    /// The variables that are removed.
    Removed,
    /// The tombstone that ends a session.
    Ended,
    Successor,
    /// Whether the successor is a renewal.
    Renewed,
    /// The device that the session is bound to.
    Bound,
    /// The same in the record of a new session, which renews one that is bound.
    Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The swap does not compare this part.
    Ignores(Part),
    /// The write leaves this part out.
    Forgets(Part),
    /// The write is acknowledged and not made.
    Skip(Kind),
    /// The first write is acknowledged, but made only after the request's second one, or after its answer if there is
    /// none.
    Swap(Kind, Option<Kind>),
}

/// Each mutant, and the property whose violation is found first. A strike that is left out shows only in the lists. A
/// strike after the answer shows nowhere, because strikes only tidy up, so it is not in this list.
pub(crate) const ALL: [(Mutant, &str); 32] = [
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
    (Forgets(Part::Bound), "P2"),
    (Forgets(Part::Kept), "P2"),
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
