//! How a request names a member of a group.

/// Who calls itself a member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberRef {
    /// The group.
    pub group: String,
    /// "" for nobody yet.
    pub member_id: String,
    /// Of a static member (KIP-345).
    pub instance_id: Option<String>,
    /// The generation it believes in, -1 for none.
    pub generation: i32,
}
