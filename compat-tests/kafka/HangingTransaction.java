import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.ProduceRequestData.PartitionProduceData;
import org.apache.kafka.common.message.ProduceRequestData.TopicProduceData;
import org.apache.kafka.common.message.ProduceRequestData.TopicProduceDataCollection;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.RequestUtils;

/**
 * Begins a transaction that no coordinator knows of, as the producers of old could:
 * HOST PORT TOPIC PARTITION PRODUCER_ID AGE_MS. Prints the error of the answer.
 */
public class HangingTransaction {
    private static final short VERSION = 9;

    public static void main(String[] args) throws Exception {
        int partition = Integer.parseInt(args[3]);
        long producerId = Long.parseLong(args[4]);
        long timestamp = System.currentTimeMillis() - Long.parseLong(args[5]);
        MemoryRecords records = MemoryRecords.withTransactionalRecords(
            Compression.NONE, producerId, (short) 0, 0, new SimpleRecord(timestamp, "hanging".getBytes()));
        TopicProduceData topic = new TopicProduceData().setName(args[2]).setPartitionData(
            List.of(new PartitionProduceData().setIndex(partition).setRecords(records)));
        ProduceRequestData data = new ProduceRequestData()
            .setAcks((short) -1).setTimeoutMs(10_000).setTransactionalId("hanging")
            .setTopicData(new TopicProduceDataCollection(List.of(topic).iterator()));
        RequestHeader header = new RequestHeader(ApiKeys.PRODUCE, VERSION, "hanging", 1);
        ByteBuffer request = RequestUtils.serialize(header.data(), header.headerVersion(), data, VERSION);
        try (Socket socket = new Socket(args[0], Integer.parseInt(args[1]))) {
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(request.remaining());
            out.write(request.array(), request.arrayOffset() + request.position(), request.remaining());
            DataInputStream in = new DataInputStream(socket.getInputStream());
            ByteBuffer answer = ByteBuffer.wrap(in.readNBytes(in.readInt()));
            ProduceResponse response = (ProduceResponse) AbstractResponse.parseResponse(answer, header);
            System.out.println(response.errorCounts());
        }
    }
}
