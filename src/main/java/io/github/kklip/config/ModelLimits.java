package io.github.kklip.config;

/**
 * How large what a model's files say may be. A folder with a model may come from anybody; a number
 * beyond these bounds is a damaged or a hostile file, and is refused before anything of its size is
 * allocated. Published models are well below all of them.
 */
public final class ModelLimits {
  /** Tokens of a vocabulary, and so ids: the largest published one has 901,629 (XLM-V). */
  public static final int VOCABULARY = 1_000_000;

  /** Merges of a tokenizer; a token of Llama 3 has two of them on average. */
  public static final int MERGES = 4 * VOCABULARY;

  /** Characters of one token. */
  public static final int TOKEN_LENGTH = 1024;

  /** Positions of a teacher: Llama 4 Scout has 10,485,760. */
  public static final int POSITIONS = 1 << 24;

  /** Positions of a student's captions, each of which has weights: Jina CLIP v2 has 8,192. */
  public static final int CAPTION_POSITIONS = 1 << 16;

  /** Width of the residual stream, of a head, or of the embedding: Llama 3.1 405B has 16,384. */
  public static final int WIDTH = 1 << 16;

  /** Width between the linear layers of a block: Llama 3.1 405B has 53,248. */
  public static final int INTERMEDIATE = 1 << 18;

  /** Layers: Llama 3.1 405B has 126. */
  public static final int LAYERS = 1024;

  /** Attention heads: Llama 3.1 405B has 128. */
  public static final int HEADS = 1024;

  /** Pixels along a side of the student's images. */
  public static final int IMAGE = 1 << 14;

  /** Patches of an image. */
  public static final int PATCHES = 1 << 16;

  /** Parameters of a model. */
  public static final long PARAMETERS = 1_000_000_000_000L;

  /** Bytes of a {@code config.json} or {@code tokenizer_config.json}. */
  public static final int CONFIG_BYTES = 4 << 20;

  /** Bytes of a {@code tokenizer.json} or {@code tokenizer.model}: Gemma 3's has 33 MB. */
  public static final int TOKENIZER_BYTES = 1 << 26;

  /** Bytes of a {@code model.safetensors.index.json}: DeepSeek V3's has 9 MB. */
  public static final int INDEX_BYTES = 1 << 26;

  private ModelLimits() {}
}
