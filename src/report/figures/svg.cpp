#include "report/figures/svg.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/escape.h"

namespace hyperx::report {
namespace {

using Rgb = std::array<double, 3>;

// Nine points of cividis (Nuñez, Anderton, Renslow 2018), linear in between.
constexpr std::array<Rgb, 9> kScale = {{{0, 34, 78},
                                        {18, 53, 112},
                                        {59, 73, 108},
                                        {87, 93, 109},
                                        {112, 113, 115},
                                        {138, 134, 120},
                                        {165, 156, 116},
                                        {195, 179, 105},
                                        {254, 232, 56}}};
constexpr std::array<const char*, 7> kLines = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                               "#000000", "#E69F00", "#56B4E9"};
constexpr std::array<const char*, 4> kDashes = {"none", "7 3", "2 2", "9 3 2 3"};

Rgb rgb_at(double share) {
  const double place = std::clamp(share, 0.0, 1.0) * (kScale.size() - 1);
  const size_t below = std::min(static_cast<size_t>(place), kScale.size() - 2);
  Rgb colour{};
  for (size_t i = 0; i < colour.size(); ++i)
    colour[i] = kScale[below][i] + (place - static_cast<double>(below)) * (kScale[below + 1][i] - kScale[below][i]);
  return colour;
}

// Relative luminance as WCAG 2 defines it.
double luminance(const Rgb& colour) {
  constexpr Rgb kWeights = {0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (size_t i = 0; i < colour.size(); ++i) {
    const double part = colour[i] / 255;
    sum += kWeights[i] * (part <= 0.03928 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}

}  // namespace

std::string scale_colour(double share) {
  const Rgb colour = rgb_at(share);
  return fmt::format("#{:02X}{:02X}{:02X}", std::lround(colour[0]), std::lround(colour[1]), std::lround(colour[2]));
}

std::string text_colour_on(double share) { return luminance(rgb_at(share)) > 0.179 ? "#000" : "#FFF"; }

std::string line_colour(size_t index) { return kLines[index % kLines.size()]; }

std::string line_dashes(size_t index) { return kDashes[index % kDashes.size()]; }

Svg::Svg(double width, double height, const std::string& id, const std::string& title, const std::string& description)
    : body_(
          fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
                      "height=\"{1:.0f}\" role=\"img\" aria-labelledby=\"{2}-title {2}-text\" "
                      "font-family=\"DejaVu Sans, Verdana, sans-serif\">\n<title id=\"{2}-title\">{3}</title>\n"
                      "<desc id=\"{2}-text\">{4}</desc>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#FFF\"/>\n",
                      width, height, id, html_text(title), html_text(description))) {}

void Svg::shape(const std::string& element, const std::string& tip) {
  const std::string name = element.substr(0, element.find(' '));
  body_ += "<" + element + (tip.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", html_text(tip), name));
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& colour, double width) {
  shape(fmt::format("line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"",
                    x1, y1, x2, y2, colour, width),
        "");
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, const std::string& colour,
                   const std::string& dashes) {
  std::string places;
  for (const auto& [x, y] : points) places += fmt::format("{:.1f},{:.1f} ", x, y);
  shape(fmt::format("polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"",
                    places, colour, dashes),
        "");
}

void Svg::rectangle(double x, double y, double width, double height, const std::string& fill, const std::string& tip) {
  shape(fmt::format("rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"", x, y, width,
                    height, fill),
        tip);
}

void Svg::circle(double x, double y, double radius, const std::string& fill, const std::string& tip) {
  shape(fmt::format("circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\" stroke=\"#000\"", x, y, radius, fill),
        tip);
}

void Svg::diamond(double x, double y, double radius, const std::string& fill, const std::string& tip) {
  shape(fmt::format("path d=\"M{:.1f} {:.1f}l{r:.1f} {r:.1f}l-{r:.1f} {r:.1f}l-{r:.1f} -{r:.1f}z\" fill=\"{}\" "
                    "stroke=\"#000\"",
                    x, y - radius, fill, fmt::arg("r", radius)),
        tip);
}

void Svg::text(double x, double y, std::string_view text, Anchor anchor, double size, const std::string& colour,
               double degrees) {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  const std::string turned = degrees == 0 ? "" : fmt::format(" transform=\"rotate({} {:.1f} {:.1f})\"", degrees, x, y);
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n",
                       x, y, kAnchors[static_cast<int>(anchor)], size, colour, turned, html_text(text));
}

}  // namespace hyperx::report
