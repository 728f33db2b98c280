package io.github.kklip.report;

import java.util.List;

/** One self-contained HTML page: styles and pictures are inside, nothing is fetched. */
public final class HtmlPage {
  private static final String STYLE =
      """
      :root { --ink: #1c2430; --soft: #5b6675; --line: #e1e5ea; --paper: #ffffff; --ground: #f5f6f8;
        --a: #3563c9; --b: #d9822b; --c: #2a9d6f; --d: #9b51b5; --e: #c8405a; --f: #57808f; }
      * { box-sizing: border-box; }
      body { margin: 0; background: var(--ground); color: var(--ink);
        font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
      main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
      h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; }
      h2 { font-size: 19px; margin: 36px 0 10px; }
      h3 { font-size: 14px; margin: 0 0 6px; color: var(--soft); font-weight: 600; }
      p { margin: 0 0 10px; max-width: 76ch; }
      .lead, .note { color: var(--soft); }
      .note { font-size: 13px; margin: 8px 0; }
      .card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
        padding: 14px 16px; }
      .grid { display: grid; gap: 14px; margin: 14px 0;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
      .wide { overflow-x: auto; }
      table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
      th, td { text-align: right; padding: 6px 12px; border-bottom: 1px solid var(--line);
        white-space: nowrap; }
      th { color: var(--soft); font-weight: 600; }
      th:first-child, td:first-child { text-align: left; }
      tr:last-child td { border-bottom: 0; }
      svg { display: block; width: 100%; height: auto; }
      svg text { font: 11px system-ui, sans-serif; fill: var(--soft); paint-order: stroke;
        stroke: var(--paper); stroke-width: 3px; }
      .key { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 6px 0 0; font-size: 12px;
        color: var(--soft); }
      .key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px;
        margin-right: 6px; }
      .example { display: grid; gap: 12px; grid-template-columns: 132px 1fr; align-items: start; }
      img { display: block; width: 120px; height: 120px; object-fit: cover; border-radius: 6px;
        background: var(--line); }
      .strip { display: grid; gap: 6px; grid-template-columns: repeat(5, 1fr); }
      .strip figure { margin: 0; }
      .strip img { width: 100%; height: auto; aspect-ratio: 1; border: 3px solid transparent;
        background-clip: padding-box; }
      .strip .hit img { border-color: var(--c); }
      ol, ul { margin: 0; padding-left: 20px; }
      li { margin: 2px 0; overflow-wrap: anywhere; }
      li.hit { color: var(--c); font-weight: 600; }
      .concepts { display: grid; gap: 10px; align-items: start; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); }
      .concepts .card { font-size: 13px; }
      .concepts b { font-size: 14px; }
      .size { float: right; color: var(--soft); }
      .bar { height: 4px; background: var(--line); border-radius: 2px; margin: 4px 0 8px; }
      .bar i { display: block; height: 4px; background: var(--a); border-radius: 2px; }
      """;

  private final String title;
  private final StringBuilder body = new StringBuilder();

  /**
   * @param title plain text
   * @param lead what the page is about, plain text
   */
  public HtmlPage(String title, String lead) {
    this.title = title;
    body.append("<h1>").append(escape(title)).append("</h1>\n<p class=\"lead\">");
    body.append(escape(lead)).append("</p>\n");
  }

  /** Adds a heading (plain text) and what stands under it (HTML). */
  public HtmlPage section(String heading, String html) {
    body.append("<h2>").append(escape(heading)).append("</h2>\n").append(html).append('\n');
    return this;
  }

  /** The page. */
  public String html() {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        + "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"
        + escape(title)
        + "</title>\n<style>\n"
        + STYLE
        + "</style>\n</head>\n<body>\n<main>\n"
        + body
        + "</main>\n</body>\n</html>\n";
  }

  /** Text as HTML. */
  public static String escape(String text) {
    StringBuilder escaped = new StringBuilder(text.length() + 16);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '<' -> escaped.append("&lt;");
        case '>' -> escaped.append("&gt;");
        case '&' -> escaped.append("&amp;");
        case '"' -> escaped.append("&quot;");
        default -> escaped.append(c < ' ' ? ' ' : c);
      }
    }
    return escaped.toString();
  }

  /**
   * A table of plain text with a header line; the first column is words, the others are numbers.
   */
  public static String table(List<String> header, List<List<String>> rows) {
    StringBuilder table = new StringBuilder("<div class=\"card wide\"><table>\n<tr>");
    header.forEach(cell -> table.append("<th>").append(escape(cell)).append("</th>"));
    table.append("</tr>\n");
    for (List<String> row : rows) {
      table.append("<tr>");
      row.forEach(cell -> table.append("<td>").append(escape(cell)).append("</td>"));
      table.append("</tr>\n");
    }
    return table.append("</table></div>\n").toString();
  }
}
