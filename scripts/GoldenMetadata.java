import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.metadata.MetadataJsonConverters;
import org.apache.kafka.common.metadata.MetadataRecordType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.ControlRecordUtils;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/** Asks Apache Kafka for one of each change of its metadata; prints its metadata logs as JSON. */
public class GoldenMetadata {
    private static Admin admin;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("dump")) {
            dump(new File(args[1]));
            return;
        }
        admin = Admin.create(Map.of("bootstrap.servers", args[1]));
        switch (args[0]) {
            case "kinds" -> kinds(args[1], args[2], args[3]);
            case "outage-prepare" -> prepareOutage();
            case "outage-lose" -> awaitLeaderless("lost", "unclean");
            case "outage-elect" -> elect();
            case "outage-finish" -> finishOutage();
            case "release" -> release(Short.parseShort(args[2]));
            case "await" -> retry(() -> admin.describeCluster().nodes().get().size() == Integer.parseInt(args[2]));
            default -> throw new IllegalArgumentException(args[0]);
        }
        admin.close();
    }

    /** One of each kind of record that a client's request writes. */
    private static void kinds(String bootstrap, String sasl, String otherDir) throws Exception {
        admin.createTopics(List.of(
            new NewTopic("orders", 3, (short) 1).configs(Map.of("retention.ms", "1000", "segment.bytes", "1048576")),
            new NewTopic("gone", 1, (short) 1).configs(Map.of("cleanup.policy", "compact")))).all().get();
        admin.createPartitions(Map.of("orders", NewPartitions.increaseTo(4))).all().get();

        set(ConfigResource.Type.TOPIC, "orders", "retention.ms", null);
        set(ConfigResource.Type.TOPIC, "orders", "min.insync.replicas", "1");
        set(ConfigResource.Type.BROKER, "", "log.cleaner.threads", "2");
        set(ConfigResource.Type.BROKER, "1", "num.io.threads", "4");
        set(ConfigResource.Type.CLIENT_METRICS, "tail", "metrics", "org.apache.kafka.producer.");
        set(ConfigResource.Type.CLIENT_METRICS, "tail", "interval.ms", "60000");
        set(ConfigResource.Type.GROUP, "readers", "consumer.session.timeout.ms", "50000");

        quota(Map.of("user", "alice"), "producer_byte_rate", 1048576.0);
        quota(Map.of("user", "alice", "client-id", "ünï\"code"), "consumer_byte_rate", 12345678.0);
        quota(named("user", null), "request_percentage", 0.00012);
        quota(Map.of("ip", "10.1.2.3"), "connection_creation_rate", 7.0);
        quota(Map.of("user", "alice"), "producer_byte_rate", null);

        var sha256 = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096);
        var sha512 = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192);
        admin.alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion("bob", sha256, "golden"),
            new UserScramCredentialUpsertion("carol", sha512, "golden"))).all().get();
        admin.alterUserScramCredentials(List.of(
            new UserScramCredentialDeletion("carol", ScramMechanism.SCRAM_SHA_512))).all().get();
        // Not with the former: Kafka 4.4.0's image can lose a credential that is set while the last
        // other one of its mechanism is deleted (ScramDelta.apply).
        admin.alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion("bob", sha512, "golden"))).all().get();

        var read = acl(ResourceType.TOPIC, "orders", PatternType.LITERAL, "User:bob", "*", AclOperation.READ, AclPermissionType.ALLOW);
        admin.createAcls(List.of(read,
            acl(ResourceType.GROUP, "read", PatternType.PREFIXED, "User:bob", "10.0.0.0/8", AclOperation.ALL, AclPermissionType.ALLOW),
            acl(ResourceType.CLUSTER, "kafka-cluster", PatternType.LITERAL, "User:*", "*", AclOperation.ALTER, AclPermissionType.DENY))).all().get();
        admin.deleteAcls(List.of(read.toFilter())).all().get();

        tokens(sasl);

        var level = new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE);
        admin.updateFeatures(Map.of("share.version", level), new UpdateFeaturesOptions()).all().get();
        var none = new FeatureUpdate((short) 0, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE);
        admin.updateFeatures(Map.of("streams.version", none), new UpdateFeaturesOptions()).all().get();

        produce(bootstrap, "orders");
        admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica("orders", 0, 1), otherDir)).all().get();
        set(ConfigResource.Type.BROKER, "1", "cordoned.log.dirs", otherDir);
        admin.deleteTopics(List.of("gone")).all().get();
        Thread.sleep(3000); // The broker tells of directories in its own time.
    }

    private static void tokens(String sasl) throws Exception {
        var properties = new HashMap<String, Object>();
        properties.put("bootstrap.servers", sasl);
        properties.put("security.protocol", "SASL_PLAINTEXT");
        properties.put("sasl.mechanism", "PLAIN");
        properties.put("sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"golden\";");
        try (Admin alice = Admin.create(properties)) {
            var renewers = List.of(new KafkaPrincipal("User", "bob"), new KafkaPrincipal("User", "carol"));
            var kept = alice.createDelegationToken(new CreateDelegationTokenOptions().renewers(renewers)).delegationToken().get();
            var gone = alice.createDelegationToken().delegationToken().get();
            alice.renewDelegationToken(kept.hmac()).expiryTimestamp().get();
            alice.expireDelegationToken(gone.hmac(), new ExpireDelegationTokenOptions().expiryTimePeriodMs(-1)).expiryTimestamp().get();
        }
    }

    /** On brokers 1 to 3: partitions to lose, to reassign, to elect. */
    private static void prepareOutage() throws Exception {
        var two = Map.of("min.insync.replicas", "2");
        admin.createTopics(List.of(
            new NewTopic("eligible", Map.of(0, List.of(1, 2, 3))).configs(two),
            new NewTopic("lost", Map.of(0, List.of(2))),
            new NewTopic("unclean", Map.of(0, List.of(2, 3))),
            new NewTopic("moved", Map.of(0, List.of(1, 2))))).all().get();
        var moved = new TopicPartition("moved", 0);
        admin.alterPartitionReassignments(Map.of(moved, Optional.of(new NewPartitionReassignment(List.of(3, 1))))).all().get();
        retry(() -> admin.listPartitionReassignments().reassignments().get().isEmpty());
        admin.electLeaders(ElectionType.PREFERRED, Set.of(moved)).all().get();
    }

    private static void awaitLeaderless(String... topics) throws Exception {
        retry(() -> admin.describeTopics(List.of(topics)).allTopicNames().get().values().stream()
            .allMatch(topic -> topic.partitions().get(0).leader() == null));
    }

    private static void elect() throws Exception {
        admin.electLeaders(ElectionType.UNCLEAN, Set.of(new TopicPartition("unclean", 0))).all().get();
        retry(() -> admin.describeTopics(List.of("unclean")).allTopicNames().get().get("unclean").partitions().get(0).leader() != null);
    }

    private static void finishOutage() throws Exception {
        set(ConfigResource.Type.TOPIC, "eligible", "min.insync.replicas", "1"); // Clears its eligible leaders.
        set(ConfigResource.Type.BROKER, "", "min.insync.replicas", "2");
        retry(() -> {
            admin.unregisterBroker(3).all().get();
            return true;
        });
        retry(() -> {
            admin.unregisterController(4).all().get();
            return true;
        });
    }

    /** Upgrades to a metadata.version, and writes a topic in the format that it brings. */
    private static void release(short level) throws Exception {
        if (level > 7) {
            var update = new FeatureUpdate(level, FeatureUpdate.UpgradeType.UPGRADE);
            admin.updateFeatures(Map.of("metadata.version", update), new UpdateFeaturesOptions()).all().get();
        }
        admin.createTopics(List.of(new NewTopic("level-" + level, 2, (short) 1))).all().get();
    }

    private static void set(ConfigResource.Type type, String name, String key, String value) throws Exception {
        var op = new AlterConfigOp(new ConfigEntry(key, value == null ? "" : value),
            value == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET);
        Map<ConfigResource, Collection<AlterConfigOp>> change = Map.of(new ConfigResource(type, name), List.of(op));
        admin.incrementalAlterConfigs(change).all().get();
    }

    private static Map<String, String> named(String type, String name) {
        var entity = new HashMap<String, String>();
        entity.put(type, name);
        return entity;
    }

    private static void quota(Map<String, String> entity, String key, Double value) throws Exception {
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(entity),
            List.of(new ClientQuotaAlteration.Op(key, value))))).all().get();
    }

    private static AclBinding acl(ResourceType type, String name, PatternType pattern, String principal, String host,
                                  AclOperation operation, AclPermissionType permission) {
        return new AclBinding(new ResourcePattern(type, name, pattern),
            new AccessControlEntry(principal, host, operation, permission));
    }

    private static void produce(String bootstrap, String topic) throws Exception {
        var properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, 0, "k", "v")).get();
        }
    }

    private static void retry(Callable<Boolean> done) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                if (done.call()) return;
            } catch (Exception e) {
                if (attempt > 120) throw e;
            }
            if (attempt > 120) throw new IllegalStateException("in vain");
            Thread.sleep(500);
        }
    }

    /** One line a record: its offset and, as kafka-dump-log prints it, what it says. */
    private static void dump(File file) throws Exception {
        try (var records = FileRecords.open(file, false)) {
            for (RecordBatch batch : records.batches()) {
                for (Record record : batch) {
                    var json = batch.isControlBatch() ? control(record) : metadata(record);
                    System.out.write((record.offset() + " " + json + "\n").getBytes(StandardCharsets.UTF_8));
                }
            }
        }
        System.out.flush();
    }

    private static JsonNode metadata(Record record) {
        ApiMessageAndVersion message = MetadataRecordSerde.INSTANCE.read(new ByteBufferAccessor(record.value()), record.valueSize());
        var json = new ObjectNode(JsonNodeFactory.instance);
        json.put("type", MetadataRecordType.fromId(message.message().apiKey()).toString());
        json.put("version", (int) message.version());
        json.set("data", MetadataJsonConverters.writeJson(message.message(), message.version()));
        return json;
    }

    private static JsonNode control(Record record) {
        return switch (ControlRecordType.parse(record.key())) {
            case LEADER_CHANGE -> {
                var message = ControlRecordUtils.deserializeLeaderChangeMessage(record);
                yield LeaderChangeMessageJsonConverter.write(message, message.version());
            }
            case SNAPSHOT_HEADER -> {
                var message = ControlRecordUtils.deserializeSnapshotHeaderRecord(record);
                yield SnapshotHeaderRecordJsonConverter.write(message, message.version());
            }
            case SNAPSHOT_FOOTER -> {
                var message = ControlRecordUtils.deserializeSnapshotFooterRecord(record);
                yield SnapshotFooterRecordJsonConverter.write(message, message.version());
            }
            case KRAFT_VERSION -> {
                var message = ControlRecordUtils.deserializeKRaftVersionRecord(record);
                yield KRaftVersionRecordJsonConverter.write(message, message.version());
            }
            case KRAFT_VOTERS -> {
                var message = ControlRecordUtils.deserializeVotersRecord(record);
                yield VotersRecordJsonConverter.write(message, message.version());
            }
            default -> throw new IllegalStateException("control record");
        };
    }
}
