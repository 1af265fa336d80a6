//! Writing the zigzag varints of records, and fields with such a length.

pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varlong`] writes.
pub(super) fn varlong_len(value: i64) -> usize {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

pub(super) fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varlong_len(field.len() as i64) + field.len())
}

pub(super) fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    put_varlong(out, field.map_or(-1, |field| field.len() as i64));
    out.extend_from_slice(field.unwrap_or_default());
}
