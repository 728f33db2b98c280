/** Datasets: folders, manifests, identities, and the records that shards hold. */
package io.github.kklip.store;
