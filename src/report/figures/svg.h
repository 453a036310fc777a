#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hyperx::report {

// Colours that people with any kind of colour blindness tell apart: steps of the map "cividis" from low (dark blue) to
// high (yellow), and the eight of Okabe and Ito for lines. A figure never says anything by colour alone.
std::string scale_colour(double share);    // of [0, 1], as "#RRGGBB"
std::string text_colour_on(double share);  // black or white, whichever can be read on it
std::string line_colour(size_t index);
std::string line_dashes(size_t index);  // stroke-dasharray: differs where the colours begin again, and before

// Writes one static SVG image with a title and description for screen readers, in pixels from the top left.
class Svg {
 public:
  // `id` must be unique in a page.
  Svg(double width, double height, const std::string& id, const std::string& title, const std::string& description);

  void line(double x1, double y1, double x2, double y2, const std::string& colour, double width = 1);
  void polyline(const std::vector<std::pair<double, double>>& points, const std::string& colour,
                const std::string& dashes);
  // Shapes show `tip` where the pointer rests on them.
  void rectangle(double x, double y, double width, double height, const std::string& fill, const std::string& tip = "");
  void circle(double x, double y, double radius, const std::string& fill, const std::string& tip = "");
  void diamond(double x, double y, double radius, const std::string& fill, const std::string& tip = "");
  enum class Anchor { kStart, kMiddle, kEnd };
  void text(double x, double y, std::string_view text, Anchor anchor = Anchor::kStart, double size = 12,
            const std::string& colour = "#000", double degrees = 0);

  std::string str() const { return body_ + "</svg>\n"; }

 private:
  void shape(const std::string& element, const std::string& tip);
  std::string body_;
};

}  // namespace hyperx::report
