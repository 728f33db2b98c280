package io.github.kklip.safetensors;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.github.kklip.config.ElementType;
import io.github.kklip.store.publication.ContentKind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The header of a safetensors file: eight bytes of length (little-endian), then JSON that gives for
 * each tensor its type, shape and byte range. Nothing in it is believed: the length is bounded
 * before it is read, and the tensors have to cover the rest of the file exactly, without gap or
 * overlap, which is what the format asks for.
 *
 * @param entries the tensors in the order of their bytes
 */
record SafetensorsHeader(Map<String, SafetensorsEntry> entries, Map<String, String> metadata) {
  /** The bound that the format's own implementation has. */
  static final long LARGEST = 100_000_000;

  /** Names are unique and values are checked as they are read. */
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /**
   * Reads and checks the header.
   *
   * @throws IOException when the file cannot be read, or is not a whole and valid safetensors file
   */
  static SafetensorsHeader read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long fileSize = channel.size();
      if (fileSize < 8) {
        throw other(
            channel,
            file,
            message("it has %s bytes, and the header's length alone takes 8", fileSize));
      }
      long length = fill(channel, 8, 0, file).getLong();
      if (length < 2 || length > LARGEST) {
        throw other(
            channel,
            file,
            message("its header's length is %s, outside 2 to %s bytes", length, LARGEST));
      }
      if (length > fileSize - 8) {
        throw other(
            channel,
            file,
            message(
                "it was cut short: its header takes %s bytes, and the file has %s after the length",
                length, fileSize - 8));
      }
      byte[] json = fill(channel, (int) length, 8, file).array();
      if (json[0] != '{') {
        throw other(channel, file, "its header lacks an object");
      }
      return new HeaderReader(file, 8 + length, fileSize).parse(json);
    }
  }

  private static ByteBuffer fill(FileChannel channel, int size, long position, Path file)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw invalid(file, "it became shorter while it was read");
      }
    }
    return buffer.flip();
  }

  /** What does not even begin as a header: it may be something else that is known. */
  private static IOException other(FileChannel channel, Path file, String reason)
      throws IOException {
    int head = (int) Math.min(channel.size(), ContentKind.HEAD_BYTES);
    return invalid(
        file,
        ContentKind.of(fill(channel, head, 0, file).array())
            .filter(kind -> kind != ContentKind.SAFETENSORS)
            .map(ContentKind::sentence)
            .orElse(reason));
  }

  static IOException invalid(Object file, String reason) {
    return new IOException(
        message("Cannot read the safetensors file %s because %s.", file, reason));
  }

  /** The state of one parse: the file's name for errors and its bounds. */
  private record HeaderReader(Path file, long dataStart, long fileSize) {
    SafetensorsHeader parse(byte[] json) throws IOException {
      List<SafetensorsEntry> entries = new ArrayList<>();
      Map<String, String> metadata = new TreeMap<>();
      try (JsonParser parser = JSON.createParser(json)) {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "an object");
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          expect(parser.nextToken(), JsonToken.START_OBJECT, "an object at '" + name + "'");
          if (name.equals("__metadata__")) {
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
              String key = parser.currentName();
              expect(parser.nextToken(), JsonToken.VALUE_STRING, "a text at '" + key + "'");
              metadata.put(key, parser.getText());
            }
          } else {
            entries.add(entry(name, parser));
          }
        }
        if (parser.nextToken() != null) {
          throw invalid(file, "something follows the header's JSON object");
        }
      } catch (JsonProcessingException e) {
        // The parser's own message quotes the source; the first line says what and where.
        throw new IOException(
            invalid(file, message("its header is not valid JSON (%s)", e.getOriginalMessage()))
                .getMessage(),
            e);
      }
      entries.sort(
          Comparator.comparingLong(SafetensorsEntry::begin)
              .thenComparingLong(SafetensorsEntry::end));
      long expected = dataStart;
      Map<String, SafetensorsEntry> byName = new LinkedHashMap<>();
      for (SafetensorsEntry entry : entries) {
        if (entry.begin() != expected) {
          throw invalid(
              file,
              message(
                  "tensor '%s' begins at byte %s of the data, and the one before it ends at %s",
                  entry.name(), entry.begin() - dataStart, expected - dataStart));
        }
        expected = entry.end();
        byName.put(entry.name(), entry);
      }
      if (expected != fileSize) {
        throw invalid(
            file,
            message(
                "its tensors end at byte %s and the file has %s%s",
                expected,
                fileSize,
                expected > fileSize ? ": it was cut short" : ": something follows them"));
      }
      return new SafetensorsHeader(byName, metadata);
    }

    private SafetensorsEntry entry(String name, JsonParser parser) throws IOException {
      ElementType type = null;
      List<Long> shape = null;
      List<Long> offsets = null;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        switch (key) {
          case "dtype" -> {
            expect(parser.nextToken(), JsonToken.VALUE_STRING, "the type of '" + name + "'");
            type = type(name, parser.getText());
          }
          case "shape" -> shape = numbers(parser, name, key);
          case "data_offsets" -> offsets = numbers(parser, name, key);
          default ->
              throw invalid(file, message("tensor '%s' has an unknown field '%s'", name, key));
        }
      }
      if (type == null || shape == null || offsets == null || offsets.size() != 2) {
        throw invalid(
            file, message("tensor '%s' lacks a dtype, a shape or a pair of data_offsets", name));
      }
      long begin = offsets.get(0);
      long end = offsets.get(1);
      if (begin > end || end > fileSize - dataStart) {
        throw invalid(
            file,
            message(
                "tensor '%s' lies at bytes %s to %s of the data, which has %s: the file was cut short or the header is wrong",
                name, begin, end, fileSize - dataStart));
      }
      long size;
      try {
        size = SafetensorsEntry.sizeOf(type, shape);
      } catch (ArithmeticException e) {
        throw new IOException(
            invalid(file, message("tensor '%s' of shape %s is too large", name, shape))
                .getMessage(),
            e);
      }
      if (size != end - begin) {
        throw invalid(
            file,
            message(
                "tensor '%s' of type %s and shape %s takes %s bytes, and its data_offsets span %s",
                name, type, shape, size, end - begin));
      }
      return new SafetensorsEntry(name, type, shape, dataStart + begin, dataStart + end);
    }

    private ElementType type(String name, String keyword) throws IOException {
      for (ElementType type : ElementType.values()) {
        if (type.safetensorsName().equals(keyword)) {
          return type;
        }
      }
      throw invalid(
          file,
          message("tensor '%s' has type %s, which is not read by this program", name, keyword));
    }

    private List<Long> numbers(JsonParser parser, String name, String key) throws IOException {
      String what = "a list of whole numbers at '" + key + "' of '" + name + "'";
      expect(parser.nextToken(), JsonToken.START_ARRAY, what);
      List<Long> numbers = new ArrayList<>();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        expect(parser.currentToken(), JsonToken.VALUE_NUMBER_INT, what);
        long number = parser.getLongValue();
        if (number < 0) {
          throw invalid(file, message("'%s' of tensor '%s' has a number below 0", key, name));
        }
        numbers.add(number);
      }
      return numbers;
    }

    private void expect(JsonToken found, JsonToken wanted, String what) throws IOException {
      if (found != wanted) {
        throw invalid(file, message("its header lacks %s", what));
      }
    }
  }
}
