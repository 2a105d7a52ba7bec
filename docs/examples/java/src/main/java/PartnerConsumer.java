// Handles each fact once: `mvn -q compile exec:java`. Java 17 or newer.

import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class PartnerConsumer {
  private static final Set<String> INTERESTING =
      Set.of("invoiceos.invoice.issued.v1", "invoiceos.invoice.paid.v1");

  public static void main(String[] arguments) throws SQLException {
    var strings = new StringDeserializer();
    // H2 would write a commit half a second later, which a killed process never reaches.
    try (var database = DriverManager.getConnection("jdbc:h2:./partner;WRITE_DELAY=0");
        var consumer = new KafkaConsumer<>(settings(), strings, strings)) {
      database.createStatement().execute("create table if not exists handled (id varchar primary key)");
      database.createStatement().execute(
          "create table if not exists invoices (id varchar primary key, last_fact varchar, body varchar)");
      database.setAutoCommit(false);
      consumer.subscribe(List.of(System.getenv("KAFKA_TOPIC_EVENTS")));
      while (true) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          handle(database, record);
        }
        consumer.commitSync(); // after the effects: a crash before repeats, and loses nothing
      }
    }
  }

  /** The effect of one fact; the id that tells a repeat is kept in the same transaction. */
  private static void handle(Connection database, ConsumerRecord<String, String> record)
      throws SQLException {
    String id = header(record, "ce_id");
    String type = header(record, "ce_type");
    String subject = header(record, "ce_subject");
    if (!INTERESTING.contains(type)) {
      return; // types you do not know will come
    }
    boolean fresh =
        update(database, "insert into handled select ? where not exists (select 1 from handled where id = ?)", id, id);
    if (fresh) {
      update(database, "merge into invoices values (?, ?, ?)", subject, type, record.value());
    }
    database.commit();
    if (fresh) {
      System.out.println(id + " " + type + " " + subject);
    }
  }

  private static boolean update(Connection database, String sql, String... values) throws SQLException {
    try (PreparedStatement statement = database.prepareStatement(sql)) {
      for (int place = 0; place < values.length; place++) {
        statement.setString(place + 1, values[place]);
      }
      return statement.executeUpdate() > 0;
    }
  }

  private static String header(ConsumerRecord<?, ?> record, String name) {
    return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
  }

  private static Properties settings() {
    var settings = new Properties();
    settings.put("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP"));
    settings.put("group.id", System.getenv("KAFKA_GROUP_PREFIX") + "java");
    settings.put("auto.offset.reset", "earliest"); // a new group begins with all that is kept
    settings.put("enable.auto.commit", "false");
    settings.put("session.timeout.ms", "10000"); // when you die, another takes over after this
    String protocol = System.getenv().getOrDefault("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT");
    settings.put("security.protocol", protocol);
    if (protocol.startsWith("SASL")) {
      settings.put("sasl.mechanism", System.getenv("KAFKA_SASL_MECHANISM"));
      settings.put("sasl.jaas.config",
          "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";"
              .formatted(System.getenv("KAFKA_USERNAME"), System.getenv("KAFKA_PASSWORD")));
    }
    return settings;
  }
}
