/** From the bytes of an image file to the pixels that the student sees. */
package io.github.kklip.image;
