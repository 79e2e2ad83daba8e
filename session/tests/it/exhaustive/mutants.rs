//! What is left out, one thing at a time, so that the exhaustive part shows that it would notice.

use Clause::{
    Again, DataIsMap, Exists, Expiry, Flagged, Free, From, Grows, KeepsWrites, Lifetime, NotEnded, NotReplaced,
    Remembered, RemoveData, Revision, RevisionIsNumber, SetData, SetEmpty, SetEnded, SetExpiry, SetRevision,
    SetSuccessor, SetUntil, SetWrites, Young,
};
use Mutant::{Skip, Swap, Without};

/// The conditional writes of `expression.rs`, the create of `dynamodb.rs`, and the judgement of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Load,
    Create,
    Update,
    Slide,
    Replace,
    End,
    EndRead,
    Enlist,
    Strike,
    Revoke,
}

/// A conjunct of a condition, or what an expression sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// `attribute_not_exists(#id)`
    Free,
    /// `attribute_exists(#id)`
    Exists,
    /// `attribute_not_exists(#ended)`
    NotEnded,
    /// `#expires_at > :now`
    Expiry,
    /// All that is asked of `#created_at`.
    Lifetime,
    /// `#created_at > :oldest`
    Young,
    /// `#remember = :true`
    Flagged,
    /// `#created_at > :remembered`
    Remembered,
    /// `attribute_type(#data, :map)`
    DataIsMap,
    /// `attribute_type(#revision, :number)`
    RevisionIsNumber,
    /// `#revision = :read`
    Revision,
    /// `#expires_at <= :expires_at`
    Grows,
    /// `#expires_at = :from`
    From,
    /// `#replaced_by = :successor`
    Again,
    /// `attribute_not_exists(#replaced_by)`
    NotReplaced,
    SetRevision,
    SetExpiry,
    SetWrites,
    SetData,
    RemoveData,
    SetEnded,
    SetEmpty,
    SetUntil,
    SetSuccessor,
    /// A tombstone keeps `#writes`.
    KeepsWrites,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The write without this clause.
    Without(Write, Clause),
    /// The step is acknowledged and not made.
    Skip(Write),
    /// The first step is acknowledged and made only after the same request's second one, or after its answer.
    Swap(Write, Option<Write>),
}

/// Each mutant, and the property that is found broken first. Two clauses are not here, because another implies them:
/// `attribute_type(#revision, :number)` of the update and of the replacement, by `#revision = :read`. Neither is a strike that comes
/// after the answer: it only tidies up. Nor that an end keeps `#writes`: a change that was made before a logout may as well be refused, because
/// nobody can see that it was made.
pub(crate) const ALL: [(Mutant, &str); 79] = [
    (Without(Write::Load, NotEnded), "P1"),
    (Without(Write::Load, Expiry), "P5"),
    (Without(Write::Load, Lifetime), "P5"),
    (Without(Write::Load, Young), "P2"),
    (Without(Write::Load, Flagged), "P5"),
    (Without(Write::Load, Remembered), "P5"),
    (Without(Write::Load, DataIsMap), "P5"),
    (Without(Write::Load, RevisionIsNumber), "P5"),
    (Without(Write::Update, NotEnded), "P1"),
    (Without(Write::Update, Expiry), "P5"),
    (Without(Write::Update, Lifetime), "P5"),
    (Without(Write::Update, Young), "P7"),
    (Without(Write::Update, Flagged), "P5"),
    (Without(Write::Update, Remembered), "P5"),
    (Without(Write::Update, DataIsMap), "P2"),
    (Without(Write::Slide, NotEnded), "P1"),
    (Without(Write::Slide, Expiry), "P5"),
    (Without(Write::Slide, Lifetime), "P5"),
    (Without(Write::Slide, Young), "P2"),
    (Without(Write::Slide, Flagged), "P5"),
    (Without(Write::Slide, Remembered), "P5"),
    (Without(Write::Slide, DataIsMap), "P5"),
    (Without(Write::Slide, RevisionIsNumber), "P5"),
    (Without(Write::Replace, NotEnded), "P1"),
    (Without(Write::Replace, Expiry), "P5"),
    (Without(Write::Replace, Lifetime), "P5"),
    (Without(Write::Replace, Young), "P7"),
    (Without(Write::Replace, Flagged), "P5"),
    (Without(Write::Replace, Remembered), "P5"),
    (Without(Write::Replace, DataIsMap), "P5"),
    (Without(Write::Create, Free), "P1"),
    (Without(Write::Update, Revision), "P2"),
    (Without(Write::Update, Grows), "P5"),
    (Without(Write::Slide, From), "P5"),
    (Without(Write::Replace, Revision), "P2"),
    (Without(Write::Replace, Again), "P2"),
    (Without(Write::End, Exists), "P4"),
    (Without(Write::EndRead, Revision), "P2"),
    (Without(Write::EndRead, NotReplaced), "P2"),
    (Without(Write::Update, SetRevision), "P2"),
    (Without(Write::Update, SetExpiry), "P2"),
    (Without(Write::Update, SetWrites), "P2"),
    (Without(Write::Update, SetData), "P2"),
    (Without(Write::Update, RemoveData), "P2"),
    (Without(Write::Slide, SetExpiry), "P2"),
    (Without(Write::Replace, SetSuccessor), "P2"),
    (Without(Write::Replace, SetEnded), "P1"),
    (Without(Write::Replace, SetEmpty), "P1"),
    (Without(Write::Replace, SetUntil), "P1"),
    (Without(Write::Replace, KeepsWrites), "P2"),
    (Without(Write::End, SetEnded), "P1"),
    (Without(Write::End, SetEmpty), "P1"),
    (Without(Write::End, SetUntil), "P1"),
    (Without(Write::EndRead, SetEnded), "P1"),
    (Without(Write::EndRead, SetEmpty), "P1"),
    (Without(Write::EndRead, SetUntil), "P1"),
    (Without(Write::Revoke, SetEnded), "P1"),
    (Without(Write::Revoke, SetEmpty), "P1"),
    (Without(Write::Revoke, SetUntil), "P1"),
    (Skip(Write::Create), "P4"),
    (Skip(Write::Update), "P2"),
    (Skip(Write::Slide), "P2"),
    (Skip(Write::Replace), "P4"),
    (Skip(Write::End), "P2"),
    (Skip(Write::EndRead), "P2"),
    (Skip(Write::Enlist), "P2"),
    (Skip(Write::Strike), "lists"),
    (Skip(Write::Revoke), "P2"),
    (Swap(Write::Enlist, Some(Write::Create)), "P2"),
    (Swap(Write::Enlist, None), "P2"),
    (Swap(Write::Create, Some(Write::Replace)), "P2"),
    (Swap(Write::Create, Some(Write::End)), "P2"),
    (Swap(Write::Create, None), "P2"),
    (Swap(Write::Update, None), "P2"),
    (Swap(Write::Replace, None), "P2"),
    (Swap(Write::End, None), "P2"),
    (Swap(Write::EndRead, None), "P2"),
    (Swap(Write::Revoke, Some(Write::Strike)), "P2"),
    (Swap(Write::Revoke, None), "P2"),
];
