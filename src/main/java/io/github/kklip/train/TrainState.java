package io.github.kklip.train;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Where a run stands and what it is a run of.
 *
 * @param step batches consumed, the skipped ones included: the next step's number
 * @param updates steps that changed the weights: AdamW's count
 * @param skippedInRow steps skipped since the last update
 * @param complete whether the run has done all its steps
 * @param identity the settings and inputs that make the weights what they are, by key; a run goes
 *     on only from a checkpoint with the same
 * @param circumstances what a bitwise equal continuation also needs: ranks, threads, transport
 * @param shards index and rows of the training shards that the order of samples is made of
 */
public record TrainState(
    long step,
    long updates,
    int skippedInRow,
    boolean complete,
    SortedMap<String, String> identity,
    SortedMap<String, String> circumstances,
    List<ShardRows> shards) {
  private static final int FORMAT = 1;

  /** A training shard and its rows. */
  public record ShardRows(int index, long rows) {}

  ObjectNode toJson() {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode json =
        mapper
            .createObjectNode()
            .put("format", FORMAT)
            .put("step", step)
            .put("updates", updates)
            .put("skipped-in-row", skippedInRow)
            .put("complete", complete);
    json.set("identity", mapper.valueToTree(identity));
    json.set("circumstances", mapper.valueToTree(circumstances));
    var list = json.putArray("shards");
    shards.forEach(shard -> list.addArray().add(shard.index).add(shard.rows));
    return json;
  }

  static TrainState parse(JsonNode json, String location) throws IOException {
    if (json.path("format").asInt() != FORMAT) {
      throw new IOException(
          "Cannot read the checkpoint "
              + location
              + " because its state has format "
              + json.path("format")
              + " and this program reads "
              + FORMAT
              + ".");
    }
    ObjectMapper mapper = new ObjectMapper();
    TypeReference<TreeMap<String, String>> texts = new TypeReference<>() {};
    List<ShardRows> shards = new ArrayList<>();
    json.path("shards")
        .forEach(shard -> shards.add(new ShardRows(shard.get(0).asInt(), shard.get(1).asLong())));
    return new TrainState(
        json.path("step").asLong(),
        json.path("updates").asLong(),
        json.path("skipped-in-row").asInt(),
        json.path("complete").asBoolean(),
        mapper.convertValue(json.path("identity"), texts),
        mapper.convertValue(json.path("circumstances"), texts),
        shards);
  }

  /**
   * Refuses to go on with other settings than the checkpoint's.
   *
   * @param now the identity of the run that wants to go on
   */
  void checkIdentity(Map<String, String> now, String location) {
    SortedMap<String, String> keys = new TreeMap<>(identity);
    keys.putAll(now);
    List<String> differences = new ArrayList<>();
    for (String key : keys.keySet()) {
      String before = identity.getOrDefault(key, "not set");
      String after = now.getOrDefault(key, "not set");
      if (!before.equals(after)) {
        differences.add(key + " was " + before + " and is " + after);
      }
    }
    if (!differences.isEmpty()) {
      throw new IllegalStateException(
          "Cannot go on from the checkpoint "
              + location
              + " because it was made with other settings: "
              + String.join("; ", differences)
              + ". Use the same settings, or another train.output.");
    }
  }
}
