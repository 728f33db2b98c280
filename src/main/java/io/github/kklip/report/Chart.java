package io.github.kklip.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;

/** Plots as inline SVG. */
public final class Chart {
  private static final int WIDTH = 520;
  private static final int HEIGHT = 240;
  private static final int LEFT = 52;
  private static final int RIGHT = 12;
  private static final int TOP = 12;
  private static final int BOTTOM = 34;
  private static final String[] COLOURS = {"a", "b", "c", "d", "e", "f"};

  private Chart() {}

  /** Points of one line; a value that is not finite is a gap. */
  public record Line(String name, double[] x, double[] y) {}

  /**
   * Bars of one colour.
   *
   * @param values one for each group
   */
  public record Bars(String name, double[] values) {}

  /**
   * Lines over a common axis.
   *
   * @param title plain text
   * @param across what x is
   */
  public static String lines(String title, String across, List<Line> lines) {
    double[] all = lines.stream().flatMapToDouble(l -> finite(l.y)).toArray();
    double[] wide = lines.stream().flatMapToDouble(l -> finite(l.x)).toArray();
    if (all.length == 0) {
      return card(title, "<p class=\"note\">There is nothing to plot.</p>", "");
    }
    Axis y = Axis.around(min(all), max(all));
    double left = min(wide);
    double right = Math.max(max(wide), left + 1e-9);
    StringBuilder svg = frame(y, across);
    svg.append(label(LEFT, HEIGHT - 18, "start", number(left)));
    svg.append(label(WIDTH - RIGHT, HEIGHT - 18, "end", number(right)));
    for (int i = 0; i < lines.size(); i++) {
      svg.append(path(lines.get(i), y, left, right, "var(--" + COLOURS[i % COLOURS.length] + ")"));
    }
    return card(
        title, svg.append("</svg>").toString(), key(lines.stream().map(Line::name).toList()));
  }

  private static String path(Line line, Axis y, double left, double right, String colour) {
    StringBuilder path = new StringBuilder();
    boolean pen = false;
    for (int i = 0; i < line.x.length; i++) {
      if (!Double.isFinite(line.y[i])) {
        pen = false;
        continue;
      }
      double px = LEFT + (line.x[i] - left) / (right - left) * (WIDTH - LEFT - RIGHT);
      path.append(pen ? 'L' : 'M').append(at(px)).append(' ').append(at(y.pixel(line.y[i])));
      pen = true;
    }
    return "<path d=\""
        + path
        + "\" fill=\"none\" stroke=\""
        + colour
        + "\" stroke-width=\"1.6\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n";
  }

  /**
   * Groups of bars from zero up, in percent.
   *
   * @param chance height of a dashed mark over each group: what guessing gives
   */
  public static String percentages(
      String title, List<String> groups, List<Bars> bars, double[] chance) {
    double[] all =
        DoubleStream.concat(bars.stream().flatMapToDouble(b -> finite(b.values)), finite(chance))
            .map(v -> 100 * v)
            .toArray();
    Axis y = Axis.around(0, Math.max(1, all.length == 0 ? 1 : max(all)));
    StringBuilder svg = frame(y, "");
    double group = (WIDTH - LEFT - RIGHT) / (double) groups.size();
    double bar = Math.min(48, group * 0.8 / bars.size());
    for (int g = 0; g < groups.size(); g++) {
      double middle = LEFT + (g + 0.5) * group;
      double start = middle - bar * bars.size() / 2;
      for (int b = 0; b < bars.size(); b++) {
        double value = 100 * bars.get(b).values[g];
        double x = start + b * bar;
        svg.append("<rect x=\"").append(at(x + 1)).append("\" y=\"").append(at(y.pixel(value)));
        svg.append("\" width=\"").append(at(bar - 2)).append("\" height=\"");
        svg.append(at(HEIGHT - BOTTOM - y.pixel(value))).append("\" rx=\"2\" fill=\"var(--");
        svg.append(COLOURS[b % COLOURS.length]).append(")\"/>");
      }
      double level = y.pixel(100 * chance[g]);
      svg.append("<line x1=\"").append(at(start - 4)).append("\" x2=\"");
      svg.append(at(start + bar * bars.size() + 4)).append("\" y1=\"").append(at(level));
      svg.append("\" y2=\"").append(at(level));
      svg.append("\" stroke=\"var(--ink)\" stroke-width=\"1.5\" stroke-dasharray=\"3 3\"/>\n");
      // Over the mark of chance, so that they can be read.
      for (int b = 0; b < bars.size(); b++) {
        double value = 100 * bars.get(b).values[g];
        String text = String.format(Locale.ROOT, "%.1f", value);
        svg.append(label(start + (b + 0.5) * bar, y.pixel(value) - 3, "middle", text));
      }
      svg.append(label(middle, HEIGHT - 16, "middle", groups.get(g)));
    }
    return card(
        title,
        svg.append("</svg>").toString(),
        key(bars.stream().map(Bars::name).toList())
            + "<p class=\"note\">Percent. Dashed: chance.</p>");
  }

  private static StringBuilder frame(Axis y, String across) {
    StringBuilder svg = new StringBuilder();
    svg.append("<svg viewBox=\"0 0 ").append(WIDTH).append(' ').append(HEIGHT);
    svg.append("\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n");
    for (double tick : y.ticks()) {
      String level = at(y.pixel(tick));
      svg.append("<line x1=\"").append(LEFT).append("\" x2=\"").append(WIDTH - RIGHT);
      svg.append("\" y1=\"").append(level).append("\" y2=\"").append(level);
      svg.append("\" stroke=\"var(--line)\"/>");
      svg.append(label(LEFT - 6, y.pixel(tick) + 4, "end", number(tick))).append('\n');
    }
    svg.append(label((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4, "middle", across));
    return svg;
  }

  /** The vertical axis, from a round number to a round number. */
  private record Axis(double low, double high, double step) {
    static Axis around(double least, double most) {
      double span = most - least;
      if (!(span > 0)) {
        span = Math.max(Math.abs(most), 1e-9);
      }
      double rough = span / 4;
      double power = Math.pow(10, Math.floor(Math.log10(rough)));
      double step = power;
      for (double factor : new double[] {1, 2, 2.5, 5, 10}) {
        step = factor * power;
        if (step >= rough) {
          break;
        }
      }
      double low = Math.floor(least / step) * step;
      double high = Math.ceil(most / step) * step;
      return new Axis(low, high > low ? high : low + step, step);
    }

    double pixel(double value) {
      return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP);
    }

    List<Double> ticks() {
      List<Double> ticks = new ArrayList<>();
      for (int i = 0; low + i * step <= high + step / 1e6; i++) {
        ticks.add(low + i * step);
      }
      return ticks;
    }
  }

  private static String card(String title, String plot, String below) {
    return "<div class=\"card\"><h3>"
        + HtmlPage.escape(title)
        + "</h3>\n"
        + plot
        + below
        + "</div>\n";
  }

  private static String key(List<String> names) {
    if (names.size() < 2) {
      return "";
    }
    StringBuilder key = new StringBuilder("<p class=\"key\">");
    for (int i = 0; i < names.size(); i++) {
      key.append("<span><i style=\"background:var(--").append(COLOURS[i % COLOURS.length]);
      key.append(")\"></i>").append(HtmlPage.escape(names.get(i))).append("</span>");
    }
    return key.append("</p>").toString();
  }

  private static String label(double x, double y, String anchor, String text) {
    return "<text x=\""
        + at(x)
        + "\" y=\""
        + at(y)
        + "\" text-anchor=\""
        + anchor
        + "\">"
        + HtmlPage.escape(text)
        + "</text>";
  }

  private static String at(double pixel) {
    return String.format(Locale.ROOT, "%.1f", pixel);
  }

  /** Few digits: 12, 3.4, 0.057, 1.2e+06. */
  static String number(double value) {
    double size = Math.abs(value);
    if (size < 1e-12) {
      return "0";
    }
    if (size >= 1e6 || size < 1e-3) {
      return String.format(Locale.ROOT, "%.3g", value);
    }
    int digits = Math.max(0, 2 - (int) Math.floor(Math.log10(size)));
    String text = String.format(Locale.ROOT, "%." + digits + "f", value);
    return text.contains(".") ? text.replaceFirst("\\.?0+$", "") : text;
  }

  private static DoubleStream finite(double[] values) {
    return DoubleStream.of(values).filter(Double::isFinite);
  }

  private static double min(double[] values) {
    return DoubleStream.of(values).min().orElseThrow();
  }

  private static double max(double[] values) {
    return DoubleStream.of(values).max().orElseThrow();
  }
}
