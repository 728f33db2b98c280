/** Pages: one self-contained HTML page, plots as inline SVG. */
package io.github.kklip.report;
