//! The shapes of the message library's structs: Kafka 4.4's schemas as facts, one entry a message.
//!
//! ```text
//! Metadata {                                             the API
//!     Topics [ TopicId uuid 10+; Name string 0+; ] 0+;   [] is an array, here of structs
//!     AllowAutoTopicCreation bool 4+;                    a field, and the versions that have it
//!     IncludeClusterAuthorizedOperations bool 8-10;
//! }
//! ```
//!
//! `[i32]` is an array of integers, `{}` a struct, `()` a struct that may be null, `tag N` a tagged
//! field. The notation omits which strings, bytes and arrays may be null: the decoder knows, and
//! for the walk a null value is just a short one. Versions of the message are in `apis.rs`. Entries
//! are generated from the schemas.

pub(super) mod requests;
pub(super) mod responses;

macro_rules! shapes {
    ($($name:ident { $($fields:tt)* })*) => {$(
        #[allow(non_upper_case_globals)]
        pub(in crate::protocol) const $name: &[crate::codec::shape::FieldShape] =
            crate::codec::shape::field_shapes!($($fields)*);
    )*};
}

use shapes;
