package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.util.Progressable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PublicationTest {
  private final Configuration configuration = new Configuration();

  @TempDir Path folder;

  @BeforeEach
  void addObjectStore() {
    configuration.setClass("fs.s3.impl", ObjectStore.class, RawLocalFileSystem.class);
    ObjectStore.failing = false;
  }

  @Test
  void theTargetAppearsWholeAtCommitAndReplacesWhatWasThere() throws IOException {
    for (String scheme : List.of("file://", "s3://bucket")) {
      org.apache.hadoop.fs.Path target = target(scheme);
      for (String text : List.of("first", "second")) {
        try (Publication publication = Publication.of(configuration, target)) {
          try (OutputStream out = publication.create()) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
          }
          assertThat(folder.resolve("sub/file"))
              .satisfies(f -> assertThat(text(f)).isNotEqualTo(text));
          publication.commit();
        }
        assertThat(folder.resolve("sub/file")).hasContent(text);
        assertThat(names()).containsExactly("file");
      }
      Files.delete(folder.resolve("sub/file"));
    }
  }

  @Test
  void withoutCommitNothingRemains() throws IOException {
    for (String scheme : List.of("file://", "s3://bucket")) {
      org.apache.hadoop.fs.Path written;
      try (Publication publication = Publication.of(configuration, target(scheme))) {
        written = publication.path();
        try (OutputStream out = publication.create()) {
          out.write(1);
        }
      }
      assertThat(Path.of(written.toUri().getPath())).doesNotExist();
      assertThat(folder.resolve("sub/file")).doesNotExist();
    }
  }

  @Test
  void anUploadThatFailsLeavesNoTargetAndNoSpoolFile() throws IOException {
    ObjectStore.failing = true;
    Path spool;
    try (Publication publication = Publication.of(configuration, target("s3://bucket"))) {
      try (OutputStream out = publication.create()) {
        out.write(1);
      }
      spool = Path.of(publication.path().toUri());
      assertThat(spool).exists();
      assertThatThrownBy(publication::commit).hasMessage("the store is away");
    }
    assertThat(spool).doesNotExist();
    assertThat(folder.resolve("sub/file")).doesNotExist();
  }

  @Test
  void aNameByContentSaysTheContent() throws IOException {
    org.apache.hadoop.fs.Path first =
        Publication.writeByContent(configuration, target("file://").suffix(".txt"), new byte[] {1});
    assertThat(first.getName()).isEqualTo("file-4bf5122f344554c53bde2ebb8cd2b7e3.txt");
    assertThat(Digests.isInName(configuration, first)).isTrue();
    assertThat(
            Publication.writeByContent(
                configuration, target("file://").suffix(".txt"), new byte[] {1}))
        .isEqualTo(first);
    Files.write(Path.of(first.toUri()), new byte[] {2});
    assertThat(Digests.isInName(configuration, first)).isFalse();
  }

  private org.apache.hadoop.fs.Path target(String scheme) {
    return new org.apache.hadoop.fs.Path(scheme + folder.resolve("sub/file"));
  }

  private static String text(Path file) {
    try {
      return Files.exists(file) ? Files.readString(file) : "";
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private List<String> names() throws IOException {
    try (var files = Files.list(folder.resolve("sub"))) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** A store whose files appear when they are uploaded; the local disk is behind it. */
  public static final class ObjectStore extends RawLocalFileSystem {
    static boolean failing;

    @Override
    public URI getUri() {
      return URI.create("s3://bucket");
    }

    @Override
    public String getScheme() {
      return "s3";
    }

    @Override
    public FSDataOutputStream create(
        org.apache.hadoop.fs.Path target,
        boolean overwrite,
        int bufferSize,
        short replication,
        long blockSize,
        Progressable progress)
        throws IOException {
      if (failing) {
        throw new IOException("the store is away");
      }
      return super.create(target, overwrite, bufferSize, replication, blockSize, progress);
    }
  }
}
