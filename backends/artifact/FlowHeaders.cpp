// Flows in STEM.hpp: a struct for every record that a flow gives, and a function for one record and one for several.
#include "FlowHeaders.h"
#include "Signature.h"
#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace bigm::artifact {
namespace {
using nlohmann::json;

std::string camel(const std::string &text) {
  std::string out;
  bool up = true;
  for (char c : identifier(text)) {
    if (c == '_') {
      up = true;
      continue;
    }
    out += up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    up = false;
  }
  return out;
}
std::string literal(const std::string &text) { return json(text).dump(); }

const char *ctype(const std::string &dtype) {
  static constexpr std::pair<const char *, const char *> types[] = {{"f32", "float"},   {"f64", "double"},   {"i64", "int64_t"},
                                                                    {"i32", "int32_t"}, {"u8", "uint8_t"},   {"i8", "int8_t"},
                                                                    {"bool", "uint8_t"}, {"f16", "uint16_t"}, {"bf16", "uint16_t"}};
  for (auto &[name, type] : types)
    if (dtype == name)
      return type;
  return "uint8_t";
}

/// The sizes of a tensor: numbers as they are, others by name.
std::vector<std::string> sizesOf(const json &type) {
  std::vector<std::string> sizes;
  for (const json &size : type.at("shape"))
    sizes.push_back(size.is_string() ? size.get<std::string>() : size.dump());
  return sizes;
}
bool isNumber(const std::string &size) { return !size.empty() && std::all_of(size.begin(), size.end(), ::isdigit); }

class FlowWriter {
public:
  explicit FlowWriter(const json &flow) : flow(flow), name(flow.at("name")), function(identifier(name)), stem(camel(name)) {
    // What a Model has already is not a flow's name.
    static const std::set<std::string> taken = {"Model", "load", "save", "fork", "init", "plan", "step", "flow", "forward", "predict", "evaluate"};
    if (taken.count(function))
      function += "_";
    hint = stem + (flow.at("result").at("kind") == "list" ? "Item" : "Result");
    result = typeOf(flow.at("result"), hint);
  }

  std::string write() {
    std::string inputs, gives, batchGives, fields;
    std::set<std::string> symbols;
    const json &all = flow.at("inputs");
    for (const json &input : all) {
      const json &type = input.at(1);
      std::string kind = type.at("kind"), given = input.at(0), c = identifier(given);
      auto add = [&](const std::string &parameter, const std::string &field) {
        inputs += (inputs.empty() ? "" : ", ") + parameter;
        fields += "    " + field + ";\n";
      };
      auto give = [&](const std::string &value, const std::string &rest = "") {
        gives += fmt::format("    bigm_f.give({}, {}{});\n", literal(given), value, rest);
        std::string of = all.size() == 1 && kind != "tensor" ? "record" : "record." + c;
        batchGives += fmt::format("    bigm_f.give({}, {}{});\n", literal(given), kind == "tensor" ? "bigm::View<const " + std::string(ctype(type.at("dtype"))) + ">(record." + c + ")" : of, rest);
      };
      bool single = kind == "tensor" && layoutOf(type).count == "1"; // a number, a box, a point
      if (single || kind == "list" || kind == "optional" || kind == "record") {
        std::string made = inputType(type, stem + "Input" + camel(given));
        bool number = isPlainNumber(made);
        add(number ? made + " " + c : "const " + made + " &" + c, made + " " + c + (number ? " = 0" : ""));
        gives += giveInput(type, given, c, 4, 0);
        batchGives += giveInput(type, given, all.size() == 1 && !single ? "record" : "record." + c, 4, 0);
      } else if (kind == "image") {
        add("const bigm::Image &" + c, "bigm::Image " + c);
        give(c);
      } else if (kind == "text") {
        add("const std::string &" + c, "std::string " + c);
        give(c);
      } else {
        std::vector<std::string> sizes = sizesOf(type);
        std::string list, batchList, shape;
        for (auto &size : sizes) {
          if (!isNumber(size) && symbols.insert(size).second)
            add("int64_t " + identifier(size), "int64_t " + identifier(size) + " = 0");
          list += (list.empty() ? "" : ", ") + (isNumber(size) ? size : identifier(size));
          batchList += (batchList.empty() ? "" : ", ") + (isNumber(size) ? size : "record." + identifier(size));
        }
        std::string element = ctype(type.at("dtype"));
        add("bigm::View<const " + element + "> " + c, fmt::format("std::vector<{}> {}", element, c));
        std::string array = sizes.empty() ? "nullptr, 0" : fmt::format("bigm_sizes_{}, {}", c, sizes.size());
        if (!sizes.empty()) {
          gives += fmt::format("    const int64_t bigm_sizes_{}[] = {{{}}};\n", c, list);
          batchGives += fmt::format("    const int64_t bigm_sizes_{}[] = {{{}}};\n", c, batchList);
        }
        give(c, ", " + array);
      }
    }
    bool plain = all.size() == 1 && all[0].at(1).at("kind") != "tensor";
    std::string text = definitions;
    std::string record = plain ? inputType(all[0].at(1), stem + "Input" + camel(all[0].at(0))) : stem + "Input";
    if (!plain)
      text += fmt::format("  struct {} {{\n{}  }};\n", record, fields);
    text += fmt::format("  /// The flow `{0}` on one record.\n"
                        "  {1} {2}({3}) {{\n"
                        "    bigm::FlowHandle &bigm_f = flow({4});\n" // no name that an input can have
                        "    bigm_f.clear();\n{5}"
                        "    bigm_f.record();\n"
                        "    bigm_f.run();\n"
                        "    return {2}_at(bigm_f, 0);\n"
                        "  }}\n",
                        name, result, function, inputs, literal(name), gives);
    if (flow.at("result").value("stream", false)) {
      text += fmt::format("  /// The same, told as it is written: `told` is given pieces of the text, and returns false to end it.\n"
                          "  {1} {2}({3}, const std::function<bool(std::string_view piece)> &told) {{\n"
                          "    bigm::FlowHandle &bigm_f = flow({4});\n"
                          "    bigm_f.clear();\n{5}"
                          "    bigm_f.record();\n"
                          "    bigm_f.run([&](int64_t, std::string_view piece) {{ return told(piece); }});\n"
                          "    return {2}_at(bigm_f, 0);\n"
                          "  }}\n"
                          "  /// Several at once; the pieces of their texts come in turns, with the record's number.\n"
                          "  std::vector<{1}> {2}(bigm::View<const {6}> records, const bigm::Told &told) {{\n"
                          "    bigm::FlowHandle &f = flow({4});\n"
                          "    return f.all(records, [&](const {6} &record) {{ {2}_give(f, record); }}, [&](int64_t i) {{ return {2}_at(f, i); }}, &told);\n"
                          "  }}\n",
                          name, result, function, inputs, literal(name), gives, record);
    }
    // Two forms: all or nothing, and one in which some may fail.
    for (bool some : {false, true})
      text += fmt::format("  /// The flow `{0}` on several records at once{6}.\n"
                          "  std::vector<{1}> {2}(bigm::View<const {3}> records{7}) {{\n"
                          "    bigm::FlowHandle &f = flow({4});\n"
                          "    return f.{5}(records, [&](const {3} &record) {{ {2}_give(f, record); }}, [&](int64_t i) {{ return {2}_at(f, i); }}{8});\n"
                          "  }}\n",
                          name, some ? "std::optional<" + result + ">" : result, function, record, literal(name), some ? "each" : "all",
                          some ? "; those that fail are missing, and told in `failed`" : "",
                          some ? ", std::vector<bigm::Failed> &failed" : "", some ? ", failed" : "");
    giver = fmt::format("  static void {}_give(bigm::FlowHandle &bigm_f, const {} &record) {{\n{}  }}\n", function, record, batchGives);
    return text;
  }
  /// The private functions that give a record and make its result; after `write`.
  std::string helpers() {
    std::string value = read(flow.at("result"), hint, "i", 0);
    return giver + names + fmt::format("  static {} {}_at(const bigm::FlowHandle &f, int64_t i) {{ return {}; }}\n", result, function, value);
  }

private:
  std::string structOf(const json &type, const std::string &hint) {
    std::string fields;
    for (const json &field : type.at("fields")) {
      std::string fieldName = field.at(0);
      const json &inner = field.at(1);
      std::string made = typeOf(inner, hint + camel(fieldName));
      fields += fmt::format("    {} {}{}; // {}\n", made, identifier(fieldName),
                            isPlainNumber(made) ? " = 0" : "", described(inner));
    }
    if (defined.insert(hint).second)
      definitions += fmt::format("  struct {} {{\n{}  }};\n", hint, fields);
    return hint;
  }
  static std::string described(const json &type) {
    std::string kind = type.at("kind");
    if (kind != "tensor")
      return kind;
    std::string shape;
    for (auto &size : sizesOf(type))
      shape += (shape.empty() ? "" : ", ") + size;
    return type.at("dtype").get<std::string>() + (shape.empty() ? "" : "[" + shape + "]") +
           (type.contains("meaning") ? ", " + type["meaning"].get<std::string>() : "");
  }
  /// How many values a fixed shape has, those of a box or point counted as one; nothing where a size is open.
  struct Layout {
    std::string element; // "bigm::Point", "float"
    std::string count;   // empty: open; "1": one
    bool grouped = false;
  };
  Layout layoutOf(const json &type) const {
    std::vector<std::string> sizes = sizesOf(type);
    std::string meaning = type.value("meaning", "");
    Layout l{ctype(type.at("dtype")), "", meaning == "box" || meaning == "point"};
    if (l.grouped) {
      l.element = meaning == "box" ? "bigm::Box" : "bigm::Point";
      sizes.pop_back();
    }
    int64_t count = 1;
    for (auto &size : sizes) {
      if (!isNumber(size))
        return l;
      count *= std::stoll(size);
    }
    if (sizes.empty() || count <= 4096)
      l.count = sizes.empty() ? "1" : "x" + std::to_string(count);
    return l;
  }
  /// What an input that is no lone tensor is in C++: made of pictures, texts, numbers, and structs and vectors of them.
  std::string inputType(const json &type, const std::string &hint) {
    std::string kind = type.at("kind");
    if (kind == "image")
      return "bigm::Image";
    if (kind == "text")
      return "std::string";
    if (kind == "list" || kind == "optional")
      return fmt::format("std::{}<{}>", kind == "list" ? "vector" : "optional", inputType(type.at("element"), hint));
    if (kind == "record") {
      std::string fields;
      for (const json &field : type.at("fields")) {
        std::string made = inputType(field.at(1), hint + camel(field.at(0)));
        fields += fmt::format("    {} {}{}; // {}\n", made, identifier(field.at(0)), isPlainNumber(made) ? " = 0" : "", described(field.at(1)));
      }
      if (defined.insert(hint).second)
        definitions += fmt::format("  struct {} {{\n{}  }};\n", hint, fields);
      return hint;
    }
    Layout l = layoutOf(type);
    if (l.count.empty())
      return "std::vector<" + l.element + ">";
    return l.count == "1" ? (type.at("dtype") == "bool" ? "bool" : l.element) : fmt::format("std::array<{}, {}>", l.element, l.count.substr(1));
  }
  /// The statements that give the value `from` of such a type.
  std::string giveInput(const json &type, const std::string &path, const std::string &from, size_t indent, int depth) {
    std::string kind = type.at("kind"), space(indent, ' ');
    if (kind == "image" || kind == "text")
      return fmt::format("{}bigm_f.give({}, {});\n", space, literal(path), from);
    if (kind == "record") {
      std::string text;
      for (const json &field : type.at("fields")) {
        std::string name = field.at(0);
        text += giveInput(field.at(1), path + "." + name, from + "." + identifier(name), indent, depth);
      }
      return text;
    }
    if (kind == "list" || kind == "optional") {
      std::string element = fmt::format("e{}", depth), head = kind == "list" ? fmt::format("for (const auto &{} : {})", element, from) : fmt::format("if ({})", from);
      return fmt::format("{0}{1} {{\n{2}{0}  bigm_f.element({3});\n{0}}}\n", space, head,
                         giveInput(type.at("element"), path, kind == "list" ? element : "(*" + from + ")", indent + 2, depth + 1), literal(path));
    }
    std::string list;
    for (auto &size : sizesOf(type))
      list += (list.empty() ? "" : ", ") + size;
    if (list.empty())
      return fmt::format("{}bigm_f.give_plain({}, {}, nullptr, 0);\n", space, literal(path), from);
    // Sizes are numbers: the checker allows no others inside of lists.
    bool held = layoutOf(type).count.empty(); // in a vector
    return fmt::format("{0}{{\n{0}  const int64_t bigm_sizes[] = {{{1}}};\n{0}  bigm_f.{2};\n{0}}}\n", space, list,
                       held ? fmt::format("give({}, bigm::View<const {}>({}), bigm_sizes, {})", literal(path), layoutOf(type).element, from, sizesOf(type).size())
                            : fmt::format("give_plain({}, {}, bigm_sizes, {})", literal(path), from, sizesOf(type).size()));
  }
  static bool isPlainNumber(const std::string &made) { return made == "float" || made == "double" || made == "bool" || made.ends_with("_t"); }
  std::string typeOf(const json &type, const std::string &hint) {
    std::string kind = type.at("kind");
    if (kind == "record")
      return structOf(type, hint);
    if (kind == "list")
      return "std::vector<" + typeOf(type.at("element"), hint) + ">";
    if (kind == "optional")
      return "std::optional<" + typeOf(type.at("element"), hint) + ">";
    if (kind == "text")
      return "std::string";
    if (kind == "image")
      return "bigm::Picture";
    Layout l = layoutOf(type);
    if (l.count == "1") {
      if (type.contains("classes"))
        return "bigm::Label";
      return type.at("dtype") == "bool" ? "bool" : l.element;
    }
    return l.count.empty() ? "std::vector<" + l.element + ">" : "std::array<" + l.element + ", " + l.count.substr(1) + ">";
  }
  std::string read(const json &type, const std::string &hint, const std::string &row, int depth) {
    std::string kind = type.at("kind");
    if (kind == "record") {
      std::string values;
      for (const json &field : type.at("fields"))
        values += (values.empty() ? "" : ", ") + read(field.at(1), hint + camel(field.at(0)), row, depth);
      return hint + "{" + values + "}";
    }
    std::string slot = literal(type.at("slot"));
    if (kind == "list" || kind == "optional") {
      std::string inner = fmt::format("i{}", depth + 1);
      return fmt::format("f.{}({}, {}, [&](int64_t {}) {{ return {}; }})", kind, slot, row, inner, read(type.at("element"), hint, inner, depth + 1));
    }
    if (kind == "text")
      return fmt::format("f.text({}, {})", slot, row);
    if (kind == "image")
      return fmt::format("f.picture({}, {})", slot, row);
    Layout l = layoutOf(type);
    if (l.count == "1") {
      if (type.contains("classes"))
        return fmt::format("f.label({}, {}, {})", slot, row, namesOf(type, hint));
      if (type.at("dtype") == "bool")
        return fmt::format("f.boolean({}, {})", slot, row);
      return fmt::format(fmt::runtime(l.grouped ? "f.plain<{}>({}, {})" : "f.number<{}>({}, {})"), l.element, slot, row);
    }
    if (l.count.empty())
      return fmt::format(fmt::runtime(l.grouped ? "f.plains<{}>({}, {})" : "f.numbers<{}>({}, {})"), l.element, slot, row);
    return fmt::format("f.fixed<{}, {}>({}, {})", l.element, l.count.substr(1), slot, row);
  }
  std::string namesOf(const json &type, const std::string &hint) {
    auto labels = type.value("labels", std::vector<std::string>{});
    if (labels.empty())
      return "bigm::View<const std::string_view>(nullptr, 0)";
    std::string list;
    for (auto &label : labels)
      list += (list.empty() ? "" : ", ") + literal(label);
    names += fmt::format("  static constexpr std::string_view {}Names[] = {{{}}};\n", hint, list);
    return fmt::format("bigm::View<const std::string_view>({}Names, {})", hint, labels.size());
  }

  const json &flow;
  std::string name, function, stem, definitions, names, giver;
  std::string hint, result; // what the outermost struct is called, and the C++ type of a record's result
  std::set<std::string> defined;
};

} // namespace

FlowText flowText(const json &manifest) {
  FlowText out;
  for (const json &flow : manifest.value("flows", json::array())) {
    FlowWriter writer(flow);
    out.functions += writer.write() + "\n";
    out.readers += writer.helpers();
  }
  return out;
}

} // namespace bigm::artifact
