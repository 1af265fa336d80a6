import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.zip.GZIPOutputStream;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Writes what Apache Kafka's generated classes make of every request and response at every version, with their
 * defaults, with empty values and with all fields set: lines of name, version, sample and bytes, compressed.
 *
 * java -cp kafka-clients.jar:jackson-core.jar:jackson-databind.jar:jackson-annotations.jar:slf4j-api.jar
 *     scripts/GoldenMessages.java tests/golden/messages.tsv.gz
 */
public class GoldenMessages {
    private static final JsonMapper MAPPER = JsonMapper.builder().enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).build();
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    /** Makes every value another one. */
    private static int next;

    public static void main(String[] args) throws Exception {
        try (Writer out = new OutputStreamWriter(
                new GZIPOutputStream(Files.newOutputStream(Path.of(args[0]))), StandardCharsets.UTF_8)) {
            for (ApiKeys api : ApiKeys.values()) {
                for (String name : new String[] {api.name + "Request", api.name + "Response"}) {
                    try (InputStream in = ApiKeys.class.getResourceAsStream("/common/message/" + name + ".json")) {
                        JsonNode schema = MAPPER.readTree(in);
                        if (!schema.get("validVersions").asText().equals("none")) {
                            write(name, schema, out);
                        }
                    }
                }
            }
        }
    }

    private static void write(String name, JsonNode schema, Writer out) throws Exception {
        Class<?> converter = Class.forName("org.apache.kafka.common.message." + name + "DataJsonConverter");
        Method read = converter.getMethod("read", JsonNode.class, short.class);
        int[] versions = range(schema.get("validVersions").asText());
        for (int version = versions[0]; version <= versions[1]; version++) {
            Class<?> data = Class.forName("org.apache.kafka.common.message." + name + "Data");
            write(name, version, "default", (Message) data.getConstructor().newInstance(), out);
            for (boolean full : new boolean[] {false, true}) {
                next = version;
                JsonNode value = struct(schema.get("fields"), schema, version, full);
                Message message = (Message) read.invoke(null, value, (short) version);
                write(name, version, full ? "full" : "empty", message, out);
            }
        }
    }

    private static void write(String name, int version, String sample, Message message, Writer out) throws Exception {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, (short) version));
        message.write(new ByteBufferAccessor(bytes), cache, (short) version);
        out.write(String.join("\t", name, "" + version, sample, HexFormat.of().formatHex(bytes.array())));
        out.write('\n');
    }

    private static ObjectNode struct(JsonNode fields, JsonNode schema, int version, boolean full) {
        ObjectNode struct = NODES.objectNode();
        for (JsonNode field : fields) {
            boolean tagged = field.has("tag");
            if (has(field.get("versions"), version) && (full || !tagged)) {
                String name = field.get("name").asText();
                String key = Character.toLowerCase(name.charAt(0)) + name.substring(1);
                struct.set(key, value(field, field.get("type").asText(), schema, version, full));
            }
        }
        return struct;
    }

    private static JsonNode value(JsonNode field, String type, JsonNode schema, int version, boolean full) {
        if (!full && has(field.get("nullableVersions"), version)) {
            return NODES.nullNode();
        }
        if (type.startsWith("[]")) {
            ArrayNode array = NODES.arrayNode();
            for (int i = 0; full && i < 2; i++) {
                array.add(element(field, type.substring(2), schema, version, full));
            }
            return array;
        }
        return element(field, type, schema, version, full);
    }

    private static JsonNode element(JsonNode field, String type, JsonNode schema, int version, boolean full) {
        int number = full ? ++next : 0;
        switch (type) {
            case "bool": return NODES.booleanNode(full);
            case "int8": return NODES.numberNode((byte) (number * 3 - 100));
            case "int16": return NODES.numberNode((short) (number * 257 - 1000));
            case "uint16": return NODES.numberNode(number * 1009 % 65536);
            case "int32": return NODES.numberNode(number * 0x01020305 - 1);
            case "int64": return NODES.numberNode(number * 0x0102030405060709L - 1);
            case "float64": return NODES.numberNode(number * 1.25);
            case "uuid": return NODES.textNode(new Uuid(number * 0x0102030405060709L, number).toString());
            case "string": return NODES.textNode(full ? "wört-" + number : "");
            case "bytes":
            case "records":
                byte[] bytes = full ? ("bytes-" + number).getBytes(StandardCharsets.UTF_8) : new byte[0];
                return NODES.textNode(Base64.getEncoder().encodeToString(bytes));
            default: return struct(field.has("fields") ? field.get("fields") : common(schema, type), schema, version, full);
        }
    }

    private static JsonNode common(JsonNode schema, String name) {
        for (JsonNode struct : schema.get("commonStructs")) {
            if (struct.get("name").asText().equals(name)) {
                return struct.get("fields");
            }
        }
        throw new IllegalArgumentException(name);
    }

    private static boolean has(JsonNode versions, int version) {
        if (versions == null || versions.asText().equals("none")) {
            return false;
        }
        int[] range = range(versions.asText());
        return range[0] <= version && version <= range[1];
    }

    private static int[] range(String versions) {
        if (versions.endsWith("+")) {
            return new int[] {Integer.parseInt(versions.substring(0, versions.length() - 1)), Short.MAX_VALUE};
        }
        String[] ends = versions.split("-");
        return new int[] {Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1])};
    }
}
