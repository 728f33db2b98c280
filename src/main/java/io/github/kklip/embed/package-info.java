/** The distributed stage that embeds every caption with the teacher. */
package io.github.kklip.embed;
