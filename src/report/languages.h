#pragma once

#include <string>
#include <string_view>

namespace hyperx::report {

// A language of configs/languages/languages.tsv, which is part of the program. Texts are "" where unknown.
struct Language {
  std::string code;  // as the data names it: "tr", "yue"
  std::string iso639_3, glottocode;
  std::string name;    // the code where the language is not in the table
  std::string family;  // kIsolate for an isolate, kUnknownFamily where the language is not in the table
  std::string genus, macroarea;
  bool has_place = false;
  double latitude = 0, longitude = 0;  // degrees; only with has_place

  std::string shown() const { return name == code ? code : name + " (" + code + ")"; }
  bool operator==(const Language&) const = default;
};

inline constexpr char kIsolate[] = "(isolate)";
inline constexpr char kUnknownFamily[] = "(not in the table)";
// What a report that uses the table must name.
inline constexpr char kLanguagesCredit[] =
    "Families and places: Glottolog 5.1 (Hammarström, Forkel, Haspelmath, Bank 2024); genera: WALS 2020.4 (Dryer, "
    "Haspelmath 2013); both CC BY 4.0";

// By ISO 639-1 code, else by ISO 639-3 code. `code` may name a second source ("yo@masakhaner2").
Language find_language(std::string_view code);

// Order of rows: by family (isolates and unknown languages last), genus, name.
bool comes_before(const Language& a, const Language& b);

}  // namespace hyperx::report
