"""Stories: the same steps on each side, each of which goes on with what it was given (member ids, epochs, producers)."""

import time

from brokers import Connection, until
from records import TRANSACTIONAL, batch


def compare(comparison):
    comparison.story("classic group", range(10), classic)
    comparison.story("static group", range(5, 10), static)
    comparison.story("consumer group", (0, 1), consumer)
    comparison.story("transaction", range(6), transaction)


class Story:
    """One side's story, with the requests that several stories send."""

    def __init__(self, comparison, broker):
        self.comparison, self.broker, self.version, self.name = comparison, broker, broker.version, broker.name

    def told(self, step, answer):
        self.broker.told.append((step, answer))

    def ask(self, step, api, version, message, connection=None):
        """Sends a request, at the nearest version that both advertise, and remembers the answer."""
        both = self.comparison.versions(api)
        version = min(max(version, both[0]), both[-1])
        answer = (connection or self.broker).call(api, version, message)
        self.told(f"{step} ({api} {version})", answer)
        return answer

    def join(self, step, member="", instance=None, connection=None, metadata=b"", kind="consumer", protocol="range"):
        message = {
            "GroupId": self.name,
            "SessionTimeoutMs": 30000 if self.version else 6000,
            "RebalanceTimeoutMs": 1500,
            "MemberId": member,
            "GroupInstanceId": instance,
            "ProtocolType": kind,
            "Protocols": [{"Name": protocol, "Metadata": metadata}],
        }
        answer = self.ask(step, "JoinGroup", self.version, message, connection)
        if answer["ErrorCode"] == 79:
            message["MemberId"] = answer["MemberId"]
            answer = self.ask(step + " with its id", "JoinGroup", self.version, message, connection)
        return answer

    def sync(self, step, member, generation, assignment=None, instance=None, protocol="range"):
        assignments = [] if assignment is None else [{"MemberId": member, "Assignment": assignment}]
        message = {"GroupId": self.name, "GenerationId": generation, "MemberId": member, "GroupInstanceId": instance}
        message.update({"ProtocolType": "consumer", "ProtocolName": protocol, "Assignments": assignments})
        self.ask(step, "SyncGroup", self.version, message)

    def heartbeat(self, step, member, generation, instance=None):
        message = {"GroupId": self.name, "GenerationId": generation, "MemberId": member, "GroupInstanceId": instance}
        self.ask(step, "Heartbeat", 4, message)

    def commit(self, step, member, generation, offset=3, instance=None, metadata="m", epoch=-1):
        committed = {"CommittedOffset": offset, "CommittedLeaderEpoch": epoch, "CommittedMetadata": metadata}
        who = {"GroupId": self.name, "GenerationIdOrMemberEpoch": generation, "MemberId": member}
        topics = [{"Name": "t", "Partitions": [{"PartitionIndex": 0, **committed}]}]
        self.ask(step, "OffsetCommit", 9, {**who, "GroupInstanceId": instance, "RetentionTimeMs": -1, "Topics": topics})

    def describe(self, step):
        self.ask(step, "DescribeGroups", 6, {"Groups": [self.name], "IncludeAuthorizedOperations": False})
        self.ask(step, "ListGroups", 5, {"StatesFilter": ["Dead", "PreparingRebalance"]})

    def leave(self, step, member):
        message = {"GroupId": self.name, "MemberId": member, "Members": [{"MemberId": member}]}
        self.ask(step, "LeaveGroup", self.version, message)

    def delete(self, step):
        self.ask(step, "DeleteGroups", 2, {"GroupsNames": [self.name]})


def classic(comparison, broker):
    it = Story(comparison, broker)
    first = it.join("first joins")
    member, generation = first["MemberId"], first["GenerationId"]
    it.heartbeat("before sync", member, generation)
    it.commit("commit before sync", member, generation)
    it.sync("sync with other protocol", member, generation, protocol="roundrobin")
    it.sync("sync of the wrong generation", member, generation + 5)
    it.sync("leader syncs", member, generation, b"mine")
    it.sync("leader syncs again", member, generation, b"other")
    it.describe("stable")
    it.heartbeat("heartbeat", member, generation)
    it.heartbeat("wrong generation", member, generation + 1)
    it.heartbeat("wrong member", "who", generation)
    it.commit("commit", member, generation)
    it.commit("commit of the wrong generation", member, generation + 1)
    it.commit("commit of a stranger", "who", generation)
    it.commit("commit without generation", "", -1)
    it.delete("delete while it lives")
    topics = [{"Name": "t", "Partitions": [{"PartitionIndex": 0}]}]
    it.ask("delete an offset it reads", "OffsetDelete", 0, {"GroupId": it.name, "Topics": topics})
    it.join("stranger with an id", "who")
    it.join("other type", kind="connect")
    it.join("no common protocol", protocol="sticky2")

    again = it.join("first joins again", member, metadata=b"new")
    it.told("generation grows by", {"by": again["GenerationId"] - generation})
    generation = again["GenerationId"]
    it.heartbeat("rebalancing", member, generation)
    it.sync("leader syncs", member, generation, b"mine2")
    connection = Connection(broker.schemas, broker.port, client="other")
    second = it.join("second joins, the first stays away", connection=connection)
    it.told("generation of the second", {"by": second["GenerationId"] - generation})
    it.heartbeat("the first is out", member, generation)
    it.commit("its commit", member, generation)
    it.leave("second leaves", second["MemberId"])
    it.leave("it leaves again", second["MemberId"])
    it.describe("empty")

    it.ask("offsets stay", "OffsetFetch", 7, {"GroupId": it.name, "Topics": None})
    it.commit("commit of nobody to an empty group", "", -1, offset=9)
    groups = [{"GroupId": it.name, "MemberId": None, "MemberEpoch": -1, "Topics": None}]
    it.ask("and is there", "OffsetFetch", 8, {"Groups": groups})
    it.delete("delete")
    it.describe("gone")


def static(comparison, broker):
    it = Story(comparison, broker)
    first = it.join("first joins", instance="i1")
    member, generation = first["MemberId"], first["GenerationId"]
    it.sync("syncs", member, generation, b"mine", instance="i1")
    back = it.join("comes back without id", instance="i1")
    grown = back["GenerationId"] - generation
    it.told("same generation", {"by": grown, "same": back["MemberId"] == member})
    it.sync("syncs", back["MemberId"], back["GenerationId"], instance="i1")
    it.heartbeat("the old one is fenced", member, generation, instance="i1")
    it.commit("commit of the old one", member, generation, instance="i1", metadata="")
    it.join("unknown instance with an id", "who", instance="i9")
    it.describe("stable")
    members = [{"MemberId": "", "GroupInstanceId": "i1", "Reason": "r"}, {"MemberId": "", "GroupInstanceId": "i2"}]
    it.ask("leaves by instance", "LeaveGroup", 5, {"GroupId": it.name, "Members": members})
    it.describe("empty")


def consumer(comparison, broker):
    it = Story(comparison, broker)
    member = "AAAAAAAAAAAAAAAAAAAAA" + str(it.version)
    join = {"RebalanceTimeoutMs": 3000, "SubscribedTopicNames": ["t"], "TopicPartitions": []}

    def beat(step, member, epoch, **fields):
        message = {"GroupId": it.name, "MemberId": member, "MemberEpoch": epoch, "RebalanceTimeoutMs": -1, **fields}
        return it.ask(step, "ConsumerGroupHeartbeat", it.version, message)

    def fetch_offsets(step, epoch):
        groups = [{"GroupId": it.name, "MemberId": member, "MemberEpoch": epoch, "Topics": None}]
        it.ask(step, "OffsetFetch", 9, {"Groups": groups})

    def describe(step):
        it.ask(step, "ConsumerGroupDescribe", 1, {"GroupIds": [it.name]})

    epoch = beat("joins", member, 0, **join)["MemberEpoch"]
    beat("next", member, epoch)
    beat("epoch of the past", member, epoch - 1)
    beat("epoch of the future", member, epoch + 3)
    owned = [{"TopicId": broker.topic_id("t"), "Partitions": [0, 1, 2]}]
    beat("full heartbeat", member, epoch, **{**join, "TopicPartitions": owned})
    describe("described")
    it.ask("as a classic group", "DescribeGroups", 6, {"Groups": [it.name]})
    it.join("classic member without a consumer's metadata")
    it.heartbeat("classic heartbeat", member, epoch)
    for step, who, at in (
        ("commit", member, epoch),
        ("commit of an old epoch", member, epoch - 1),
        ("commit of a new epoch", member, epoch + 1),
        ("commit of a stranger", "who", epoch),
    ):
        it.commit(step, who, at, offset=2, metadata="", epoch=0)
    fetch_offsets("fetched with an old epoch", epoch - 1)
    fetch_offsets("fetched", epoch)
    beat("changes what it reads", member, epoch, SubscribedTopicNames=["u", "none"])
    beat("next", member, epoch)
    beat("other instance", member, epoch, InstanceId="i")
    beat("leaves", member, -1)
    beat("after it left", member, epoch)
    describe("described")
    it.delete("delete")

    beat("static joins", member, 0, InstanceId="s1", **join)
    beat("static goes for a while", member, -2, InstanceId="s1")
    other = member[:-1] + "x"
    beat("another comes as it", other, 0, InstanceId="s1", **join)
    beat("the first is fenced", member, 1, InstanceId="s1")
    beat("leaves", other, -1)


def transaction(comparison, broker):
    """EndTxn's version says which kind of transaction it is: from version 5 on every end gives the next epoch."""
    it = Story(comparison, broker)
    id, old = it.name, it.version < 5
    producer, epoch = -1, -1

    def begin(step, **fields):
        message = {"TransactionalId": id, "TransactionTimeoutMs": 60000, "ProducerId": -1, "ProducerEpoch": -1}
        return it.ask(step, "InitProducerId", 4 if old else 5, {**message, **fields})

    def end_of_u(isolation):
        partitions = [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]
        message = {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [{"Name": "u", "Partitions": partitions}]}
        return broker.call("ListOffsets", 8, message)["Topics"][0]["Partitions"][0]["Offset"]

    def state(step):
        it.ask(step, "DescribeTransactions", 0, {"TransactionalIds": [id]})
        topics = [{"Name": "u", "PartitionIndexes": [0]}]
        answer = it.ask(step, "DescribeProducers", 0, {"Topics": topics})
        for partition in answer["Topics"][0]["Partitions"]:
            mine = [one for one in partition["ActiveProducers"] if one["ProducerId"] == producer]
            for one in mine:
                del one["LastTimestamp"]
                one["CurrentTxnStartOffset"] = min(one["CurrentTxnStartOffset"], 0)
            partition["ActiveProducers"] = mine
        for isolation in (0, 1):
            it.told(f"{step} (end at isolation {isolation})", {"grown": end_of_u(isolation) - base})

    def settled(step):
        """The same, once the markers are written."""

        def is_ended():
            answer = broker.call("DescribeTransactions", 0, {"TransactionalIds": [id]})
            return not answer["TransactionStates"][0]["TransactionState"].startswith("Prepare")

        until(is_ended)
        if step:
            state(step)

    def put(step, sequence):
        records = batch(2, producer, epoch, sequence, TRANSACTIONAL)
        topics = [{"Name": "u", "PartitionData": [{"Index": 0, "Records": records}]}]
        message = {"TransactionalId": id, "Acks": -1, "TimeoutMs": 3000, "TopicData": topics}
        answer = it.ask(step, "Produce", 11 if old else 12, message)
        answer["Responses"][0]["PartitionResponses"][0].pop("BaseOffset", None)

    def add(step, topics=("u",), producer_of=None, epoch_of=None):
        who = {"V3AndBelowTransactionalId": id, "V3AndBelowProducerId": producer_of or producer}
        who["V3AndBelowProducerEpoch"] = epoch if epoch_of is None else epoch_of
        named = [{"Name": topic, "Partitions": [0]} for topic in topics]
        it.ask(step, "AddPartitionsToTxn", 3, {**who, "V3AndBelowTopics": named})

    def end(step, commit, producer_of=None, epoch_of=None):
        who = {"TransactionalId": id, "ProducerId": producer_of or producer}
        who["ProducerEpoch"] = epoch if epoch_of is None else epoch_of
        return it.ask(step, "EndTxn", it.version, {**who, "Committed": commit})

    def offsets(step, epoch_of=None, generation=-1, member=""):
        who = {"TransactionalId": id, "GroupId": id, "ProducerId": producer, "ProducerEpoch": epoch_of or epoch}
        committed = {"CommittedOffset": 4, "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}
        topics = [{"Name": "t", "Partitions": [{"PartitionIndex": index, **committed} for index in (0, 9)]}]
        message = {**who, "GenerationId": generation, "MemberId": member, "Topics": topics}
        it.ask(step, "TxnOffsetCommit", 3 if old else 5, message)

    def fetch_offsets(step, stable):
        topics = [{"Name": "t", "PartitionIndexes": [0]}]
        it.ask(step, "OffsetFetch", 7, {"GroupId": id, "Topics": topics, "RequireStable": stable})

    base = end_of_u(0)
    begun = begin("begins")
    producer, epoch = begun["ProducerId"], begun["ProducerEpoch"]
    nothing = end("commit of nothing", True)
    if not old and nothing["ErrorCode"] == 0:
        epoch = nothing["ProducerEpoch"]
    if old:
        add("missing topic", topics=("none", "u"))
        put("before the partition is added", 0)
        add("partition added")
        add("with a wrong producer", producer_of=producer + 999)
        add("with a wrong epoch", epoch_of=epoch + 1)
    put("two records", 0)
    put("the same again", 0)
    put("a gap", 9)
    state("open")
    if old:
        message = {"TransactionalId": id, "ProducerId": producer, "ProducerEpoch": epoch, "GroupId": id}
        it.ask("offsets added", "AddOffsetsToTxn", 4, message)
    offsets("offsets in it")
    offsets("of a stranger", member="who", generation=3)
    offsets("of a wrong epoch", epoch_of=epoch + 3)
    fetch_offsets("pending offsets, stable wanted", True)
    fetch_offsets("pending offsets", False)
    end("wrong epoch", True, epoch_of=epoch + 1)
    end("wrong producer", True, producer_of=producer + 999)
    ended = end("commit", True)
    settled("committed")
    end("commit again", True)
    end("abort after commit", False)

    if not old:
        epoch = ended["ProducerEpoch"]
    fetch_offsets("offsets", True)
    if old:
        add("next partition")
    put("to be aborted", 2 if old else 0)
    ended = end("abort", False)
    settled("aborted")
    end("abort again", False)
    end("commit after abort", True)

    if not old:
        epoch = ended["ProducerEpoch"]
    wanted = {"FetchOffset": base, "CurrentLeaderEpoch": -1, "LastFetchedEpoch": -1, "LogStartOffset": -1}
    partitions = [{"Partition": 0, **wanted, "PartitionMaxBytes": 1 << 20}]
    message = {"ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1 << 20, "IsolationLevel": 1}
    message.update({"SessionId": 0, "SessionEpoch": -1, "Topics": [{"Topic": "u", "Partitions": partitions}]})
    fetched = broker.call("Fetch", 12, message)["Responses"][0]["Partitions"][0]
    seen = {
        "error": fetched["ErrorCode"],
        "aborted": [one["FirstOffset"] - base for one in fetched["AbortedTransactions"] or []],
        "stable": fetched["LastStableOffset"] - base,
        "bytes": len(fetched["Records"] or b""),
    }
    it.told("fetched", seen)

    add("open again") if old else put("open again", 0)
    next_one = begin("begins anew while one is open")
    it.told("epoch", {"by": next_one["ProducerEpoch"] - epoch})
    settled(None)
    put("by the old epoch", 4)
    end("by the old epoch", True)
    current = {"ProducerId": next_one["ProducerId"], "ProducerEpoch": next_one["ProducerEpoch"]}
    begin("keeps its id", **current)
    begin("with an old epoch", **{**current, "ProducerEpoch": epoch})
    state("at last")
