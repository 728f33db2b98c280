package io.github.kklip.faults;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;

/**
 * The files of a {@link FaultStore} by their paths, and an account of those that went. One thread
 * at a time works on it.
 */
final class FileTree {
  /** A folder, or what is in a file. */
  static final class Node {
    final boolean folder;

    /** The client that made it; empty: the test itself. */
    final String author;

    byte[] bytes = {};

    /** Bytes written; the first {@code visible} are seen by others. */
    int length;

    int visible;

    /** Of these the first are safe. */
    int synced;

    /** Whether it is in the store, by whatever name. */
    boolean linked;

    long modified;

    Node(boolean folder, String author, long modified) {
      this.folder = folder;
      this.author = author;
      this.modified = modified;
    }

    Node copy() {
      Node copy = new Node(folder, author, modified);
      copy.bytes = bytes; // Only ever appended to, by one writer that a copy has lost.
      copy.length = visible;
      copy.visible = visible;
      copy.synced = Math.min(synced, visible);
      copy.linked = linked;
      return copy;
    }

    void append(byte[] source, int offset, int count) {
      if (length + count > bytes.length) {
        bytes = Arrays.copyOf(bytes, Math.max(length + count, 2 * bytes.length));
      }
      System.arraycopy(source, offset, bytes, length, count);
      length += count;
    }

    byte[] content() {
      return Arrays.copyOf(bytes, visible);
    }
  }

  /** What a listing tells of a file or folder. */
  record Entry(String path, boolean folder, long length, long modified) {}

  private final NavigableMap<String, Node> nodes = new TreeMap<>();
  private final List<Removal> removals = new ArrayList<>();

  /** Whose operation takes effect now; null: none of a client. */
  private String acting;

  FileTree() {
    nodes.put("/", folder());
  }

  /** The same files; costs little, as contents are shared. The account is empty. */
  FileTree copy() {
    FileTree copy = new FileTree();
    nodes.forEach((path, node) -> copy.nodes.put(path, node.copy()));
    return copy;
  }

  /** All files and folders by path. */
  NavigableMap<String, Node> nodes() {
    return nodes;
  }

  /** A file or folder; null: there is none. */
  Node get(String path) {
    return nodes.get(path);
  }

  void act(String client) {
    acting = client;
  }

  List<Removal> removals() {
    return removals;
  }

  /** Removes a file. */
  void remove(String path) {
    unlink(path, nodes.remove(path), null);
  }

  /** Removes a file or folder; false where there is none. */
  boolean delete(String path, boolean recursive) throws IOException {
    Node node = nodes.get(path);
    if (node == null || path.equals("/")) {
      return false;
    }
    NavigableMap<String, Node> children = below(path);
    if (!recursive && !children.isEmpty()) {
      throw new PathIsNotEmptyDirectoryException(path);
    }
    children.forEach((name, child) -> unlink(name, child, null));
    children.clear();
    remove(path);
    return true;
  }

  /** Of what was not synced, all, a piece or nothing is there, or zeros are in its place. */
  void losePower(long seed) {
    SplittableRandom choice = new SplittableRandom(seed);
    for (Node node : nodes.values()) {
      int unsafe = node.length - node.synced;
      if (unsafe > 0) {
        byte[] bytes = Arrays.copyOf(node.bytes, node.length);
        int kept = node.synced;
        switch (choice.nextInt(4)) {
          case 0 -> {}
          case 1 -> kept = node.length;
          case 2 -> kept += choice.nextInt(unsafe);
          default -> {
            Arrays.fill(bytes, node.synced, node.length, (byte) 0);
            kept = node.length;
          }
        }
        node.bytes = Arrays.copyOf(bytes, kept);
        node.length = kept;
      }
      node.visible = node.length;
      node.synced = node.length;
    }
  }

  /** Where a rename leads, or null where HDFS says that nothing was renamed. */
  String target(String from, String to) {
    Node there = nodes.get(to);
    String target = to;
    if (there != null && there.folder) {
      target = prefix(to) + from.substring(from.lastIndexOf('/') + 1);
      there = nodes.get(target);
    }
    Node parent = nodes.get(parent(target));
    boolean possible =
        nodes.containsKey(from)
            && there == null
            && parent != null
            && parent.folder
            && !target.startsWith(prefix(from));
    return possible ? target : null;
  }

  void move(String from, String to) {
    NavigableMap<String, Node> moved = new TreeMap<>(below(from));
    moved.put(from, nodes.get(from));
    below(from).clear();
    nodes.remove(from);
    Node replaced = nodes.remove(to);
    if (replaced != null) {
      unlink(to, replaced, moved.get(from));
    }
    moved.forEach(
        (path, node) -> {
          remember(path, node, null);
          nodes.put(to + path.substring(from.length()), node);
        });
  }

  void link(String path, Node node) {
    Node replaced = nodes.put(path, node);
    if (replaced != null) {
      unlink(path, replaced, node);
    }
    node.linked = true;
  }

  private void unlink(String path, Node node, Node successor) {
    node.linked = false;
    remember(path, node, successor);
  }

  private void remember(String path, Node node, Node successor) {
    if (acting != null && !node.folder) {
      boolean same = successor != null && Arrays.equals(node.content(), successor.content());
      removals.add(new Removal(acting, node.author, path, same));
    }
  }

  void makeFolders(String path) throws IOException {
    Node there = nodes.get(path);
    if (there == null) {
      makeFolders(parent(path));
      nodes.put(path, folder());
    } else if (!there.folder) {
      throw new ParentNotDirectoryException(path + " is a file");
    }
  }

  private static Node folder() {
    Node node = new Node(true, "", System.currentTimeMillis());
    node.linked = true;
    return node;
  }

  Node require(String path) throws FileNotFoundException {
    Node node = nodes.get(path);
    if (node == null) {
      throw new FileNotFoundException("There is no " + path);
    }
    return node;
  }

  long used() {
    return nodes.values().stream().mapToLong(node -> node.length).sum();
  }

  NavigableMap<String, Node> below(String path) {
    String prefix = prefix(path);
    // The character after the slash: all paths that begin with the prefix are in between.
    return nodes.subMap(prefix, false, prefix.substring(0, prefix.length() - 1) + "0", false);
  }

  static String prefix(String path) {
    return path.equals("/") ? path : path + "/";
  }

  static String parent(String path) {
    return path.substring(0, Math.max(1, path.lastIndexOf('/')));
  }

  static Entry entry(String path, Node node) {
    return new Entry(path, node.folder, node.visible, node.modified);
  }
}
