/** Files on any Hadoop file system: written whole or not at all, by one job at a time. */
package io.github.kklip.store.publication;
