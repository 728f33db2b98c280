package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * A small world that pictures and captions can be made of without any data: one or two coloured
 * shapes in a spatial relation on a plain background. Captions say the same in different words, so
 * that a language model's knowledge of words is of use. Scene {@code i} of a seed is always the
 * same.
 */
public final class SyntheticWorld {
  /** Share of scenes with one object only. */
  private static final double SINGLE = 0.2;

  static final List<String> SHAPES =
      List.of("circle", "square", "triangle", "star", "ring", "cross", "diamond", "heart");

  static final List<String> COLOURS =
      List.of("red", "green", "blue", "yellow", "purple", "orange", "cyan", "brown");

  private static final int[] COLOUR_RGB = {
    0xD62828, 0x2A9D3A, 0x2456C8, 0xF2C81E, 0x8A3FB5, 0xF07F1B, 0x25C1CE, 0x7A4A21
  };

  private static final List<String> BACKGROUNDS = List.of("white", "black", "grey", "pink");
  private static final int[] BACKGROUND_RGB = {0xFFFFFF, 0x101010, 0x9A9A9A, 0xF6C6D4};

  private static final List<List<String>> SHAPE_WORDS =
      List.of(
          List.of("circle", "disc", "round spot"),
          List.of("square", "box", "block"),
          List.of("triangle", "wedge", "three-sided shape"),
          List.of("star", "five-pointed star", "starlet"),
          List.of("ring", "hoop", "band"),
          List.of("cross", "plus sign", "plus"),
          List.of("diamond", "rhombus", "lozenge"),
          List.of("heart", "heart shape", "love symbol"));

  private static final List<List<String>> COLOUR_WORDS =
      List.of(
          List.of("red", "crimson", "scarlet"),
          List.of("green", "emerald", "leaf-green"),
          List.of("blue", "navy", "cobalt"),
          List.of("yellow", "golden", "lemon"),
          List.of("purple", "violet", "plum"),
          List.of("orange", "tangerine", "amber"),
          List.of("cyan", "turquoise", "teal"),
          List.of("brown", "chestnut", "chocolate"));

  private static final List<List<String>> SIZE_WORDS =
      List.of(List.of("small", "tiny", "little"), List.of("large", "big", "huge"));

  /** By direction of the first object from the second; opposite directions are i and 3 - i. */
  private static final List<List<String>> RELATION_WORDS =
      List.of(
          List.of("to the left of", "left of", "on the left side of"),
          List.of("above", "over", "higher than"),
          List.of("below", "under", "beneath"),
          List.of("to the right of", "right of", "on the right side of"));

  private static final double[][] DIRECTIONS = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}};

  private SyntheticWorld() {}

  /**
   * One object: indices into the lists of this class, centre and radius in units of the picture.
   */
  record Thing(int shape, int colour, int size, double x, double y, double radius) {}

  /**
   * @param relation direction of the first thing from the second; -1 when there is one thing
   */
  record Scene(int background, List<Thing> things, int relation) {}

  public static Scene scene(long seed, long index) {
    RandomGenerator random = random(seed, "synthetic-scene", index);
    int background = random.nextInt(BACKGROUNDS.size());
    if (random.nextDouble() < SINGLE) {
      double x = 0.5 + jitter(random, 0.12);
      double y = 0.5 + jitter(random, 0.12);
      return new Scene(
          background,
          List.of(thing(random, random.nextInt(SHAPES.size()), random.nextInt(8), x, y)),
          -1);
    }
    int relation = random.nextInt(DIRECTIONS.length);
    List<Thing> things = new ArrayList<>();
    for (int sign = 1; sign >= -1; sign -= 2) {
      double x = 0.5 + sign * 0.25 * DIRECTIONS[relation][0] + jitter(random, 0.05);
      double y = 0.5 + sign * 0.25 * DIRECTIONS[relation][1] + jitter(random, 0.05);
      things.add(
          thing(random, random.nextInt(SHAPES.size()), random.nextInt(COLOURS.size()), x, y));
    }
    return new Scene(background, things, relation);
  }

  /** A picture of one object of a class, for zero-shot classification. */
  static Scene classScene(int shape, int colour, long seed, long index) {
    RandomGenerator random = random(seed, "synthetic-class", shape, colour, index);
    int background = random.nextInt(BACKGROUNDS.size());
    double x = 0.5 + jitter(random, 0.12);
    double y = 0.5 + jitter(random, 0.12);
    return new Scene(background, List.of(thing(random, shape, colour, x, y)), -1);
  }

  private static Thing thing(RandomGenerator random, int shape, int colour, double x, double y) {
    int size = random.nextInt(SIZE_WORDS.size());
    double radius = (size == 0 ? 0.11 : 0.2) * (1 + jitter(random, 0.08));
    return new Thing(shape, colour, size, x, y, radius);
  }

  /** Two captions in different words, each true of the whole scene. */
  static List<String> captions(Scene scene, long seed, long index) {
    List<String> captions = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      captions.add(caption(scene, random(seed, "synthetic-caption", index, i), i));
    }
    return captions;
  }

  private static String caption(Scene scene, RandomGenerator random, int form) {
    String background = BACKGROUNDS.get(scene.background);
    String first = phrase(scene.things.get(0), random);
    if (scene.relation < 0) {
      return form == 0
          ? withArticle(first) + " on a " + background + " background"
          : "a picture of " + withArticle(first) + ", the backdrop is " + background;
    }
    String second = phrase(scene.things.get(1), random);
    // Said from either side: a left of b is b right of a.
    return form == 0
        ? withArticle(first)
            + " "
            + pick(RELATION_WORDS.get(scene.relation), random)
            + " "
            + withArticle(second)
            + " on a "
            + background
            + " background"
        : "there is "
            + withArticle(second)
            + " "
            + pick(RELATION_WORDS.get(3 - scene.relation), random)
            + " "
            + withArticle(first)
            + ", the backdrop is "
            + background;
  }

  private static String phrase(Thing thing, RandomGenerator random) {
    return pick(SIZE_WORDS.get(thing.size), random)
        + " "
        + pick(COLOUR_WORDS.get(thing.colour), random)
        + " "
        + pick(SHAPE_WORDS.get(thing.shape), random);
  }

  private static String withArticle(String phrase) {
    return "a " + phrase;
  }

  private static String pick(List<String> words, RandomGenerator random) {
    return words.get(random.nextInt(words.size()));
  }

  private static double jitter(RandomGenerator random, double range) {
    return (2 * random.nextDouble() - 1) * range;
  }

  private static RandomGenerator random(long seed, String purpose, long... parts) {
    return new SplittableRandom(Seeds.derive(seed, purpose, parts));
  }

  /**
   * The picture as {@code side x side} pixels of R, G, B, smoothed at the edges by 3 x 3 samples a
   * pixel.
   */
  public static byte[] draw(Scene scene, int side) {
    byte[] rgb = new byte[3 * side * side];
    for (int row = 0; row < side; row++) {
      for (int column = 0; column < side; column++) {
        int samples =
            isNearThing(scene, (column + 0.5) / side, (row + 0.5) / side, 1.0 / side) ? 9 : 1;
        int red = 0;
        int green = 0;
        int blue = 0;
        for (int sample = 0; sample < samples; sample++) {
          int sampleColumn = sample % 3;
          int sampleRow = sample / 3;
          double x = (column + (sampleColumn + 0.5) / 3) / side;
          double y = (row + (sampleRow + 0.5) / 3) / side;
          int colour = colour(scene, x, y);
          red += colour >> 16;
          green += (colour >> 8) & 0xFF;
          blue += colour & 0xFF;
        }
        int at = 3 * (row * side + column);
        rgb[at] = (byte) (red / samples);
        rgb[at + 1] = (byte) (green / samples);
        rgb[at + 2] = (byte) (blue / samples);
      }
    }
    return rgb;
  }

  /** Whether anything but background can be within {@code margin} of a point. */
  private static boolean isNearThing(Scene scene, double x, double y, double margin) {
    for (Thing thing : scene.things) {
      double reach = thing.radius + margin;
      if (Math.abs(x - thing.x) < reach && Math.abs(y - thing.y) < reach) {
        return true;
      }
    }
    return false;
  }

  private static int colour(Scene scene, double x, double y) {
    for (Thing thing : scene.things) {
      if (covers(thing.shape, (x - thing.x) / thing.radius, (y - thing.y) / thing.radius)) {
        return COLOUR_RGB[thing.colour];
      }
    }
    return BACKGROUND_RGB[scene.background];
  }

  /** Whether a shape of radius 1 around the origin covers a point; y points down. */
  private static boolean covers(int shape, double x, double y) {
    // Most of a picture lies outside, and a distance costs more than all the rest.
    if (Math.abs(x) > 1 || Math.abs(y) > 1) {
      return false;
    }
    double distance = Math.hypot(x, y);
    return switch (SHAPES.get(shape)) {
      case "circle" -> distance < 0.95;
      case "square" -> Math.max(Math.abs(x), Math.abs(y)) < 0.85;
      case "triangle" -> y < 0.75 && y > -0.95 && Math.abs(x) < (y + 0.95) * 0.58;
      case "star" -> star(x, y, distance);
      case "ring" -> distance < 1 && distance > 0.58;
      case "cross" ->
          Math.max(Math.abs(x), Math.abs(y)) < 0.95 && Math.min(Math.abs(x), Math.abs(y)) < 0.3;
      case "diamond" -> Math.abs(x) * 1.45 + Math.abs(y) < 1;
      case "heart" -> heart(1.15 * x, -1.15 * y + 0.1);
      default -> throw new IllegalArgumentException(message("Cannot draw shape %s", shape));
    };
  }

  /** Radius between that of the points and that of the notches, by the angle to the next point. */
  private static boolean star(double x, double y, double distance) {
    double sector = 2 * Math.PI / 5;
    double angle = Math.atan2(x, -y);
    double off = Math.abs(angle - sector * Math.rint(angle / sector));
    double half = sector / 2;
    double inner = 0.42;
    // The edge is the line from (1, angle 0) to (inner, angle half), in polar form.
    double edge = inner * Math.sin(half) / (inner * Math.sin(half - off) + Math.sin(off));
    return distance < edge;
  }

  /** (x^2 + y^2 - 1)^3 < x^2 y^3. */
  private static boolean heart(double x, double y) {
    double a = x * x + y * y - 0.75;
    return a * a * a < x * x * y * y * y;
  }
}
