#include "common/json.h"

#include <gmock/gmock.h>

#include <chrono>

#include "tests/support/errors.h"

namespace hyperx {
namespace {

using test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string nested(int levels) {
  return std::string(static_cast<size_t>(levels), '[') + std::string(static_cast<size_t>(levels), ']');
}

std::string error_of(const std::string& text) {
  return user_error([&] { parse_json(text, "f.json", "fetch it again"); });
}

TEST(Json, ReadsWhatTheLibraryReads) {
  for (const char* text : {"null", "true", "-7", "18446744073709551615", "0.25", "\"\\u00e7\"", "[]", "{}", "[[],{},1]",
                           R"({"a":{"b":[1,{"c":null}],"d":"x"},"e":[[2]]})"})
    EXPECT_EQ(parse_json(text, "f.json"), nlohmann::json::parse(text)) << text;
}

TEST(Json, FaultsNameFileKeyAndWayOut) {
  EXPECT_THAT(error_of(R"({"eps":1e400})"),
              AllOf(StartsWith("65 f.json: is not JSON: number overflow parsing '1e400' (after the key 'eps')"),
                    HasSubstr("; fetch it again")));
  EXPECT_THAT(error_of(R"({"a":1,"b":{"a":2},"a":3})"), HasSubstr("is named twice in one object (after the key 'a')"));
  for (const char* text : {"", "{", "[1,]", "{\"a\":}", "nul", "1 2", "\"\xff\""}) {
    EXPECT_THAT(error_of(text), StartsWith("65 f.json: is not JSON: ")) << text;
    EXPECT_TRUE(parse_json_or_discard(text).is_discarded()) << text;
  }
  // The library takes a zero byte for the end.
  EXPECT_THAT(error_of(std::string("{}\0\0", 4)), HasSubstr("zero byte"));
}

TEST(Json, DepthIsLimited) {
  EXPECT_EQ(error_of(nested(kDeepestJson)), "");
  EXPECT_THAT(error_of(nested(kDeepestJson + 1)), HasSubstr("more than 64 levels deep"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  for (const std::string& text : {nested(100'000), std::string(100'000, '['), objects}) {
    EXPECT_THAT(error_of(text), HasSubstr("more than 64 levels deep"));
    EXPECT_TRUE(parse_json_or_discard(text).is_discarded());
  }
}

TEST(Json, ItemsAreHandedOverOneByOne) {
  std::vector<nlohmann::json> items;
  const auto read = [&](const std::string& text) {
    items.clear();
    return parse_json_by_item(text, "f.json", "", "pairs", [&](const nlohmann::json& item) { items.push_back(item); });
  };
  const std::string text = R"({"a":[[1],2],"pairs":[{"x":[1,{"y":2}]},[3],4,{}],"b":{"pairs":[5]},"c":[6]})";
  EXPECT_EQ(read(text), nlohmann::json::parse(R"({"a":[[1],2],"pairs":[],"b":{"pairs":[5]},"c":[6]})"));
  EXPECT_EQ(nlohmann::json(items), nlohmann::json::parse(text)["pairs"]);
  EXPECT_EQ(read(R"({"pairs":{"x":[1]}})"), nlohmann::json::parse(R"({"pairs":{"x":[1]}})"));
  EXPECT_TRUE(items.empty());
}

// Time in proportion to the number of entries; 40,000 took minutes where it was quadratic.
TEST(Json, ManyEntriesTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":{\"a\":[1]}";
  text += "}";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_json(text, "f.json").size(), 200'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(JsonValue, NamesThePlaceOfAWrongKind) {
  const std::string origin = "f.json";
  const auto object = nlohmann::json::parse(
      R"({"text":7,"list":"x","number":null,"whole":1.5,"huge":18446744073709551615,"deep":{"rows":[1,"two"]}})");
  const JsonValue root(origin, object);
  EXPECT_EQ(user_error([&] { root["text"].text(); }), "65 f.json: text is 7, not a text");
  EXPECT_EQ(user_error([&] { root["list"].items(); }), "65 f.json: list is \"x\", not a list");
  EXPECT_EQ(user_error([&] { root["list"].fields(); }), "65 f.json: list is \"x\", not an object");
  EXPECT_EQ(user_error([&] { root["list"]["x"].text(); }), "65 f.json: list is \"x\", not an object");
  EXPECT_EQ(user_error([&] { root["number"].number(); }), "65 f.json: the file has no 'number'");
  EXPECT_EQ(user_error([&] { root["whole"].integer(); }), "65 f.json: whole is 1.5, not a whole number");
  EXPECT_THAT(user_error([&] { root["huge"].integer(); }), HasSubstr("huge is 18446744073709551615, not a whole"));
  EXPECT_EQ(user_error([&] { root["deep"]["rows"].texts(); }), "65 f.json: deep.rows[0] is 1, not a text");
  EXPECT_EQ(user_error([&] { root["deep"]["rows"].integers(); }),
            "65 f.json: deep.rows[1] is \"two\", not a whole number");
  EXPECT_EQ(user_error([&] { root["text"].integer(8, 9); }), "65 f.json: text is 7, not a whole number from 8 to 9");
  EXPECT_EQ(user_error([&] { root["text"].flag(); }), "65 f.json: text is 7, neither true nor false");
  EXPECT_EQ(root.text("number", "fallback"), "fallback");
  EXPECT_EQ(root.text("none", "fallback"), "fallback");
  EXPECT_EQ(user_error([&] { root.text("text", "fallback"); }), "65 f.json: text is 7, not a text");
}

}  // namespace
}  // namespace hyperx
