//! Request bodies made from their shapes, with the place of every length and count in them. Used by
//! unit tests of the walk and by tests of whole brokers: whoever includes it imports what it names.

use super::{At, FieldShape, Kind, Shape};

/// Lengths and counts that no honest client sends: around every bound, and far beyond it.
#[rustfmt::skip]
pub const HOSTILE: [i64; 21] = [
    0, 1, 2, 3, 127, 128, 255, 256, 32_767, 65_535, 65_536, 999_999, 1_000_000, 1_000_001,
    1_000_002, 200_000_000, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

/// Numbers that look random and never change.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// How a length or count is written.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Two bytes.
    I16,
    /// Four bytes.
    I32,
    /// Seven bits a byte.
    Varint,
}

impl Form {
    /// Appends `value`, cut to what fits.
    pub fn write(self, out: &mut Vec<u8>, value: i64) {
        match self {
            Form::I16 => out.extend((value as i16).to_be_bytes()),
            Form::I32 => out.extend((value as i32).to_be_bytes()),
            Form::Varint => {
                let mut value = value as u32;
                while value >= 0x80 {
                    out.push(value as u8 | 0x80);
                    value >>= 7;
                }
                out.push(value as u8);
            }
        }
    }
}

/// A body made from its shape, with the place of every length and count in it.
pub struct Sample {
    at: At,
    dice: Dice,
    /// The body.
    pub body: Vec<u8>,
    /// Where each length is, how long, and how it is written.
    pub lengths: Vec<(usize, usize, Form)>,
    /// Within how many arrays the next value is.
    depth: usize,
    /// Arrays within so many others have so many elements; all others have one.
    large: Option<(usize, usize)>,
}

impl Sample {
    /// The same body with another value in the place of a length.
    pub fn with(&self, length: (usize, usize, Form), value: i64) -> Vec<u8> {
        let (start, len, form) = length;
        let mut body = self.body[..start].to_vec();
        form.write(&mut body, value);
        body.extend_from_slice(&self.body[start + len..]);
        body
    }

    /// The body of `seed`.
    pub fn of(shape: &Shape, version: i16, seed: u64) -> Self {
        let at = At { version, flexible: shape.flexible.contains(version) };
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut sample = Self::new(at, dice, None);
        sample.fields(shape.fields);
        sample
    }

    /// A body whose arrays within `depth` others have `count` elements, and all others one.
    pub fn large(shape: &Shape, version: i16, depth: usize, count: usize) -> Self {
        let at = At { version, flexible: shape.flexible.contains(version) };
        let mut sample = Self::new(at, Dice(77), Some((depth, count)));
        sample.fields(shape.fields);
        sample
    }

    fn new(at: At, dice: Dice, large: Option<(usize, usize)>) -> Self {
        Self { at, dice, body: Vec::new(), lengths: Vec::new(), depth: 0, large }
    }

    fn count(&mut self) -> usize {
        match self.large {
            None => self.dice.below(3) as usize,
            Some((depth, count)) if depth == self.depth => count,
            Some(_) => 1,
        }
    }

    fn length(&mut self, form: Form, value: usize) {
        let start = self.body.len();
        form.write(&mut self.body, value as i64);
        self.lengths.push((start, self.body.len() - start, form));
    }

    fn fields(&mut self, fields: &[FieldShape]) {
        let at = self.at;
        fields.iter().filter(|field| field.is_plain(at)).for_each(|field| self.value(&field.kind));
        if !at.flexible {
            return;
        }
        let known = fields.iter().filter(|field| field.versions.contains(at.version));
        let mut tagged: Vec<_> =
            known.filter_map(|field| Some((field.tag?, &field.kind))).collect();
        tagged.retain(|_| self.dice.below(2) == 0);
        let unknown = self.dice.below(2) == 0;
        self.length(Form::Varint, tagged.len() + usize::from(unknown));
        for (tag, kind) in tagged {
            Form::Varint.write(&mut self.body, i64::from(tag));
            let mut inner = Sample::new(at, Dice(self.dice.0), self.large);
            inner.value(kind);
            self.length(Form::Varint, inner.body.len());
            let start = self.body.len();
            let moved = inner.lengths.into_iter().map(|(at, len, form)| (start + at, len, form));
            self.lengths.extend(moved);
            self.body.extend(inner.body);
        }
        if unknown {
            Form::Varint.write(&mut self.body, 12_345);
            self.length(Form::Varint, 3);
            self.body.extend(*b"abc");
        }
    }

    fn value(&mut self, kind: &Kind) {
        let plus = usize::from(self.at.flexible);
        let form = |plain| if self.at.flexible { Form::Varint } else { plain };
        match kind {
            Kind::Fixed(len) => (0..*len).for_each(|_| {
                let byte = self.dice.below(256) as u8;
                self.body.push(byte);
            }),
            Kind::String | Kind::Bytes => {
                let is_string = matches!(kind, Kind::String);
                let form = form(if is_string { Form::I16 } else { Form::I32 });
                let value = match self.large {
                    None => "topic"[..self.dice.below(6) as usize].to_owned(),
                    // Each another, and none that may name a topic.
                    Some(_) => format!("!{}", self.body.len()),
                };
                self.length(form, value.len() + plus);
                self.body.extend(value.as_bytes());
            }
            Kind::Array(element) => {
                let form = form(Form::I32);
                let count = self.count();
                self.length(form, count + plus);
                self.depth += 1;
                (0..count).for_each(|_| self.value(element));
                self.depth -= 1;
            }
            Kind::Struct(fields) => self.fields(fields),
            Kind::NullableStruct(fields) => {
                if self.dice.below(3) == 0 {
                    self.body.push(0xff);
                } else {
                    self.body.push(1);
                    self.fields(fields);
                }
            }
        }
    }
}
