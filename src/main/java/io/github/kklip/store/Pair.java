package io.github.kklip.store;

import java.io.Serializable;

/**
 * One caption with its image: one row of a dataset.
 *
 * @param id hash of image_id and caption ({@link Identity#ofPair})
 * @param imageId hash of the image's bytes ({@link Identity#ofImage}); captions of one picture
 *     share it
 * @param image the encoded image as it came; empty when it was not asked for ({@link PairFormat})
 * @param width pixels, after EXIF orientation
 * @param height pixels, after EXIF orientation
 * @param source the file that it came from
 */
public record Pair(
    String id, String imageId, String caption, byte[] image, int width, int height, String source)
    implements Serializable {}
