import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Writes every kind and version of record that Kafka keeps in an internal topic: with all fields
 * set, with none, and with null wherever it may be. A line has, between tabs: the topic's coordinator, the type's
 * number and name, the value's version, key and value in hex, key and value as JSON.
 */
public class GoldenCoordinators {
    private static int count;

    public static void main(String[] args) throws Exception {
        for (String coordinator : List.of("group", "transaction", "share")) {
            var folder = "org.apache.kafka.coordinator." + coordinator + ".generated.";
            var types = Class.forName(folder + "CoordinatorRecordType");
            var json = Class.forName(folder + "CoordinatorRecordJsonConverters");
            for (Object type : types.getEnumConstants()) {
                var line = coordinator + "\t" + types.getMethod("id").invoke(type) + "\t" + ((Enum<?>) type).name();
                var latest = (ApiMessage) types.getMethod("newRecordValue").invoke(type);
                for (short version = latest.lowestSupportedVersion(); version <= latest.highestSupportedVersion(); version++) {
                    for (String sample : List.of("full", "new", "null")) {
                        var key = (ApiMessage) types.getMethod("newRecordKey").invoke(type);
                        fill(key, Set.of());
                        var value = (ApiMessage) types.getMethod("newRecordValue").invoke(type);
                        byte[] bytes = switch (sample) {
                            case "full" -> filled(value, version);
                            case "null" -> nulled(value, version);
                            default -> MessageUtil.toVersionPrefixedBytes(version, value);
                        };
                        var keyJson = json.getMethod("writeRecordKeyAsJson", ApiMessage.class).invoke(null, key);
                        var valueJson = json.getMethod("writeRecordValueAsJson", ApiMessage.class, short.class).invoke(null, value, version);
                        var hex = HexFormat.of();
                        System.out.println(String.join("\t", line, String.valueOf(version),
                            hex.formatHex(MessageUtil.toCoordinatorTypePrefixedBytes(key)), hex.formatHex(bytes),
                            keyJson.toString(), valueJson.toString()));
                    }
                }
            }
        }
    }

    /** The bytes of `value` at a version, with every field set that the version can hold. */
    private static byte[] filled(ApiMessage value, short version) throws Exception {
        var lacking = new HashSet<String>();
        var name = Pattern.compile("non-default (\\w+) at version");
        while (true) {
            count = 0;
            fill(value, lacking);
            try {
                return MessageUtil.toVersionPrefixedBytes(version, value);
            } catch (UnsupportedVersionException e) {
                Matcher found = name.matcher(e.getMessage());
                if (!found.find() || !lacking.add(found.group(1))) throw e;
                var fresh = value.getClass().getConstructor().newInstance();
                var reset = setter(value.getClass(), found.group(1));
                reset.invoke(value, value.getClass().getMethod(found.group(1)).invoke(fresh));
            }
        }
    }

    /** The bytes of `value` at a version, null in each field of it that may be null. */
    private static byte[] nulled(ApiMessage value, short version) throws Exception {
        for (Method setter : value.getClass().getDeclaredMethods()) {
            if (!setter.getName().startsWith("set") || setter.getParameterTypes()[0].isPrimitive()) continue;
            var field = setter.getName().substring(3, 4).toLowerCase() + setter.getName().substring(4);
            var before = value.getClass().getMethod(field).invoke(value);
            setter.invoke(value, (Object) null);
            try {
                MessageUtil.toVersionPrefixedBytes(version, value);
            } catch (NullPointerException | UnsupportedVersionException e) {
                setter.invoke(value, before);
            }
        }
        return MessageUtil.toVersionPrefixedBytes(version, value);
    }

    private static void fill(Object message, Set<String> lacking) throws Exception {
        var setters = new ArrayList<>(Arrays.stream(message.getClass().getDeclaredMethods())
            .filter(method -> method.getName().startsWith("set") && method.getParameterCount() == 1).toList());
        setters.sort(Comparator.comparing(Method::getName));
        for (Method setter : setters) {
            var field = setter.getName().substring(3, 4).toLowerCase() + setter.getName().substring(4);
            if (!lacking.contains(field)) setter.invoke(message, sample(setter.getGenericParameterTypes()[0]));
        }
    }

    private static Method setter(Class<?> type, String field) {
        var name = "set" + field.substring(0, 1).toUpperCase() + field.substring(1);
        return Arrays.stream(type.getDeclaredMethods()).filter(method -> method.getName().equals(name)).findFirst().orElseThrow();
    }

    private static Object sample(Type type) throws Exception {
        int n = ++count;
        if (type instanceof ParameterizedType list) {
            var element = list.getActualTypeArguments()[0];
            return new ArrayList<>(List.of(sample(element), sample(element)));
        }
        if (type == int.class && n % 2 == 0) return -n;
        if (type == int.class || type == Integer.class) return n * 1000;
        if (type == long.class) return n * 10_000_000_000L;
        if (type == short.class || type == Short.class) return (short) (n * 100);
        if (type == byte.class) return (byte) n;
        if (type == String.class) return "text-" + n + (n % 3 == 0 ? " \"ü\"" : "");
        if (type == byte[].class) return new byte[] {(byte) n, 0, (byte) 0xff};
        if (type == Uuid.class) return new Uuid(n, -n);
        var nested = ((Class<?>) type).getConstructor().newInstance();
        fill(nested, Set.of());
        return nested;
    }
}
