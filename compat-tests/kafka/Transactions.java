import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes as fast as it can, for scripts/bench: BOOTSTRAP TOPIC SIZE COUNT TRANSACTIONAL. COUNT
 * transactions of SIZE records of 100 bytes, behind a warm-up of a quarter; with TRANSACTIONAL "no",
 * idempotently, with a flush where each would end. Says "warm", and "done SECONDS".
 */
public class Transactions {
    private static final int RECORD_BYTES = 100;

    public static void main(String[] args) {
        int size = Integer.parseInt(args[2]), count = Integer.parseInt(args[3]);
        boolean transactional = args[4].equals("yes");
        Properties config = new Properties();
        config.put("bootstrap.servers", args[0]);
        config.put("linger.ms", "0");
        config.put("acks", "all");
        if (transactional) {
            config.put("transactional.id", "bench");
        }
        ByteArraySerializer bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes)) {
            if (transactional) {
                producer.initTransactions();
            }
            write(producer, args[1], size, count / 4, transactional);
            System.out.println("warm");
            long began = System.nanoTime();
            write(producer, args[1], size, count, transactional);
            System.out.println("done " + (System.nanoTime() - began) / 1e9);
        }
    }

    private static void write(
        KafkaProducer<byte[], byte[]> producer, String topic, int size, int count, boolean transactional
    ) {
        byte[] value = new byte[RECORD_BYTES];
        for (int transaction = 0; transaction < count; transaction++) {
            if (transactional) {
                producer.beginTransaction();
            }
            for (int record = 0; record < size; record++) {
                producer.send(new ProducerRecord<>(topic, 0, null, value));
            }
            if (transactional) {
                producer.commitTransaction();
            } else {
                producer.flush();
            }
        }
    }
}
