//! The declaration of messages.
//!
//! A message reads like Kafka's schema of it:
//!
//! ```text
//! messages! {
//!     /// What it says.
//!     pub struct BeginTransactionRecord: 0..=0, flexible 0.. {
//!         /// A name for people.
//!         name: Option<String> = 0.., tag 0;
//!     }
//! }
//! ```
//!
//! A field has the versions that carry it, then optionally `tag N`, `default EXPR` and
//! `[ignorable]`. A field with a value other than its default, at a version that lacks it, is an
//! error unless it is ignorable; a tagged field is written when it differs from its default.

/// Declares messages; see the module.
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident: $versions:expr, flexible $flexible:expr; {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty = $first:literal $range:tt $($last:literal)?
                    $(, tag $tag:literal)? $(, default $default:expr)? $(, [$ignorable:ident])?;
            )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::codec::messages!(@default $($default)?), )* }
            }
        }

        #[allow(unused_variables, unused_mut, unused_assignments)]
        impl $name {
            /// What its bytes are.
            pub const FIELDS: &'static [$crate::codec::shape::FieldShape] = &[$(
                $crate::codec::shape::FieldShape {
                    name: stringify!($field),
                    kind: <$type as $crate::codec::Field>::KIND,
                    versions: $crate::codec::shape::field_shapes!(@versions $first $($last)?),
                    tag: $crate::codec::shape::field_shapes!(@tag $($tag)?),
                }
            ),*];

            /// Whether the message has this version.
            pub fn has_version(version: i16) -> bool {
                let versions: std::ops::RangeInclusive<i16> = $versions;
                versions.contains(&version)
            }

            fn at(version: i16) -> Result<$crate::codec::At, $crate::codec::CodecError> {
                if !Self::has_version(version) {
                    let message = stringify!($name);
                    return Err($crate::codec::CodecError::UnknownVersion { message, version });
                }
                let flexible: std::ops::RangeFrom<i16> = $flexible;
                Ok($crate::codec::At { version, flexible: flexible.contains(&version) })
            }

            /// Reads it from exactly these bytes.
            pub fn decode(bytes: &[u8], version: i16) -> Result<Self, $crate::codec::CodecError> {
                let mut reader = $crate::codec::Reader::new(bytes);
                let message =
                    <Self as $crate::codec::Field>::read(&mut reader, Self::at(version)?)?;
                reader.finish()?;
                Ok(message)
            }

            /// Its fields at a version, as Kafka's tools print them.
            pub fn to_json(&self, version: i16) -> String {
                let mut out = String::new();
                let flexible: std::ops::RangeFrom<i16> = $flexible;
                let at = $crate::codec::At { version, flexible: flexible.contains(&version) };
                $crate::codec::Field::write_json(self, &mut out, at);
                out
            }

            /// Appends it to `writer`.
            pub fn encode(
                &self,
                writer: &mut $crate::codec::Writer,
                version: i16,
            ) -> Result<(), $crate::codec::CodecError> {
                $crate::codec::Field::write(self, writer, Self::at(version)?)
            }
        }

        /// A struct that may be null is preceded by a byte, below 0 for null, else 1; as the value of
        /// a tag by a varint, 0 for null, else 1.
        impl $crate::codec::Field for Option<$name> {
            const KIND: $crate::codec::shape::Kind =
                $crate::codec::shape::Kind::NullableStruct($name::FIELDS);

            fn read(
                reader: &mut $crate::codec::Reader<'_>,
                at: $crate::codec::At,
            ) -> Result<Self, $crate::codec::CodecError> {
                let is_null = reader.i8()? < 0;
                (!is_null).then(|| $crate::codec::Field::read(reader, at)).transpose()
            }

            fn write(
                &self,
                writer: &mut $crate::codec::Writer,
                at: $crate::codec::At,
            ) -> Result<(), $crate::codec::CodecError> {
                writer.buf().extend_from_slice(&[if self.is_some() { 1 } else { 0xff }]);
                self.as_ref().map_or(Ok(()), |message| $crate::codec::Field::write(message, writer, at))
            }

            fn read_tagged(
                reader: &mut $crate::codec::Reader<'_>,
                at: $crate::codec::At,
            ) -> Result<Self, $crate::codec::CodecError> {
                let is_null = reader.unsigned_varint()? == 0;
                (!is_null).then(|| $crate::codec::Field::read(reader, at)).transpose()
            }

            fn write_tagged(
                &self,
                writer: &mut $crate::codec::Writer,
                at: $crate::codec::At,
            ) -> Result<(), $crate::codec::CodecError> {
                writer.unsigned_varint(u32::from(self.is_some()));
                self.as_ref().map_or(Ok(()), |message| {
                    $crate::codec::Field::write(message, writer, at)
                })
            }

            fn write_json(&self, out: &mut String, at: $crate::codec::At) {
                $crate::codec::json::nullable(out, self.as_ref(), at);
            }
        }

        #[allow(unused_variables, unused_mut, unused_comparisons, clippy::float_cmp)]
        impl $crate::codec::Field for $name {
            const KIND: $crate::codec::shape::Kind = $crate::codec::shape::Kind::Struct(Self::FIELDS);

            fn read(
                reader: &mut $crate::codec::Reader<'_>,
                at: $crate::codec::At,
            ) -> Result<Self, $crate::codec::CodecError> {
                let mut message = Self::default();
                $( $crate::codec::messages!(
                    @read_plain [$($tag)?] message, reader, at, $name, $field, ($first $range $($last)?)
                ); )*
                if at.flexible {
                    reader.tagged_fields(|tag, reader| {
                        $( $crate::codec::messages!(
                            @read_tagged [$($tag)?] tag, message, reader, at, $name, $field,
                            ($first $range $($last)?)
                        ); )*
                        Ok(())
                    })?;
                }
                Ok(message)
            }

            fn write(
                &self,
                writer: &mut $crate::codec::Writer,
                at: $crate::codec::At,
            ) -> Result<(), $crate::codec::CodecError> {
                let mut tagged: Vec<(u32, $crate::codec::Writer)> = Vec::new();
                $( {
                    let default: $type = $crate::codec::messages!(@default $($default)?);
                    let is_default = self.$field == default;
                    let ignorable = $crate::codec::messages!(@ignorable $($ignorable)?);
                    if ($first $range $($last)?).contains(&at.version) {
                        $crate::codec::messages!(
                            @write [$($tag)?] self, writer, tagged, at, is_default, $name, $field
                        );
                    } else if !is_default && !ignorable {
                        return Err($crate::codec::CodecError::NotInVersion {
                            field: concat!(stringify!($name), ".", stringify!($field)),
                            version: at.version,
                        });
                    }
                } )*
                if at.flexible {
                    tagged.sort_by_key(|(tag, _)| *tag);
                    writer.unsigned_varint(tagged.len() as u32);
                    for (tag, value) in tagged {
                        writer.unsigned_varint(tag);
                        writer.unsigned_varint(value.len() as u32);
                        writer.buf().extend_from_slice(&value.into_bytes());
                    }
                }
                Ok(())
            }

            fn write_json(&self, out: &mut String, at: $crate::codec::At) {
                out.push('{');
                $( {
                    let default: $type = $crate::codec::messages!(@default $($default)?);
                    let is_tagged = $crate::codec::messages!(@is_tagged $($tag)?);
                    if ($first $range $($last)?).contains(&at.version)
                        && !(is_tagged && self.$field == default)
                    {
                        $crate::codec::json::key(out, stringify!($field));
                        $crate::codec::Field::write_json(&self.$field, out, at);
                    }
                } )*
                out.push('}');
            }
        }
    )*};

    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@is_tagged) => { false };
    (@is_tagged $tag:literal) => { true };
    (@ignorable) => { false };
    (@ignorable ignorable) => { true };

    (@read_plain [] $message:ident, $reader:ident, $at:ident, $name:ident, $field:ident, $versions:expr) => {
        if ($versions).contains(&$at.version) {
            $message.$field = $crate::codec::Field::read($reader, $at)
                .map_err(|error| error.within(stringify!($name), stringify!($field)))?;
        }
    };
    (@read_plain [$tag:literal] $($rest:tt)*) => {};

    (@read_tagged [] $($rest:tt)*) => {};
    (@read_tagged [$tag:literal] $got:ident, $message:ident, $reader:ident, $at:ident, $name:ident, $field:ident, $versions:expr) => {
        if $got == $tag && ($versions).contains(&$at.version) {
            $message.$field = $crate::codec::Field::read_tagged($reader, $at)
                .and_then(|value| $reader.clone().finish().map(|()| value))
                .map_err(|error| error.within(stringify!($name), stringify!($field)))?;
        }
    };

    (@write [] $self:ident, $writer:ident, $tagged:ident, $at:ident, $is_default:ident, $name:ident, $field:ident) => {
        $crate::codec::Field::write(&$self.$field, $writer, $at)
            .map_err(|error| error.within(stringify!($name), stringify!($field)))?;
    };
    (@write [$tag:literal] $self:ident, $writer:ident, $tagged:ident, $at:ident, $is_default:ident, $name:ident, $field:ident) => {
        if !$is_default {
            let mut value = $crate::codec::Writer::new();
            $crate::codec::Field::write_tagged(&$self.$field, &mut value, $at)
                .map_err(|error| error.within(stringify!($name), stringify!($field)))?;
            $tagged.push(($tag, value));
        }
    };
}

pub(crate) use messages;

#[cfg(test)]
#[allow(unreachable_pub, dead_code)] // What is declared is meant for a module's users.
mod tests {
    use super::super::{CodecError, Writer};
    use proptest::prelude::*;

    messages! {
        /// One of each.
        pub struct Sample: 0..=2, flexible 1..; {
            /// Plain.
            id: i32 = 0.., default -1;
            /// Text.
            name: Option<String> = 0..;
            /// Later.
            later: i64 = 2..;
            /// Later, and of no matter.
            hint: i16 = 2.., [ignorable];
            /// Nested.
            parts: Vec<Part> = 0..;
            /// Tagged.
            epoch: i32 = 1.., tag 3, default -1, [ignorable];
        }
        /// Nested.
        pub struct Part: 0..=2, flexible 1..; {
            /// A number.
            number: u16 = 0..;
        }
    }

    fn encode(sample: &Sample, version: i16) -> Result<Vec<u8>, CodecError> {
        let mut writer = Writer::new();
        sample.encode(&mut writer, version)?;
        Ok(writer.into_bytes().to_vec())
    }

    #[test]
    fn a_flexible_version_has_compact_lengths_and_tagged_fields() {
        let sample = Sample {
            id: 1,
            name: Some("ab".into()),
            parts: vec![Part { number: 7 }],
            epoch: 5,
            ..Sample::default()
        };
        assert_eq!(
            encode(&sample, 1).unwrap(),
            [0, 0, 0, 1, 3, b'a', b'b', 2, 0, 7, 0, 1, 3, 4, 0, 0, 0, 5]
        );
        assert_eq!(encode(&sample, 0).unwrap(), [0, 0, 0, 1, 0, 2, b'a', b'b', 0, 0, 0, 1, 0, 7]);
    }

    #[test]
    fn a_value_that_a_version_lacks_is_refused_unless_it_is_ignorable() {
        let later = Sample { later: 1, ..Sample::default() };
        assert!(matches!(encode(&later, 1), Err(CodecError::NotInVersion { version: 1, .. })));
        let hint = Sample { hint: 1, ..Sample::default() };
        assert!(encode(&hint, 1).is_ok());
    }

    #[test]
    fn json_has_the_fields_of_the_version_and_tagged_ones_that_say_something() {
        let mut sample = Sample { id: 1, parts: vec![Part { number: 7 }], ..Sample::default() };
        assert_eq!(
            sample.to_json(2),
            r#"{"id":1,"name":null,"later":0,"hint":0,"parts":[{"number":7}]}"#
        );
        sample.name = Some("a\"b".into());
        sample.epoch = 5;
        assert_eq!(sample.to_json(0), r#"{"id":1,"name":"a\"b","parts":[{"number":7}]}"#);
        assert!(sample.to_json(1).ends_with(r#""epoch":5}"#));
    }

    #[test]
    fn a_string_that_kafka_would_not_read_is_not_written() {
        let sample = Sample { name: Some("x".repeat(0x8000)), ..Sample::default() };
        for version in 0..=2 {
            assert_eq!(
                encode(&sample, version).unwrap_err().to_string(),
                "Sample.name: a string has 32768 bytes, at most 32767 are allowed"
            );
        }
        let longest = Sample { name: Some("x".repeat(0x7fff)), ..Sample::default() };
        for version in 0..=2 {
            let bytes = encode(&longest, version).unwrap();
            assert_eq!(Sample::decode(&bytes, version).unwrap(), longest);
        }
        // The same name, claimed one byte longer in a compact length.
        let mut bytes = encode(&longest, 1).unwrap();
        assert_eq!(bytes[4..7], [0x80, 0x80, 0x02]);
        bytes[4] = 0x81;
        bytes.push(0);
        assert_eq!(
            Sample::decode(&bytes, 1).unwrap_err().to_string(),
            "Sample.name: a string has 32768 bytes, at most 32767 are allowed"
        );
    }

    #[test]
    fn a_tagged_field_fills_its_length_and_an_unknown_one_is_passed_over() {
        let bytes = |tags: &[u8]| [&[0, 0, 0, 1, 0, 1][..], tags].concat();
        let unknown = Sample { id: 1, ..Sample::default() };
        assert_eq!(Sample::decode(&bytes(&[1, 9, 2, 7, 7]), 1).unwrap(), unknown);
        let epoch = Sample { epoch: 5, ..unknown };
        assert_eq!(Sample::decode(&bytes(&[1, 3, 4, 0, 0, 0, 5]), 1).unwrap(), epoch);
        assert_eq!(
            Sample::decode(&bytes(&[1, 3, 5, 0, 0, 0, 5, 0]), 1).unwrap_err().to_string(),
            "Sample.epoch: 1 bytes follow the message"
        );
    }

    #[test]
    fn a_version_that_the_message_lacks_is_refused() {
        assert!(matches!(
            Sample::decode(&[], 3),
            Err(CodecError::UnknownVersion { message: "Sample", version: 3 })
        ));
    }

    #[test]
    fn a_claimed_count_is_refused_before_anything_is_allocated() {
        let bytes = [0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
        assert!(matches!(Sample::decode(&bytes, 0), Err(CodecError::In { field: "parts", .. })));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(
            id: i32, name: Option<String>, later: i64, hint: i16,
            parts: Vec<u16>, epoch: i32,
        ) {
            let parts = parts.into_iter().map(|number| Part { number }).collect();
            let sample = Sample { id, name, later, hint, parts, epoch };
            let bytes = encode(&sample, 2).unwrap();
            prop_assert_eq!(Sample::decode(&bytes, 2).unwrap(), sample);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, version in 0i16..=2) {
            let _ = Sample::decode(&bytes, version);
        }
    }
}
