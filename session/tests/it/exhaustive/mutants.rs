//! What is left out, one thing at a time, so that the exhaustive part shows that it would notice.

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

/// Each mutant, and the property that is found broken first.
pub(crate) fn all() -> Vec<(Mutant, &'static str)> {
    use Clause::*;
    use Mutant::{Skip, Swap, Without};
    let alive = [Write::Load, Write::Update, Write::Slide, Write::Replace].into_iter().flat_map(|write| {
        [NotEnded, Expiry, Lifetime, Young, Flagged, Remembered, DataIsMap, RevisionIsNumber]
            .map(|clause| (Without(write, clause), "P5"))
    });
    let mut all: Vec<_> = alive.collect();
    all.extend([
        (Without(Write::Create, Free), "P"),
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
    ]);
    for write in [Write::Replace, Write::End, Write::EndRead, Write::Revoke] {
        all.extend([SetEnded, SetEmpty, SetUntil].map(|clause| (Without(write, clause), "P1")));
    }
    all.extend([
        (Skip(Write::Create), "P4"),
        (Skip(Write::Update), "P2"),
        (Skip(Write::Slide), "P2"),
        (Skip(Write::Replace), "P4"),
        (Skip(Write::End), "P2"),
        (Skip(Write::EndRead), "P2"),
        (Skip(Write::Enlist), "P2"),
        (Skip(Write::Strike), "P7"),
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
        (Swap(Write::Strike, None), "P2"),
    ]);
    all
}
