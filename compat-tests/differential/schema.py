"""Kafka's message schemas, read from the JSON files inside its jars, and messages of any version as bytes.

A message is a dict by field name. What a dict leaves out has the schema's default; a field that the version lacks is
left out of the bytes, so one dict serves every version. A name that no version has is an error.
"""

import glob
import json
import re
import struct
import zipfile

JARS = ("clients", "group-coordinator-[0-9]", "transaction-coordinator")
NUMBERS = {"bool": "?", "int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "float64": "d"}


class Schemas:
    """The requests and responses of a release."""

    def __init__(self, folder_of_jars):
        self.by_name = {}
        for jar in sorted(f for name in JARS for f in glob.glob(f"{folder_of_jars}/kafka-{name}*.jar")):
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if re.search(r"message/\w+\.json$", name):
                        text = archive.read(name).decode()
                        schema = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
                        self.by_name[schema["name"]] = schema
        if not self.by_name:
            raise SystemExit(f"no message schemas in the jars in {folder_of_jars}")
        self.api_names = {
            schema["apiKey"]: schema["name"].removesuffix("Request")
            for schema in self.by_name.values()
            if schema["type"] == "request"
        }

    def api_key(self, api):
        return self.by_name[api + "Request"]["apiKey"]

    def encode(self, name, version, message):
        schema = self.by_name[name]
        return Encoder(schema, version).structure(schema["fields"], message)

    def decode(self, name, version, data):
        schema = self.by_name[name]
        decoder = Decoder(schema, version, data)
        message = decoder.structure(schema["fields"])
        if decoder.at != len(data):
            message["_left"] = data[decoder.at :]
        return message

    def is_flexible(self, name, version):
        return contains(self.by_name[name].get("flexibleVersions"), version)


def contains(versions, version):
    """Whether a range of a schema ("3+", "1-4", "2", "none", None) has a version."""
    if versions in (None, "none"):
        return False
    first, _, last = versions.replace("+", "-32767").partition("-")
    return int(first) <= version <= int(last or first)


def unsigned_varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def varint(number):
    return unsigned_varint(((number << 1) ^ (number >> 63)) & (2**64 - 1))


def default(field):
    kind, text = field["type"], field.get("default")
    if text == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind == "bool":
        return str(text).lower() == "true"
    if kind == "float64":
        return float(text or 0)
    if kind in NUMBERS:
        return int(str(text), 0) if text not in (None, "") else 0
    return {"string": text or "", "bytes": b"", "records": b"", "uuid": bytes(16)}.get(kind, {})


class Codec:
    def __init__(self, schema, version):
        self.version = version
        self.flexible = contains(schema.get("flexibleVersions"), version)
        self.common = {structure["name"]: structure["fields"] for structure in schema.get("commonStructs", [])}

    def has(self, field, versions):
        return contains(field.get(versions), self.version)

    def fields_of(self, field, kind):
        return field.get("fields") or self.common[kind]

    def is_compact(self, field):
        own = field.get("flexibleVersions")
        return self.flexible and (own is None or contains(own, self.version))


class Encoder(Codec):
    def structure(self, fields, message):
        left, out, tagged = dict(message), b"", {}
        for field in fields:
            value = left.pop(field["name"], default(field))
            if self.has(field, "taggedVersions"):
                if value != default(field):
                    tagged[field["tag"]] = self.value(field, field["type"], value)
            elif self.has(field, "versions"):
                out += self.value(field, field["type"], value)
        assert not left, f"unknown fields {list(left)}"
        if self.flexible:
            out += unsigned_varint(len(tagged))
            for tag, data in sorted(tagged.items()):
                out += unsigned_varint(tag) + unsigned_varint(len(data)) + data
        return out

    def length(self, field, length, number):
        """The length of what follows; None is null."""
        if self.is_compact(field):
            return unsigned_varint(0 if length is None else length + 1)
        return struct.pack(number, -1 if length is None else length)

    def value(self, field, kind, value):
        if kind.startswith("[]"):
            out = self.length(field, None if value is None else len(value), ">i")
            element = {**field, "nullableVersions": None}
            return out + b"".join(self.value(element, kind[2:], one) for one in value or [])
        if kind in NUMBERS:
            return struct.pack(">" + NUMBERS[kind], value)
        if kind == "uuid":
            return value
        if kind == "string":
            data = value.encode() if isinstance(value, str) else value
            return self.length(field, None if data is None else len(data), ">h") + (data or b"")
        if kind in ("bytes", "records"):
            return self.length(field, None if value is None else len(value), ">i") + (value or b"")
        mark = b""
        if self.has(field, "nullableVersions"):
            if value is None:
                return b"\xff"
            mark = b"\x01"
        return mark + self.structure(self.fields_of(field, kind), value or {})


class Decoder(Codec):
    def __init__(self, schema, version, data):
        super().__init__(schema, version)
        self.data, self.at = data, 0

    def take(self, length):
        if length < 0 or self.at + length > len(self.data):
            raise EOFError(f"{length} bytes wanted at {self.at} of {len(self.data)}")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def unsigned_varint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def structure(self, fields):
        message, tagged = {}, {}
        for field in fields:
            if self.has(field, "taggedVersions"):
                tagged[field["tag"]] = field
            elif self.has(field, "versions"):
                message[field["name"]] = self.value(field, field["type"])
        for _ in range(self.unsigned_varint() if self.flexible else 0):
            tag, length = self.unsigned_varint(), self.unsigned_varint()
            end = self.at + length
            if tag in tagged:
                field = tagged[tag]
                message[field["name"]] = self.value(field, field["type"])
            else:
                message.setdefault("_unknown_tags", []).append(tag)
                self.take(length)
            assert self.at == end, f"tag {tag} has {length} bytes, {self.at - end} too few"
        return message

    def length(self, field, form):
        """The length of what follows; -1 is null."""
        return self.unsigned_varint() - 1 if self.is_compact(field) else self.number(form)

    def value(self, field, kind):
        if kind.startswith("[]"):
            length = self.length(field, ">i")
            element = {**field, "nullableVersions": None}
            return None if length < 0 else [self.value(element, kind[2:]) for _ in range(length)]
        if kind in NUMBERS:
            return self.number(">" + NUMBERS[kind])
        if kind == "uuid":
            return self.take(16)
        if kind == "string":
            length = self.length(field, ">h")
            return None if length < 0 else self.take(length).decode("utf8", "surrogateescape")
        if kind in ("bytes", "records"):
            length = self.length(field, ">i")
            return None if length < 0 else self.take(length)
        if self.has(field, "nullableVersions") and self.number(">b") < 0:
            return None
        return self.structure(self.fields_of(field, kind))
