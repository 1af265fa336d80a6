"""A member of a group, by kafka-python, aiokafka or librdkafka: prints partition and offset of each record."""

import asyncio
import signal
import sys

KIND, BROKER, GROUP, TOPIC, PROTOCOL = sys.argv[1:]
SETTINGS = dict(bootstrap_servers=BROKER, group_id=GROUP, auto_offset_reset="earliest", session_timeout_ms=6000,
                heartbeat_interval_ms=500, auto_commit_interval_ms=500)


def kafka_python():
    from kafka import KafkaConsumer
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    consumer = KafkaConsumer(TOPIC, partition_assignment_strategy=[RangePartitionAssignor], **SETTINGS)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                print(record.partition, record.offset)
    consumer.close()


async def aio_kafka():
    from aiokafka import AIOKafkaConsumer
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    consumer = AIOKafkaConsumer(TOPIC, partition_assignment_strategy=[RangePartitionAssignor], **SETTINGS)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await consumer.start()
    while not stopped.is_set():
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                print(record.partition, record.offset)
    await consumer.stop()


def confluent_kafka():
    from confluent_kafka import Consumer
    settings = {"bootstrap.servers": BROKER, "group.id": GROUP, "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 500, "group.protocol": PROTOCOL}
    if PROTOCOL == "classic":
        settings |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                     "partition.assignment.strategy": "range"}
    consumer = Consumer(settings)
    consumer.subscribe([TOPIC])
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        record = consumer.poll(0.2)
        if record and not record.error():
            print(record.partition(), record.offset())
    consumer.close()


if KIND == "aiokafka":
    asyncio.run(aio_kafka())
elif KIND == "kafka-python":
    kafka_python()
else:
    confluent_kafka()
