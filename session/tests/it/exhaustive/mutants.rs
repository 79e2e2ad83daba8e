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
