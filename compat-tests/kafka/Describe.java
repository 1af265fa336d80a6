import java.util.List;
import java.util.Map;
import java.util.TreeSet;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * Prints what a cluster holds beside records, one fact a line, sorted: Describe.java BOOTSTRAP. Of
 * settings only those that someone has set; of features what is finalized, which no start changes.
 */
public class Describe {
    private static final TreeSet<String> FACTS = new TreeSet<>();

    public static void main(String[] args) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            for (var acl : admin.describeAcls(AclBindingFilter.ANY).values().get()) FACTS.add("acl " + acl);
            for (var name : admin.listTopics().names().get()) configs(admin, ConfigResource.Type.TOPIC, name);
            configs(admin, ConfigResource.Type.BROKER, "");
            configs(admin, ConfigResource.Type.BROKER, "1");
            configs(admin, ConfigResource.Type.GROUP, "of-consumer");
            configs(admin, ConfigResource.Type.CLIENT_METRICS, "tail");
            var quotas = admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get();
            quotas.forEach((entity, values) -> values.forEach((key, value) ->
                FACTS.add("quota " + new java.util.TreeMap<>(entity.entries()) + " " + key + "=" + value)));
            var users = admin.describeUserScramCredentials().all().get();
            users.forEach((user, all) -> all.credentialInfos().forEach(info ->
                FACTS.add("credential " + user + " " + info.mechanism() + " " + info.iterations())));
            for (var group : List.of("of-classic", "of-consumer")) {
                var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
                offsets.forEach((partition, offset) -> FACTS.add(
                    "offset " + group + " " + partition + " " + offset.offset() + " " + offset.metadata()));
            }
            for (TransactionListing txn : admin.listTransactions().all().get()) {
                FACTS.add("transaction " + txn.transactionalId() + " " + txn.producerId() + " " + txn.state());
            }
            var features = admin.describeFeatures().featureMetadata().get().finalizedFeatures();
            features.forEach((name, range) -> {
                // A level of 0 is as good as none.
                if (range.maxVersionLevel() > 0) FACTS.add("feature " + name + " " + range.maxVersionLevel());
            });
        }
        FACTS.forEach(System.out::println);
    }

    private static void configs(Admin admin, ConfigResource.Type type, String name) throws Exception {
        var resource = new ConfigResource(type, name);
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
            if (entry.source().name().startsWith("DYNAMIC")) {
                FACTS.add("setting " + type + " " + name + " " + entry.name() + "=" + entry.value());
            }
        }
    }
}
