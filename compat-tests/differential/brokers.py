"""The two brokers, and what makes their answers alike before they are compared."""

import re
import socket
import struct
import time

ZERO = bytes(16)
NOBODY = bytes(15) + b"\7"
"""A topic id that no topic has."""
PATIENCE_S = 20


class Closed(Exception):
    """The broker closed the connection."""


class Connection:
    def __init__(self, schemas, port, client="differential"):
        self.schemas, self.client, self.correlation_id = schemas, client, 0
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, api, version, message, patience=PATIENCE_S):
        self.socket.settimeout(patience)
        self.correlation_id += 1
        flexible = self.schemas.is_flexible(api + "Request", version)
        client = self.client.encode()
        header = struct.pack(">hhih", self.schemas.api_key(api), version, self.correlation_id, len(client)) + client
        frame = header + (b"\0" if flexible else b"") + self.schemas.encode(api + "Request", version, message)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = self.receive(struct.unpack(">i", self.receive(4))[0])
        # The header of ApiVersions is never flexible: a client must be able to read it before it knows the broker.
        tags = flexible and api != "ApiVersions"
        assert not tags or answer[4] == 0, "a response header with tagged fields"
        return self.schemas.decode(api + "Response", version, answer[5 if tags else 4 :])

    def receive(self, length):
        data = b""
        while len(data) < length:
            try:
                part = self.socket.recv(length - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            data += part
        return data


class Broker:
    """One of the two, with what a run learns of it: its versions, and the ids of its topics."""

    def __init__(self, schemas, port, data_folder):
        self.schemas, self.port, self.data_folder = schemas, port, data_folder
        self.topic_ids, self.connection = {}, Connection(schemas, port)
        versions = self.call("ApiVersions", 4, {"ClientSoftwareName": "differential", "ClientSoftwareVersion": "1"})
        self.versions = {api["ApiKey"]: (api["MinVersion"], api["MaxVersion"]) for api in versions["ApiKeys"]}
        # The steps of a story and their answers, its version, and the name of its group or transactional id.
        self.told, self.version, self.name = [], None, None

    def call(self, api, version, message, patience=PATIENCE_S):
        """The answer, or the name of what came instead of one."""
        try:
            return self.connection.call(api, version, message, patience)
        except (Closed, EOFError, AssertionError, OSError) as error:
            self.connection = Connection(self.schemas, self.port)
            return f"<{type(error).__name__}>"

    def topic_id(self, name):
        if name not in self.topic_ids:
            asked = {"Topics": [{"TopicId": ZERO, "Name": name}], "AllowAutoTopicCreation": False}
            topic = self.call("Metadata", 12, asked)["Topics"][0]
            if topic["ErrorCode"]:
                return NOBODY
            self.topic_ids[name] = topic["TopicId"]
        return self.topic_ids[name]

    def create(self, name, partitions, **configs):
        topic = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}
        topic["Configs"] = [{"Name": key.replace("_", "."), "Value": value} for key, value in configs.items()]
        self.call("CreateTopics", 7, {"Topics": [topic], "timeoutMs": 10000})
        until(lambda: self.topic_id(name) != NOBODY)

    def fill(self, name, partition, records):
        data = [{"Name": name, "PartitionData": [{"Index": partition, "Records": records}]}]

        def is_written():
            answer = self.call("Produce", 9, {"Acks": 1, "TimeoutMs": 5000, "TopicData": data})
            return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0

        until(is_written)

    def load_coordinators(self):
        def is_found(kind):
            answer = self.call("FindCoordinator", 4, {"KeyType": kind, "CoordinatorKeys": ["warm"]})
            return answer["Coordinators"][0]["ErrorCode"] == 0

        until(lambda: is_found(0))
        until(lambda: is_found(1))
        until(lambda: self.call("OffsetFetch", 7, {"GroupId": "warm", "Topics": None})["ErrorCode"] == 0)
        producer = {"TransactionalId": "warm", "TransactionTimeoutMs": 1000, "ProducerId": -1, "ProducerEpoch": -1}
        until(lambda: self.call("InitProducerId", 4, producer)["ErrorCode"] == 0)


def until(is_so):
    for _ in range(300):
        if is_so():
            return
        time.sleep(0.1)
    raise SystemExit("a broker was not ready within 30 s")


LEFT_OUT = {"ThrottleTimeMs", "Documentation", "ApiKeys"}
"""Fields that are not compared: what depends on load, on wording, or is compared as a whole."""

THERE = set(
    "ClusterId Port MemberId LogDir Size TotalBytes UsableBytes BrokerEpoch NodeEndpoints CoordinatorEpoch"
    " LastFetchTimestamp LastCaughtUpTimestamp LogEndOffset ReplicaDirectoryId FinalizedFeaturesEpoch"
    " AcquisitionLockTimeoutMs Leader TransactionStartTimeMs".split()
)
"""Fields of which only is compared whether they are there: sizes, times, ids of this run."""

THERE_IN = {("DescribeQuorum", "HighWatermark"), ("DescribeQuorum", "LeaderEpoch")}
"""The same in one API: how often Kafka elected itself, and how much it has written to its metadata log."""


def alike(broker, api, value, name=""):
    """An answer without what differs from run to run."""
    if isinstance(value, dict):
        return {key: alike(broker, api, one, key) for key, one in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return sorted((alike(broker, api, one, name) for one in value), key=repr)
    if name in THERE or (api, name) in THERE_IN:
        return "there" if value not in (None, "", -1, 0) else value
    if name in ("ProducerId", "SessionId") and isinstance(value, int):
        return "some" if value >= (name == "SessionId") else value
    if isinstance(value, bytes) and len(value) == 16:
        of_topics = {id: f"id of {topic}" for topic, id in broker.topic_ids.items()}
        return {ZERO: "zero", NOBODY: "nobody", **of_topics}.get(value, "id")
    if isinstance(value, str):
        if value.startswith("/"):
            return "a path"
        value = re.sub(r"1[789]\d{11}", "NOW", re.sub(r"-922\d{16}", "LONG AGO", value))
        return value.replace(str(broker.port), "PORT").replace(str(broker.port + 1), "CPORT")
    return value
