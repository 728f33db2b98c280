package io.github.kklip.upkeep;

import java.util.regex.Pattern;

/** What a file of a dataset's folder is, by its place and name. */
enum FileKind {
  TEMPORARY(
      "((pairs|rejects|sources|removed|tokenizer|teachers|concepts|_manifests|_runs|_work|_leases)/(.*/)?)?\\.[^/]*\\.unfinished"),
  WORK("_work/[0-9a-f]{32}/.*"),
  LEASE("((teachers|concepts)/[^/]+/|tokenizer/)?(_leases/[^/]+|\\.lease(\\.[0-9a-f-]{36})?)"),
  RUN("_runs/[0-9a-f]{32}\\.json"),
  MANIFEST("_manifests/\\d{9,18}\\.json"),
  PAIRS("pairs/(\\d+/)?(train|validation|test)-\\d{5,}(-[0-9a-f]{32})?\\.parquet"),
  REJECTS("rejects/\\d{5,}-(train|validation|test)-\\d{5,}(-[0-9a-f]{32})?\\.parquet"),
  SOURCES("sources/(seen-[0-9a-f]{32}|\\d{5,})\\.txt"),
  REMOVED("removed/ids-[0-9a-f]{32}\\.txt"),
  TOKENIZER(
      "tokenizer/([0-9a-f]{32}/)?(tokenizer|tokenizer_config|special_tokens_map|vocab)\\.json|tokenizer/([0-9a-f]{32}/)?merges\\.txt"),
  EMBEDDINGS(
      "teachers/[^/]+/([0-9a-f]{32}/)?(train|validation|test)-\\d{5,}(-[0-9a-f]{32})?\\.parquet"),
  LABELS(
      "concepts/[^/]+/([0-9a-f]{32}/)?(train|validation|test)-\\d{5,}(-[0-9a-f]{32})?\\.parquet"),
  CLUSTERING(
      "concepts/[^/]+/(centroids(-[0-9a-f]{32})?\\.safetensors|clustering-[0-9a-f]{32}-[0-9a-f]{32}\\.json|(concepts(-[0-9a-f]{32})?)\\.html|quality(-[0-9a-f]{32})?\\.json)"),
  /** The manifests of format 1, which number 0 stands for. */
  FORMAT_1("(teachers/[^/]+/|concepts/[^/]+/|tokenizer/)?manifest\\.json"),
  CARD("card\\.html"),
  /** Not this program's. */
  FOREIGN(".*");

  private final Pattern name;

  FileKind(String name) {
    this.name = Pattern.compile(name, Pattern.DOTALL);
  }

  /**
   * The kind of a file.
   *
   * @param inside its path inside the dataset's folder
   */
  static FileKind of(String inside) {
    for (FileKind kind : values()) {
      if (kind.name.matcher(inside).matches()) {
        return kind;
      }
    }
    return FOREIGN;
  }
}
