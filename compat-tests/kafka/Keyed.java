import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes records with keys that come again and again, and then says "written" and has the topic
 * compacted: Keyed.java BOOTSTRAP TOPIC SIZE COUNT KEYS.
 */
public class Keyed {
    public static void main(String[] args) throws Exception {
        var topic = args[1];
        var value = new byte[Integer.parseInt(args[2])];
        new Random(1).nextBytes(value);
        long count = Long.parseLong(args[3]), keys = Long.parseLong(args[4]);
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.of((short) 1)))).all().get();
            Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "linger.ms", 5, "batch.size", 65536);
            var failed = new AtomicReference<Exception>();
            try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
                for (long n = 0; n < count; n++) {
                    // A multiplication spreads the keys, so that neighbours are not overwritten together.
                    var key = "key-%012d".formatted(n * 2_654_435_761L % keys);
                    producer.send(new ProducerRecord<>(topic, 0, key, value), (done, error) -> {
                        if (error != null) failed.set(error);
                    });
                }
            }
            if (failed.get() != null) throw failed.get();
            System.out.println("written");
            Collection<AlterConfigOp> compact = List.of(
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SET),
                new AlterConfigOp(new ConfigEntry("min.cleanable.dirty.ratio", "0.01"), AlterConfigOp.OpType.SET));
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), compact)).all().get();
        }
    }
}
