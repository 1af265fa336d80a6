"""Groups as their coordinator meets them, without clients: what a client would send, written by hand.

A thousand clients do not fit beside a broker; what they say does. Members here do as a client of the consumer
protocol (KIP-848) does: they join, take what they are given, say at once that they have it, and send a
heartbeat whenever the coordinator wants one.
"""

import asyncio
import selectors
import socket
import struct
import time
import uuid

CREATE_TOPICS, FIND_COORDINATOR, OFFSET_COMMIT, HEARTBEAT = 19, 10, 8, 68
LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16
# How many requests of a connection are on their way at once, and how often answers are looked for: seldom, so that
# the broker has the processors to itself.
WINDOW = 100
LOOK_S = 0.005


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def compact(value):
    return varint(len(value) + 1) + value.encode()


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(api, version, body, flexible=False):
    request = struct.pack(">hhi", api, version, 7) + text("load") + (b"\0" if flexible else b"") + body
    return struct.pack(">i", len(request)) + request


class Reader:
    """Fields of a response, behind its correlation id."""

    def __init__(self, data):
        self.data = data
        self.at = 4

    def take(self, form):
        [value] = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = max(self.take(">h"), 0)
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact(self):
        size = max(self.varint() - 1, 0)
        self.at += size
        return self.data[self.at - size:self.at]


def call(connection, api, version, body):
    connection.sendall(frame(api, version, body))
    return receive(connection)


def receive(connection):
    size = struct.unpack(">i", exactly(connection, 4))[0]
    return exactly(connection, size)


def exactly(connection, count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise OSError("closed")
        got += more
    return got


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=300)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def create_topics(port, names, partitions):
    """CreateTopics v4, one topic at a time."""
    with connect(port) as connection:
        for name in names:
            topic = text(name) + struct.pack(">ihii", partitions, 1, 0, 0)
            reply = Reader(call(connection, CREATE_TOPICS, 4,
                                struct.pack(">i", 1) + topic + struct.pack(">i?", 240_000, False)))
            reply.take(">i"), reply.take(">i")
            reply.text()
            error = reply.take(">h")
            if error:
                raise RuntimeError(f"{name} is not created: error {error}")


def find_coordinator(port, group):
    """FindCoordinator v1, until there is one: behind 10,000 partitions that is a while."""
    deadline = time.monotonic() + 300
    with connect(port) as connection:
        while time.monotonic() < deadline:
            reply = Reader(call(connection, FIND_COORDINATOR, 1, text(group) + b"\0"))
            reply.take(">i")
            if reply.take(">h") == 0:
                return
            time.sleep(0.1)
    raise RuntimeError("no coordinator in five minutes")


def commit_request(group, topic, partitions):
    """OffsetCommit v6 of someone who is no member."""
    offsets = b"".join(struct.pack(">iqi", number, 1_000_000 + number, -1) + text("")
                       for number in range(partitions))
    body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">i", 1) + text(topic)
    return frame(OFFSET_COMMIT, 6, body + struct.pack(">i", partitions) + offsets)


def commit_error(reply):
    """The first error of a partition, or 0."""
    reply = Reader(reply)
    reply.take(">i"), reply.take(">i")
    reply.text()
    errors = []
    for _ in range(reply.take(">i")):
        reply.take(">i")
        errors.append(reply.take(">h"))
    return next((error for error in errors if error), 0)


def heartbeat_request(group, member, epoch, topics=None, owned=None):
    """ConsumerGroupHeartbeat v1: all that a member has to say, or only that it is alive."""
    body = compact(group) + compact(member) + struct.pack(">i", epoch) + b"\0\0"
    body += struct.pack(">i", 300_000 if topics else -1)
    body += varint(len(topics) + 1) + b"".join(map(compact, topics)) if topics else b"\0"
    body += b"\0\0"
    if owned is None:
        body += b"\0"
    else:
        body += varint(len(owned) + 1)
        for topic, partitions in owned.items():
            body += topic + varint(len(partitions) + 1) + struct.pack(f">{len(partitions)}i", *partitions) + b"\0"
    return frame(HEARTBEAT, 1, body + b"\0", flexible=True)


def heartbeat_reply(data):
    """Error, epoch, interval in seconds, and what the member is given, if anything is said of it."""
    reply = Reader(data)
    reply.at += 1  # The header's tagged fields.
    reply.take(">i")
    error = reply.take(">h")
    reply.compact(), reply.compact()
    epoch, interval_ms = reply.take(">i"), reply.take(">i")
    given = None
    if reply.take(">b") == 1:
        given = {}
        for _ in range(reply.varint() - 1):
            topic = reply.data[reply.at:reply.at + 16]
            reply.at += 16
            given[topic] = [reply.take(">i") for _ in range(reply.varint() - 1)]
            reply.at += 1
    return error, epoch, interval_ms / 1000, given


# One request again and again.


def pump(streams, count):
    """Sends each connection's request again and again, `count` in all, some at a time; each answer must be
    that connection's usual one. The seconds that it takes."""
    selector = selectors.DefaultSelector()
    each = count // len(streams)
    states = []
    for connection, request, reply in streams:
        state = {"of": connection, "request": request, "reply": reply, "sent": 0, "bytes": 0}
        states.append(state)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, state)
    began = time.monotonic()
    for state in states:
        feed(state, each)
    left = len(states)
    while left:
        time.sleep(LOOK_S)
        for key, _ in selector.select(60):
            state = key.data
            data = state["of"].recv(1 << 16)
            reply = state["reply"]
            at = state["bytes"] % len(reply)
            expected = (reply * (len(data) // len(reply) + 2))[at:at + len(data)]
            if not data or data != expected:
                raise RuntimeError(f"another answer than before: {data!r}, not {expected!r}")
            state["bytes"] += len(data)
            feed(state, each)
            if state["bytes"] == each * len(reply):
                selector.unregister(state["of"])
                left -= 1
    seconds = time.monotonic() - began
    for state in states:
        state["of"].setblocking(True)
    return seconds


def feed(state, each):
    got = state["bytes"] // len(state["reply"])
    more = min(each, got + WINDOW) - state["sent"]
    if more > 0:
        # It is little, and fits into the socket's buffer.
        state["of"].sendall(state["request"] * more)
        state["sent"] += more


def committers(port, topic, partitions, count):
    """Connections that commit, each for a group of its own: their requests, and the answers."""
    streams = []
    for number in range(count):
        group = f"commits-{number}"
        find_coordinator(port, group)
        connection = connect(port)
        request = commit_request(group, topic, partitions)
        streams.append((connection, request, usual_reply(connection, request, commit_error)))
    return streams


def members(port, group, topic, partitions, count):
    """Members of one group with nothing new to say: their heartbeats, and the answers."""
    find_coordinator(port, group)
    told = asyncio.run(settle(port, group, [topic], count, partitions, leaves=False))
    streams = []
    for member, epoch in told:
        connection = connect(port)
        request = heartbeat_request(group, member, epoch)
        streams.append((connection, request, usual_reply(connection, request, lambda r: heartbeat_reply(r)[0])))
    return streams


def usual_reply(connection, request, error_of):
    """The answer to a request, once the coordinator has read its log."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection.sendall(request)
        reply = receive(connection)
        error = error_of(reply)
        if error == 0:
            return struct.pack(">i", len(reply)) + reply
        if error not in (LOADING, NOT_AVAILABLE, NOT_COORDINATOR):
            raise RuntimeError(f"error {error}")
        time.sleep(0.1)
    raise RuntimeError("no answer in a minute")


# A group that comes to rest.


class Rest:
    """What all members have. At rest, all are of one epoch, and have what there is in equal parts."""

    def __init__(self, members, partitions):
        self.members = members
        self.partitions = partitions
        self.epochs = {}
        self.owned = {}
        self.reached = asyncio.Event()
        self.at = None

    def told(self, member, epoch, owned, has_said_so):
        self.epochs[member] = epoch
        self.owned[member] = (sum(map(len, owned.values())), has_said_so)
        if self.at is None and len(self.epochs) == self.members and self.is_rest():
            self.at = time.monotonic()
            self.reached.set()

    def is_rest(self):
        if len(set(self.epochs.values())) != 1 or not all(said for _, said in self.owned.values()):
            return False
        counts = [count for count, _ in self.owned.values()]
        return sum(counts) == self.partitions and max(counts) - min(counts) <= 1


async def member(port, group, topics, rest, stop, leaves):
    name = str(uuid.uuid4())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    epoch, owned, says, joins = 0, {}, {}, True
    while not stop.is_set():
        began = time.monotonic()
        writer.write(heartbeat_request(group, name, epoch, topics if joins else None, says))
        [size] = struct.unpack(">i", await reader.readexactly(4))
        error, heard, interval_s, given = heartbeat_reply(await reader.readexactly(size))
        if error in (LOADING, NOT_AVAILABLE, NOT_COORDINATOR):
            await asyncio.sleep(0.1)
            continue
        if error:
            raise RuntimeError(f"error {error}")
        epoch, joins, says = heard, False, None
        if given is not None:
            owned = says = given
        rest.told(name, epoch, owned, says is None)
        if says is None:
            left = began + interval_s - time.monotonic()
            try:
                await asyncio.wait_for(stop.wait(), max(left, 0))
            except asyncio.TimeoutError:
                pass
    if leaves:
        writer.write(heartbeat_request(group, name, -1))
        [size] = struct.unpack(">i", await reader.readexactly(4))
        await reader.readexactly(size)
    writer.close()
    return name, epoch


async def one_more(port, group, topics):
    """A member joins a group at rest, and is answered: the group has an assignment with it in it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(heartbeat_request(group, str(uuid.uuid4()), 0, topics, {}))
    [size] = struct.unpack(">i", await reader.readexactly(4))
    error, *_ = heartbeat_reply(await reader.readexactly(size))
    if error:
        raise RuntimeError(f"error {error}")
    writer.close()


async def settle(port, group, topics, count, partitions, at_rest=None, leaves=True):
    """Members that join at once, until all have their part; who they are, and of which epoch."""
    rest, stop = Rest(count, partitions), asyncio.Event()
    tasks = [asyncio.create_task(member(port, group, topics, rest, stop, leaves)) for _ in range(count)]
    waits = asyncio.create_task(rest.reached.wait())
    done, _ = await asyncio.wait([*tasks, waits], timeout=300, return_when=asyncio.FIRST_COMPLETED)
    if waits not in done:
        for failed in done:
            failed.result()
        raise RuntimeError("no rest in five minutes")
    if at_rest:
        await at_rest()
    stop.set()
    return await asyncio.gather(*tasks)
