package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What makes an output what it is, derived from the {@link Role}s of all settings: by the key, and
 * by what stands for its value where the role names that.
 */
public final class Roles {
  private Roles() {}

  /**
   * The settings whose change makes another output.
   *
   * @param contents what stands for the values of the keys that count by content, by key; for keys
   *     that do not count now it may be missing
   */
  public static SortedMap<String, String> identity(
      Settings settings, Role.Output output, Map<String, String> contents) {
    return values(settings, output, Set.of(Role.Kind.IDENTITY, Role.Kind.EXTENDABLE), contents);
  }

  /** The settings whose change gives the same output up to rounding; otherwise as above. */
  public static SortedMap<String, String> rounding(
      Settings settings, Role.Output output, Map<String, String> contents) {
    return values(settings, output, Set.of(Role.Kind.ROUNDING), contents);
  }

  /** The keys that may change when the output is finished, which is then gone on with. */
  public static Set<String> extendable(Role.Output output) {
    Set<String> keys = new TreeSet<>();
    for (SettingKey key : SettingKey.ALL) {
      for (Role role : key.roles()) {
        if (role.kind() == Role.Kind.EXTENDABLE && List.of(role.value()).contains(output)) {
          keys.add(key.path());
        }
      }
    }
    return keys;
  }

  /**
   * The name of a key in an identity or among the rounding settings of an output.
   *
   * @param path relative to {@code kklip.}
   */
  public static String name(Role.Output output, String path) {
    for (SettingKey key : SettingKey.ALL) {
      for (Role role : key.roles()) {
        if (key.path().equals(path) && List.of(role.value()).contains(output)) {
          return name(key, role);
        }
      }
    }
    throw new IllegalArgumentException(
        message("Cannot name the setting %s because it means nothing to %s.", path, output));
  }

  private static String name(SettingKey key, Role role) {
    return role.content().isEmpty() ? key.path() : message("%s (%s)", key.path(), role.content());
  }

  private static SortedMap<String, String> values(
      Settings settings, Role.Output output, Set<Role.Kind> kinds, Map<String, String> contents) {
    SortedMap<String, String> values = new TreeMap<>();
    for (SettingKey key : SettingKey.ALL) {
      for (Role role : key.roles()) {
        if (kinds.contains(role.kind())
            && List.of(role.value()).contains(output)
            && holds(role.when(), settings)) {
          boolean itself = role.content().isEmpty();
          String value = itself ? text(key.value(settings)) : contents.get(key.path());
          if (value == null) {
            throw new IllegalStateException(
                message("Nothing says what %s stands for: %s.", key.path(), role.content()));
          }
          values.put(name(key, role), value);
        }
      }
    }
    return values;
  }

  private static boolean holds(Role.When when, Settings settings) {
    return switch (when) {
      case ALWAYS -> true;
      case IMAGES_ARE_REENCODED -> settings.ingest().reencode().reencodeSide() > 0;
      case TEMPERATURE_IS_AUTO -> settings.concepts().labels().temperature().auto();
      case TOP_K_IS_AUTO -> settings.concepts().labels().topK().auto();
      case EMB_HAS_WEIGHT -> settings.train().loss().emb() > 0;
      case CONCEPT_HAS_WEIGHT -> settings.train().loss().concept() > 0;
    };
  }

  /** As manifests have it since their first format: constants by name. */
  private static String text(Object value) {
    if (value instanceof AutoNumber number) {
      return number.text();
    }
    return value instanceof Enum<?> constant ? constant.name() : value.toString();
  }

  /** What differs between two identities, as {@code KEY was VALUE and is now VALUE}. */
  public static List<String> differences(Map<String, String> before, Map<String, String> now) {
    TreeSet<String> keys = new TreeSet<>(before.keySet());
    keys.addAll(now.keySet());
    List<String> differences = new ArrayList<>();
    for (String key : keys) {
      String was = shown(before.get(key));
      String is = shown(now.get(key));
      if (!was.equals(is)) {
        differences.add(message("%s was %s and is now %s", key, was, is));
      }
    }
    return differences;
  }

  /** As it is typed: {@code CENTRE_L2} is {@code centre-l2}. */
  private static String shown(String value) {
    if (value == null) {
      return "not set";
    }
    return value.matches("[A-Z][A-Z0-9_]*") ? Keyword.of(value) : value;
  }
}
