/** Readers of the formats in which people have captions and images. */
package io.github.kklip.ingest.sources;
