"""Single requests, good and bad. Each is a step with a name, sent in every version.

Topics `t` (three partitions, records in two of them), `u` (one partition) and `compacted` exist on both sides, `none`
does not.
"""

import time

from brokers import NOBODY, ZERO, until
from records import CONTROL, TRANSACTIONAL, batch

EXISTING = ("t", "u", "compacted")
NEW = range(0, 100)


def since(version):
    return range(version, 100)


def prepare(comparison):
    def prepare_one(broker):
        broker.create("t", 3, retention_ms="-1")
        broker.create("u", 1, retention_ms="-1")
        broker.create("compacted", 1, cleanup_policy="compact")
        broker.fill("t", 0, batch(5))
        broker.fill("t", 1, batch(2))
        broker.load_coordinators()

    comparison.on_both(prepare_one)
    # All partitions of the internal topics.
    time.sleep(2)


def id_of(broker, topic):
    return broker.topic_id(topic) if topic in EXISTING else NOBODY


def compare(comparison):
    defaults(comparison)
    for compare_some in (
        metadata,
        create_topics,
        create_partitions,
        delete_topics,
        describe_configs,
        alter_configs,
        loggers,
        list_offsets,
        epochs,
        fetch,
        produce,
        find_coordinator,
        groups,
        offsets_of_groups,
        consumer_groups,
        transactional_ids,
        records_and_directories,
        replicas,
        cluster,
        describe_topic_partitions,
        acls,
        authentication,
    ):
        compare_some(comparison.step)


def defaults(comparison):
    """Every API with nothing but defaults."""
    step, apis = comparison.step, comparison.brokers[0].schemas.api_names.values()
    # Those that read or write have steps of their own; those that stop a broker have none.
    left_out = ("AddPartitionsToTxn", "ControlledShutdown", "Fetch", "Produce", "ShareFetch", "UnregisterBroker")
    for api in sorted(apis):
        if api not in left_out:
            step(api, "defaults", {})
    # Kafka never answers versions 4 and 5.
    step("AddPartitionsToTxn", "defaults", {}, range(4))
    step("AddPartitionsToTxn", "defaults", {}, since(4), patience=1)


def asks_metadata(*topics, create=False):
    names = [
        {"Name": None, "TopicId": topic} if isinstance(topic, bytes) else {"Name": topic, "TopicId": ZERO}
        for topic in topics
    ]
    operations = {"IncludeTopicAuthorizedOperations": True, "IncludeClusterAuthorizedOperations": True}
    return {"Topics": names, "AllowAutoTopicCreation": create, **operations}


def metadata(step):
    step("Metadata", "all topics", {"Topics": None}, since(1))
    # Before version 4 a missing topic is created: see `auto_creation`.
    step("Metadata", "missing", asks_metadata("none"), since(4))
    for name, topics in (
        ("one", ["t"]),
        ("bad name", ["a b"]),
        ("empty name", [""]),
        ("twice", ["t", "t"]),
        ("dots", ["."]),
        ("long name", ["x" * 250]),
    ):
        step("Metadata", name, asks_metadata(*topics))
    step("Metadata", "unknown id", asks_metadata(NOBODY), since(12))
    step("Metadata", "known id", lambda broker, _: asks_metadata(broker.topic_id("t")), since(12))


def create_topics(step):
    def create(name, times=1, timeout=10000, validate=False, topic_name=None, **fields):
        def message(_, version):
            own = topic_name(version) if callable(topic_name) else topic_name
            name_of = f"c-{name}-{version}".replace(" ", "-") if own is None else own
            topic = {"Name": name_of, "NumPartitions": 2, "ReplicationFactor": 1, **fields}
            return {"Topics": [topic] * times, "timeoutMs": timeout, "validateOnly": validate}

        step("CreateTopics", name, message)

    create("good")
    create("validated", validate=True)
    for name, topic in (
        ("existing", "t"),
        ("bad name", "a b"),
        ("empty name", ""),
        ("long name", "x" * 250),
        ("dot", "."),
        ("dot dot", ".."),
        ("internal", "__consumer_offsets_x"),
        ("collides", lambda version: f"c.good-{version}"),
    ):
        create(name, topic_name=topic)
    create("no partitions", NumPartitions=0)
    create("minus partitions", NumPartitions=-2)
    create("default partitions", NumPartitions=-1, ReplicationFactor=-1)
    create("too many partitions", NumPartitions=2**31 - 1)
    create("factor 0", ReplicationFactor=0)
    create("factor 5", ReplicationFactor=5)
    create("twice", times=2)
    create("timeout 0", timeout=0, validate=True)
    create("timeout below 0", timeout=-1)
    create("timeout 0 and a bad name", timeout=0, topic_name="a b")
    for name, key, value in (
        ("unknown key", "no.such.key", "1"),
        ("bad value", "retention.ms", "x"),
        ("null value", "retention.ms", None),
        ("out of range", "min.insync.replicas", "0"),
        ("policy", "cleanup.policy", "compact,delete"),
        ("bad policy", "cleanup.policy", "x"),
        ("compression", "compression.type", "zip"),
        ("good config", "retention.ms", "123456"),
    ):
        create("config " + name, Configs=[{"Name": key, "Value": value}])
    for name, partition, brokers in (
        ("good", 0, [1]),
        ("gap", 1, [1]),
        ("broker 9", 0, [9]),
        ("twice", 0, [1, 1]),
        ("empty", 0, []),
        ("negative", -1, [1]),
    ):
        assignments = [{"PartitionIndex": partition, "BrokerIds": brokers}]
        create("assignment " + name, NumPartitions=-1, ReplicationFactor=-1, Assignments=assignments)
    create("assignment and count", NumPartitions=1, Assignments=[{"PartitionIndex": 0, "BrokerIds": [1]}])


def create_partitions(step):
    def add(name, topic, count, assignment=None, times=1, validate=False, timeout=5000):
        assignments = None if assignment is None else [{"BrokerIds": assignment}]
        topics = [{"Name": topic, "Count": count, "Assignments": assignments}] * times
        step("CreatePartitions", name, {"Topics": topics, "TimeoutMs": timeout, "ValidateOnly": validate})

    add("missing", "none", 3)
    add("fewer", "t", 1)
    add("same", "t", 3)
    add("zero", "t", 0)
    add("negative", "t", -1)
    add("validated", "t", 5, validate=True)
    add("assignments few", "t", 5, [1])
    add("assignment broker 9", "t", 4, [9])
    add("assignment empty", "t", 4, [])
    add("twice", "t", 4, times=2, validate=True)
    add("empty name", "", 4)
    add("timeout 0", "t", 5, timeout=0)


def delete_topics(step):
    def delete(name, topics, versions=NEW, timeout=5000):
        def message(broker, version):
            states = topics(broker, version) if callable(topics) else topics
            return {"TopicNames": [state["Name"] for state in states], "Topics": states, "TimeoutMs": timeout}

        step("DeleteTopics", name, message, versions)

    delete("missing", [{"Name": "none"}])
    delete("twice", [{"Name": "none"}, {"Name": "none"}])
    delete("unknown id", [{"Name": None, "TopicId": NOBODY}], since(6))
    delete("name and id", lambda broker, _: [{"Name": "t", "TopicId": broker.topic_id("t")}], since(6))
    delete("nothing named", [{"Name": None, "TopicId": ZERO}], since(6))
    delete("timeout 0", [{"Name": "t"}], timeout=0)
    delete("good", lambda _, version: [{"Name": f"c-good-{version}"}])


def describe_configs(step):
    for name, kind, resource, keys in (
        ("topic", 2, "t", None),
        ("topic missing", 2, "none", None),
        ("topic bad name", 2, "a b", None),
        ("topic empty", 2, "", None),
        ("topic one key", 2, "t", ["retention.ms"]),
        ("topic unknown key", 2, "t", ["nope"]),
        ("topic no keys", 2, "t", []),
        ("broker", 4, "1", None),
        ("broker default", 4, "", None),
        ("broker 9", 4, "9", None),
        ("broker x", 4, "x", None),
        ("logger 9", 8, "9", None),
        ("logger empty", 8, "", None),
        ("type 99", 99, "x", None),
        ("type 0", 0, "x", None),
        ("group", 32, "g", None),
        ("group empty", 32, "", None),
        ("client metrics", 16, "m", None),
    ):
        resources = [{"ResourceType": kind, "ResourceName": resource, "ConfigurationKeys": keys}]
        step("DescribeConfigs", name, {"Resources": resources, "IncludeSynonyms": True})


SET, DELETE, APPEND, SUBTRACT = range(4)


def altering(step):
    def alter(name, kind, resource, *changes, validate=False):
        named = {"ResourceType": kind, "ResourceName": resource}
        configs = [{"Name": key, "ConfigOperation": operation, "Value": value} for key, operation, value in changes]
        step("IncrementalAlterConfigs", name, {"Resources": [{**named, "Configs": configs}], "ValidateOnly": validate})
        if all(operation == SET for _, operation, _ in changes):
            configs = [{"Name": key, "Value": value} for key, _, value in changes]
            step("AlterConfigs", name, {"Resources": [{**named, "Configs": configs}], "ValidateOnly": validate})

    return alter


def alter_configs(step):
    alter = altering(step)
    alter("good", 2, "u", ("retention.ms", SET, "99"))
    alter("validated", 2, "u", ("retention.ms", SET, "98"), validate=True)
    alter("unknown key", 2, "u", ("nope", SET, "1"))
    alter("bad value", 2, "u", ("retention.ms", SET, "x"))
    alter("null value", 2, "u", ("retention.ms", SET, None))
    alter("delete", 2, "u", ("retention.ms", DELETE, None))
    alter("delete unknown", 2, "u", ("nope", DELETE, None))
    alter("append list", 2, "u", ("cleanup.policy", APPEND, "compact"))
    alter("subtract list", 2, "u", ("cleanup.policy", SUBTRACT, "compact"))
    alter("append to number", 2, "u", ("retention.ms", APPEND, "1"))
    alter("operation 9", 2, "u", ("retention.ms", 9, "1"))
    alter("key twice", 2, "u", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    alter("missing topic", 2, "none", ("retention.ms", SET, "1"))
    alter("bad topic", 2, "a b", ("retention.ms", SET, "1"))
    alter("empty topic", 2, "", ("retention.ms", SET, "1"))
    alter("broker dynamic", 4, "1", ("log.retention.ms", SET, "99999999"))
    alter("broker read only", 4, "1", ("log.dirs", SET, "/x"))
    alter("broker unknown", 4, "1", ("nope", SET, "1"))
    alter("broker bad value", 4, "1", ("num.io.threads", SET, "x"))
    alter("broker operation 9", 4, "1", ("log.retention.ms", 9, "1"))
    alter("broker 9", 4, "9", ("log.retention.ms", SET, "1"))
    alter("broker x", 4, "x", ("log.retention.ms", SET, "1"))
    alter("broker default", 4, "", ("log.retention.ms", SET, "88888888"))
    alter("type 99", 99, "x", ("a", SET, "1"))
    alter("group", 32, "g", ("consumer.session.timeout.ms", SET, "50000"))
    alter("group bad", 32, "g", ("consumer.session.timeout.ms", SET, "1"))
    alter("group empty", 32, "", ("consumer.session.timeout.ms", SET, "50000"))


def loggers(step):
    alter = altering(step)
    alter("logger root", 8, "1", ("root", SET, "ERROR"))
    resources = [{"ResourceType": 8, "ResourceName": "1", "ConfigurationKeys": ["root"]}]
    step("DescribeConfigs", "logger root", {"Resources": resources, "IncludeSynonyms": True})
    alter("logger validated", 8, "1", ("root", SET, "TRACE"), validate=True)
    step("DescribeConfigs", "logger root again", {"Resources": resources})
    alter("logger level", 8, "1", ("root", SET, "LOUD"))
    alter("logger level in lower case", 8, "1", ("root", SET, "info"))
    alter("logger off", 8, "1", ("root", SET, "OFF"))
    alter("logger null", 8, "1", ("root", SET, None))
    alter("logger twice", 8, "1", ("root", SET, "INFO"), ("root", SET, "WARN"))
    alter("logger root deleted", 8, "1", ("root", DELETE, None))
    alter("logger appended to", 8, "1", ("root", APPEND, "INFO"))
    alter("logger subtracted from", 8, "1", ("root", SUBTRACT, "INFO"))
    alter("logger operation 9", 8, "1", ("root", 9, "INFO"))
    alter("logger unknown", 8, "1", ("no.such.logger", SET, "INFO"))
    alter("logger unknown deleted", 8, "1", ("no.such.logger", DELETE, None))
    alter("logger of another node", 8, "2", ("root", SET, "INFO"))
    alter("logger of no node", 8, "x", ("root", SET, "INFO"))
    alter("logger nothing", 8, "1")


def list_offsets(step):
    def offsets(name, partition=0, at=-1, topic="t", epoch=-1, isolation=0, times=1):
        partitions = [{"PartitionIndex": partition, "CurrentLeaderEpoch": epoch, "Timestamp": at}] * times
        topics = [{"Name": topic, "Partitions": partitions}]
        message = {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": topics, "TimeoutMs": 3000}
        step("ListOffsets", name, message)

    for at in (-1, -2, -3, -4, -5, -6, -7, 0, 1_700_000_000_000, 1_800_000_000_000):
        offsets(f"at {at}", at=at)
    offsets("empty partition latest", 2)
    offsets("empty partition max", 2, -3)
    offsets("partition 9", 9)
    offsets("missing topic", topic="none")
    offsets("epoch 7", epoch=7)
    offsets("committed", isolation=1)
    offsets("isolation 5", isolation=5)
    offsets("bad name", topic="a b")
    offsets("partition twice", times=2)


def epochs(step):
    def epoch(name, epoch, topic="t", partition=0, current=-1):
        partitions = [{"Partition": partition, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]
        step("OffsetForLeaderEpoch", name, {"ReplicaId": -2, "Topics": [{"Topic": topic, "Partitions": partitions}]})

    epoch("0", 0)
    epoch("5", 5)
    epoch("-1", -1)
    epoch("missing topic", 0, "none")
    epoch("partition 9", 0, partition=9)
    epoch("current 7", 0, current=7)


def fetch(step):
    def read(
        name, offset=0, partitions=(0,), topic="t", session=0, epoch=-1, current=-1, wait=100, least=1, most=1 << 20,
        part_most=1 << 20, replica=-1, last=-1,
    ):  # fmt: skip
        def message(broker, version):
            wanted = {"FetchOffset": offset, "CurrentLeaderEpoch": current, "LastFetchedEpoch": last}
            wanted.update({"LogStartOffset": -1, "PartitionMaxBytes": part_most})
            topics = [{
                "Topic": topic, "TopicId": id_of(broker, topic),
                "Partitions": [{"Partition": partition, **wanted} for partition in partitions],
            }]  # fmt: skip
            fields = {"ReplicaId": replica, "MaxWaitMs": wait, "MinBytes": least, "MaxBytes": most, "Topics": topics}
            # From version 15 on a follower says here who it is.
            fields["ReplicaState"] = {"ReplicaId": replica, "ReplicaEpoch": -1}
            return {**fields, "SessionId": session, "SessionEpoch": epoch}

        step("Fetch", name, message)

    read("good")
    read("from 3", 3)
    read("at end", 5)
    read("beyond", 99)
    read("negative", -1)
    read("partition 9", partitions=[9])
    read("missing topic", topic="none")
    read("session unknown", session=77, epoch=1)
    read("session epoch 5 without id", epoch=5)
    read("leader epoch 7", current=7)
    read("last fetched epoch 5", 5, last=5)
    read("max bytes 0", most=0)
    read("partition bytes 0", part_most=0)
    read("min bytes huge", least=1 << 30)
    read("as follower 1", partitions=[0, 9], replica=1)
    read("as follower 7", partitions=[0, 9], replica=7)
    read("as follower, missing topic", topic="none", replica=7)
    read("as follower, session", replica=7, epoch=0)
    read("as debug", replica=-2)
    read("no wait at end", 5, wait=0)
    read("negative wait", 5, wait=-1)
    read("new session", partitions=[0, 1, 2, 9], epoch=0, wait=10)


def produce(step):
    def send(name, records, topic="u", partition=0, acks=-1, transactional_id=None):
        def message(broker, _):
            data = [{"Index": partition, "Records": records}]
            topics = [{"Name": topic, "TopicId": id_of(broker, topic), "PartitionData": data}]
            return {"TransactionalId": transactional_id, "Acks": acks, "TimeoutMs": 3000, "TopicData": topics}

        step("Produce", name, message)

    transactional = {"attributes": TRANSACTIONAL, "producer": 5, "epoch": 0, "sequence": 0}
    send("good", batch())
    send("acks 1", batch(), acks=1)
    send("acks 2", batch(), acks=2)
    send("empty records", b"")
    send("bad crc", batch(good_crc=False))
    send("two batches", batch() + batch())
    send("cut", batch()[:-3])
    send("rubbish", b"\0" * 80)
    send("magic 3", batch(magic=3))
    send("magic 1", batch(magic=1))
    send("missing topic", batch(), topic="none")
    send("partition 9", batch(), partition=9)
    send("partition negative", batch(), partition=-1)
    send("control batch", batch(attributes=CONTROL))
    send("codec 7", batch(attributes=7))
    send("transactional without id", batch(**transactional))
    send("transactional id unknown", batch(**transactional), transactional_id="nobody")
    send("unknown producer", batch(producer=4711, epoch=0, sequence=0))
    send("sequence gap", batch(producer=4711, epoch=0, sequence=9))
    send("epoch back", batch(producer=4711, epoch=-1, sequence=1))
    send("future", batch(at=4_000_000_000_000))
    send("negative time", batch(at=-1))
    send("one MB too large", batch(value=b"x" * 1_100_000))
    send("compacted with key", batch(key=b"k"), topic="compacted")
    send("compacted without key", batch(), topic="compacted")
    send("compacted without keys", batch(5), topic="compacted")


def find_coordinator(step):
    def find(name, keys, kind, versions=NEW):
        step("FindCoordinator", name, {"Key": (keys or [""])[0], "KeyType": kind, "CoordinatorKeys": keys}, versions)

    find("group", ["g"], 0)
    find("empty group", [""], 0)
    find("transactional id", ["x"], 1)
    find("empty transactional id", [""], 1)
    find("type 9", ["x"], 9)
    find("type -1", ["x"], -1)
    find("twice", ["g", "g"], 0, since(4))
    find("none", [], 0, since(4))


def groups(step):
    member = {"GroupId": "nogroup", "GenerationId": 1, "MemberId": "who"}
    for api in ("SyncGroup", "Heartbeat"):
        step(api, "unknown group", member)
        step(api, "empty group", {**member, "GroupId": ""})
    step("LeaveGroup", "unknown", {"GroupId": "nogroup", "MemberId": "who", "Members": [{"MemberId": "who"}]})
    step("LeaveGroup", "nobody", {"GroupId": "nogroup", "Members": []}, since(3))


def offsets_of_groups(step):
    def commit(
        name, group="simple", topic="t", partition=0, offset=3, member="", generation=-1, metadata="m"
    ):  # fmt: skip
        def message(broker, _):
            committed = {"CommittedOffset": offset, "CommittedLeaderEpoch": -1, "CommittedMetadata": metadata}
            partitions = [{"PartitionIndex": partition, **committed}]
            topics = [{"Name": topic, "TopicId": id_of(broker, topic), "Partitions": partitions}]
            who = {"GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member}
            return {**who, "RetentionTimeMs": -1, "Topics": topics}

        step("OffsetCommit", name, message)

    commit("simple")
    commit("member of none", member="who", generation=1)
    commit("missing topic", topic="none")
    commit("partition 9", partition=9)
    commit("negative offset", offset=-5)
    commit("large metadata", metadata="x" * 5000)
    commit("null metadata", metadata=None)
    commit("empty group", group="")
    commit("generation 5", generation=5)

    def committed(name, group, topics):
        def message(broker, _):
            old = new = None
            if topics is not None:
                old = [{"Name": topic, "PartitionIndexes": partitions} for topic, partitions in topics]
                new = [{**asked, "TopicId": id_of(broker, asked["Name"])} for asked in old]
            groups = [{"GroupId": group, "MemberId": None, "MemberEpoch": -1, "Topics": new}]
            return {"GroupId": group, "Topics": old, "Groups": groups, "RequireStable": True}

        step("OffsetFetch", name, message, since(2 if topics is None else 0))

    committed("one", "simple", [("t", [0])])
    committed("all", "simple", None)
    committed("never committed", "simple", [("t", [1, 9])])
    committed("missing topic", "simple", [("none", [0])])
    committed("unknown group", "nogroup", [("t", [0])])
    committed("unknown group all", "nogroup", None)
    committed("empty group", "", [("t", [0])])

    def as_member(broker, _):
        topics = [{"Name": "t", "TopicId": broker.topic_id("t"), "PartitionIndexes": [0]}]
        return {"Groups": [{"GroupId": "simple", "MemberId": "who", "MemberEpoch": 3, "Topics": topics}]}

    step("OffsetFetch", "as unknown member", as_member, since(9))

    for name, group in ("unknown", "nogroup"), ("simple", "simple"), ("empty", ""):
        step("DescribeGroups", name, {"Groups": [group], "IncludeAuthorizedOperations": True})
        step("ConsumerGroupDescribe", name, {"GroupIds": [group], "IncludeAuthorizedOperations": True})
    step("DescribeGroups", "twice", {"Groups": ["simple", "simple"]})
    step("ConsumerGroupDescribe", "twice", {"GroupIds": ["simple", "simple"]})
    step("ListGroups", "all", {})
    step("ListGroups", "state Empty", {"StatesFilter": ["Empty"]})
    step("ListGroups", "state bad", {"StatesFilter": ["Nope"]})
    step("ListGroups", "type classic", {"TypesFilter": ["classic"]})
    step("ListGroups", "type bad", {"TypesFilter": ["nope"]})
    for name, group, topic, partitions in (
        ("unknown group", "nogroup", "t", [0]),
        ("missing topic", "simple", "none", [0]),
        ("good", "simple", "t", [0, 9]),
    ):
        topics = [{"Name": topic, "Partitions": [{"PartitionIndex": partition} for partition in partitions]}]
        step("OffsetDelete", name, {"GroupId": group, "Topics": topics})
    step("DeleteGroups", "unknown and empty", {"GroupsNames": ["nogroup", ""]})
    step("DeleteGroups", "twice", {"GroupsNames": ["nogroup", "nogroup"]})
    step("DeleteGroups", "simple", {"GroupsNames": ["simple"]})


def consumer_groups(step):
    join = {"GroupId": "cg", "MemberId": "m1", "MemberEpoch": 0, "RebalanceTimeoutMs": 5000}
    join.update({"SubscribedTopicNames": ["t"], "TopicPartitions": []})
    heartbeat = {"SubscribedTopicNames": None, "RebalanceTimeoutMs": -1, "TopicPartitions": None}
    for name, fields in (
        ("unknown member epoch 1", {**heartbeat, "MemberEpoch": 1}),
        ("empty group", {"GroupId": ""}),
        ("no rebalance timeout", {"RebalanceTimeoutMs": -1}),
        ("no topics given", {"SubscribedTopicNames": None}),
        ("partitions null on join", {"TopicPartitions": None}),
        ("unknown assignor", {"ServerAssignor": "nope"}),
        ("leave unknown", {"MemberEpoch": -1}),
        ("static leave unknown", {"MemberEpoch": -2, "InstanceId": "i"}),
        ("epoch -9", {"MemberEpoch": -9}),
        ("bad pattern", {"SubscribedTopicRegex": "(["}),
        ("empty instance", {"InstanceId": ""}),
        ("empty rack", {"RackId": ""}),
    ):
        # A field that this version lacks stays out of its bytes.
        step("ConsumerGroupHeartbeat", name, {**join, **fields})


def transactional_ids(step):
    def begin(name, transactional_id=None, timeout=60000, producer=-1, epoch=-1):
        message = {"TransactionalId": transactional_id, "TransactionTimeoutMs": timeout}
        step("InitProducerId", name, {**message, "ProducerId": producer, "ProducerEpoch": epoch})

    begin("idempotent")
    begin("empty id", "")
    begin("id", "tx")
    begin("timeout 0", "tx0", 0)
    begin("timeout huge", "tx1", 2**31 - 1)
    begin("negative timeout", "tx2", -1)
    begin("unknown producer", "tx3", producer=4711, epoch=3)
    begin("epoch without id", None, producer=-1, epoch=4)
    begin("producer without id", None, producer=5, epoch=0)

    nobody = {"TransactionalId": "nobody", "ProducerId": 5, "ProducerEpoch": 0}
    topics = [{"Name": "t", "Partitions": [0]}]
    add = {"V3AndBelowTransactionalId": "nobody", "V3AndBelowProducerId": 5, "V3AndBelowProducerEpoch": 0}
    add.update({"V3AndBelowTopics": topics, "Transactions": [{**nobody, "VerifyOnly": False, "Topics": topics}]})
    step("AddPartitionsToTxn", "unknown", add)
    step("AddOffsetsToTxn", "unknown", {**nobody, "GroupId": "g"})
    step("EndTxn", "unknown", {**nobody, "Committed": True})
    step("EndTxn", "empty id", {**nobody, "TransactionalId": "", "Committed": True})

    def commit(broker, _):
        committed = {"CommittedOffset": 1, "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}
        partitions = [{"PartitionIndex": 0, **committed}]
        topics = [{"Name": "t", "TopicId": broker.topic_id("t"), "Partitions": partitions}]
        return {**nobody, "GroupId": "g", "GenerationId": -1, "MemberId": "", "Topics": topics}

    step("TxnOffsetCommit", "unknown", commit)
    step("DescribeTransactions", "unknown", {"TransactionalIds": ["nobody", ""]})
    step("DescribeTransactions", "known", {"TransactionalIds": ["tx"]})
    step("ListTransactions", "all", {"DurationFilter": -1})
    step("ListTransactions", "bad state", {"StateFilters": ["Nope"], "DurationFilter": -1})
    step("ListTransactions", "bad pattern", {"DurationFilter": -1, "TransactionalIdPattern": "(["}, since(2))
    mixed = [{"Name": "t", "PartitionIndexes": [0, 9]}, {"Name": "none", "PartitionIndexes": [0]}]
    step("DescribeProducers", "mixed", {"Topics": mixed})
    step("DescribeProducers", "bad name", {"Topics": [{"Name": "a b", "PartitionIndexes": [0]}]})


def records_and_directories(step):
    def delete(name, **topics):
        named = [
            {"Name": topic, "Partitions": [{"PartitionIndex": index, "Offset": offset} for index, offset in partitions]}
            for topic, partitions in topics.items()
        ]
        step("DeleteRecords", name, {"Topics": named, "TimeoutMs": 3000})

    delete("mixed", t=[(0, 99), (9, 0), (1, -1)], none=[(0, 0)])
    delete("internal", __consumer_offsets=[(0, 0)])
    topics = [{"Topic": "t", "Partitions": [0, 9]}, {"Topic": "none", "Partitions": [0]}]
    step("DescribeLogDirs", "one", {"Topics": topics})
    topics = [{"Name": "t", "Partitions": [0, 9]}, {"Name": "none", "Partitions": [0]}]
    step("AlterReplicaLogDirs", "bad", {"Dirs": [{"Path": "/no/such", "Topics": topics}]})
    step("AlterReplicaLogDirs", "relative", {"Dirs": [{"Path": "x", "Topics": topics[:1]}]})


def replicas(step):
    partitions = [{"Topic": "t", "Partitions": [0, 9]}, {"Topic": "none", "Partitions": [0]}]
    for kind in (0, 1, 5):
        message = {"ElectionType": kind, "TopicPartitions": partitions, "TimeoutMs": 3000}
        step("ElectLeaders", f"kind {kind}", message)
    step("ElectLeaders", "all", {"ElectionType": 0, "TopicPartitions": None, "TimeoutMs": 3000})
    step("ElectLeaders", "timeout 0", {"ElectionType": 0, "TopicPartitions": partitions, "TimeoutMs": 0})
    step("ElectLeaders", "all, timeout 0", {"ElectionType": 0, "TopicPartitions": None, "TimeoutMs": 0})

    def move(name, replicas, timeout=3000):
        partitions = [{"PartitionIndex": 0, "Replicas": replicas}]
        topics = [{"Name": "u", "Partitions": partitions}, {"Name": "none", "Partitions": partitions}]
        step("AlterPartitionReassignments", name, {"TimeoutMs": timeout, "Topics": topics})

    move("same", [1])
    move("broker 9", [9])
    move("empty", [])
    move("twice", [1, 1])
    move("cancel none", None)
    move("negative", [-1])
    move("timeout 0", [1], timeout=0)
    topics = [{"Name": "t", "PartitionIndexes": [0, 9]}, {"Name": "none", "PartitionIndexes": [0]}]
    step("ListPartitionReassignments", "all", {"TimeoutMs": 3000, "Topics": None})
    step("ListPartitionReassignments", "some", {"TimeoutMs": 3000, "Topics": topics})
    step("ListPartitionReassignments", "timeout 0", {"TimeoutMs": 0, "Topics": None})


def cluster(step):
    step("DescribeCluster", "operations", {"IncludeClusterAuthorizedOperations": True, "EndpointType": 1})
    step("DescribeCluster", "controllers", {"EndpointType": 2})
    step("DescribeCluster", "type 9", {"EndpointType": 9})
    for name, topic, partition in (
        ("metadata", "__cluster_metadata", 0),
        ("other", "t", 0),
        ("partition 1", "__cluster_metadata", 1),
    ):
        step("DescribeQuorum", name, {"Topics": [{"TopicName": topic, "Partitions": [{"PartitionIndex": partition}]}]})
    for name, feature, level, kind in (
        ("unknown", "nope", 1, 1),
        ("too high", "metadata.version", 999, 1),
        ("same", "group.version", 1, 1),
        ("down without leave", "metadata.version", 7, 1),
        ("down", "metadata.version", 7, 2),
        ("zero", "metadata.version", 0, 3),
        ("negative", "group.version", -1, 1),
        ("type 9", "group.version", 1, 9),
    ):
        update = {"Feature": feature, "MaxVersionLevel": level, "UpgradeType": kind, "AllowDowngrade": kind in (2, 3)}
        step("UpdateFeatures", name, {"timeoutMs": 3000, "FeatureUpdates": [update], "ValidateOnly": True})
    step("UpdateFeatures", "timeout 0", {"timeoutMs": 0, "FeatureUpdates": []})
    step("ListConfigResources", "topics", {"ResourceTypes": [2]})
    step("ListConfigResources", "type 99", {"ResourceTypes": [99]})
    step("UnregisterBroker", "9", {"BrokerId": 9})
    step("UnregisterBroker", "negative", {"BrokerId": -1})
    step("ApiVersions", "bad software", {"ClientSoftwareName": "a b", "ClientSoftwareVersion": ""}, [3, 4])
    step("GetTelemetrySubscriptions", "zero", {"ClientInstanceId": ZERO})
    step("DescribeUserScramCredentials", "missing", {"Users": [{"Name": "none"}]})
    step("DescribeClientQuotas", "all", {"Components": [], "Strict": False})


def describe_topic_partitions(step):
    def describe(name, topics, limit=2000, cursor=None):
        after = cursor and {"TopicName": cursor[0], "PartitionIndex": cursor[1]}
        named = [{"Name": topic} for topic in topics]
        message = {"Topics": named, "ResponsePartitionLimit": limit, "Cursor": after}
        step("DescribeTopicPartitions", name, message)

    describe("one", ["t"])
    describe("missing", ["none"])
    describe("bad name", ["a b"])
    describe("limit 1", ["t"], 1)
    describe("limit 0", ["t"], 0)
    describe("limit met by the last of several", ["t", "none", "also-none"], 3)
    describe("cursor", ["t"], cursor=("t", 1))
    describe("cursor past the last partition", ["t"], cursor=("t", 9))
    describe("cursor on a missing topic", ["none"], cursor=("none", 2))
    describe("cursor not among the topics", ["t"], cursor=("zz", 0))
    describe("cursor between all topics", [], cursor=("tt", 0))
    describe("cursor negative", ["t", "u"], cursor=("t", -1))
    describe("cursor negative, all topics", [], cursor=("zz", -1))


def acls(step):
    everything = {"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1}
    acl = {"ResourceType": 2, "ResourceName": "t", "ResourcePatternType": 3, "Principal": "User:a", "Host": "*"}
    step("DescribeAcls", "any", everything)
    step("CreateAcls", "one", {"Creations": [{**acl, "Operation": 3, "PermissionType": 3}]})
    step("DeleteAcls", "any", {"Filters": [everything]})


def authentication(step):
    """Every listener is PLAINTEXT. (The defaults are sent too.)"""
    step("SaslHandshake", "PLAIN", {"Mechanism": "PLAIN"})
    step("SaslAuthenticate", "PLAIN", {"AuthBytes": b"\0user\0password"})
    owner = {"OwnerPrincipalType": "User", "OwnerPrincipalName": "other"}
    renewers = [{"PrincipalType": "Group", "PrincipalName": "all"}]
    step("CreateDelegationToken", "for another", owner, since(3))
    step("CreateDelegationToken", "renewer of no type", {"Renewers": renewers, "MaxLifetimeMs": 5})
    step("DescribeDelegationToken", "of nobody", {"Owners": []})
    step("DescribeDelegationToken", "of one", {"Owners": [{"PrincipalType": "User", "PrincipalName": "other"}]})


def compare_last(comparison):
    """What leaves groups and topics on one side only."""
    step = comparison.step

    def join(name, group=None, member="", session=10000, kind="consumer", protocols=("range",), instance=None):
        def message(_, version):
            who = {"GroupId": f"j-{name}-{version}" if group is None else group, "MemberId": member}
            who.update({"GroupInstanceId": instance, "SessionTimeoutMs": session, "RebalanceTimeoutMs": 1000})
            named = [{"Name": protocol, "Metadata": b""} for protocol in protocols]
            return {**who, "ProtocolType": kind, "Protocols": named}

        step("JoinGroup", name, message)

    join("new")
    join("empty group", "")
    join("session 1", session=1)
    join("session huge", session=2**31 - 1)
    join("unknown member", member="who")
    join("no protocols", protocols=())
    join("no type", kind="")
    join("static", instance="i1")
    for name, key in (("share key", "g:AAAAAAAAAAAAAAAAAAAAAA:0"), ("share bad key", "g")):
        step("FindCoordinator", name, {"Key": key, "KeyType": 2, "CoordinatorKeys": [key]})
    auto_creation(comparison)


def auto_creation(comparison):
    """Topics that a Metadata request creates. Kafka's answer to the first one is that the topic is missing; the broker
    under test has it then already. So both are asked until it is there."""
    if comparison.only and "Metadata" not in comparison.only:
        return
    for version in comparison.versions("Metadata"):
        for broker in comparison.brokers:
            asked = asks_metadata(f"auto_created-{version}", create=True)
            until(lambda: broker.call("Metadata", version, asked)["Topics"][0]["ErrorCode"] == 0)
            broker.topic_id(f"auto_created-{version}")
    created = lambda _, version: asks_metadata(f"auto_created-{version}", create=True)
    comparison.step("Metadata", "auto-created", created)
    # The names collide in the names of metrics: `.` and `_` are one there.
    collides = lambda _, version: asks_metadata(f"auto.created-{version}", create=True)
    comparison.step("Metadata", "auto-creation of a name that collides", collides)
    comparison.step("Metadata", "auto-creation of a bad name", asks_metadata("a b", create=True))
