import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Copies a topic to another one, exactly once: BOOTSTRAP FROM TO TRANSACTIONAL_ID SIZE SUBSCRIBE.
 *
 * Transactions of SIZE records; every third is aborted once, and its records copied again. With
 * SUBSCRIBE "yes" it is a member of the group, else it assigns itself all partitions. Says
 * "committed N" after each commit, and "done" once the group has all that was there at the start.
 */
public class CopyInTransactions {
    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], from = args[1], to = args[2], id = args[3];
        int size = Integer.parseInt(args[4]);
        boolean subscribes = args[5].equals("yes");
        Properties common = new Properties();
        common.put("bootstrap.servers", bootstrap);
        common.put("reconnect.backoff.ms", "20");
        common.put("reconnect.backoff.max.ms", "200");

        Properties consuming = new Properties();
        consuming.putAll(common);
        consuming.put("group.id", "copy");
        consuming.put("isolation.level", "read_committed");
        consuming.put("enable.auto.commit", "false");
        consuming.put("auto.offset.reset", "earliest");
        consuming.put("session.timeout.ms", "6000");
        consuming.put("max.poll.records", Integer.toString(size));
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(consuming, new ByteArrayDeserializer(), new ByteArrayDeserializer());

        Properties producing = new Properties();
        producing.putAll(common);
        producing.put("transactional.id", id);
        producing.put("transaction.timeout.ms", "20000");
        producing.put("linger.ms", "2");
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(producing, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();

        List<TopicPartition> partitions = consumer.partitionsFor(from).stream()
            .map(info -> new TopicPartition(from, info.partition())).toList();
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        if (subscribes) {
            consumer.subscribe(List.of(from));
        } else {
            consumer.assign(partitions);
        }
        long transactions = 0;
        while (true) {
            Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
            int count = 0;
            try {
                producer.beginTransaction();
                // A transaction's worth, unless the end comes before.
                long deadline = System.nanoTime() + 200_000_000L;
                while (count < size && System.nanoTime() < deadline) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                        producer.send(new ProducerRecord<>(to, record.partition(), record.key(), record.value()));
                        next.put(new TopicPartition(from, record.partition()),
                            new OffsetAndMetadata(record.offset() + 1));
                        count++;
                    }
                }
                if (count == 0) {
                    producer.abortTransaction();
                    if (isDone(consumer, ends)) {
                        System.out.println("done");
                        producer.close();
                        consumer.close();
                        return;
                    }
                    continue;
                }
                producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
                if (++transactions % 3 == 0) {
                    producer.abortTransaction();
                    rewind(consumer);
                    continue;
                }
                while (true) {
                    try {
                        producer.commitTransaction();
                        break;
                    } catch (TimeoutException stillTrying) {
                        System.err.println("commit: " + stillTrying);
                    }
                }
                System.out.println("committed " + count);
            } catch (ProducerFencedException | InvalidProducerEpochException | OutOfOrderSequenceException
                     | AuthorizationException | FencedInstanceIdException fatal) {
                System.err.println("fatal: " + fatal);
                System.exit(3);
            } catch (KafkaException error) {
                System.err.println("aborts after " + error);
                producer.abortTransaction();
                rewind(consumer);
            }
        }
    }

    /** After an abort: back to what is committed. */
    private static void rewind(KafkaConsumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata at = committed.get(partition);
            if (at == null) {
                consumer.seekToBeginning(List.of(partition));
            } else {
                consumer.seek(partition, at.offset());
            }
        }
    }

    private static boolean isDone(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(ends.keySet());
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            OffsetAndMetadata at = committed.get(end.getKey());
            if (end.getValue() > 0 && (at == null || at.offset() < end.getValue())) {
                return false;
            }
        }
        return true;
    }
}
