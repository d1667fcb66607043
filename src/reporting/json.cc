#include "reporting/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.h"

namespace stoker::reporting {
namespace {

using Tree = nlohmann::ordered_json;

Tree ToTree(const Json& value);

struct Converter {
  Tree operator()(const Json::Array& items) const {
    Tree tree = Tree::array();
    for (const Json& item : items) tree.push_back(ToTree(item));
    return tree;
  }
  Tree operator()(const Json::Object& fields) const {
    Tree tree = Tree::object();
    for (const auto& [key, field] : fields)
      tree.get_ref<Tree::object_t&>().emplace_back(key, ToTree(field));
    return tree;
  }
  Tree operator()(double number) const {
    return std::isfinite(number) ? Tree(number) : Tree(nullptr);
  }
  Tree operator()(const auto& plain) const { return Tree(plain); }
};

Tree ToTree(const Json& value) {
  return std::visit(Converter{}, value.value());
}

Json FromTree(const Tree& tree) {
  if (tree.is_boolean()) return tree.get<bool>();
  if (tree.is_number_unsigned()) return tree.get<std::uint64_t>();
  if (tree.is_number_integer()) return tree.get<std::int64_t>();
  if (tree.is_number()) return tree.get<double>();
  if (tree.is_string()) return tree.get<std::string>();
  if (tree.is_array()) {
    Json::Array items;
    for (const Tree& item : tree) items.push_back(FromTree(item));
    return items;
  }
  if (tree.is_object()) {
    Json::Object fields;
    for (const auto& [key, field] : tree.items())
      fields.emplace_back(key, FromTree(field));
    return fields;
  }
  return {};
}

template <class T>
std::optional<T> FieldOf(const Json& object, std::string_view key) {
  const Json* field = object.Find(key);
  const auto* value =
      field == nullptr ? nullptr : std::get_if<T>(&field->value());
  return value == nullptr ? std::nullopt : std::optional<T>(*value);
}

}  // namespace

Json& Json::Add(std::string key, Json value) {
  auto* fields = std::get_if<Object>(&value_);
  STOKER_CHECK(fields != nullptr);
  fields->emplace_back(std::move(key), std::move(value));
  return *this;
}

void Json::Set(std::string_view key, Json value) {
  auto* fields = std::get_if<Object>(&value_);
  STOKER_CHECK(fields != nullptr);
  const auto found =
      std::ranges::find(*fields, key, &Object::value_type::first);
  if (found != fields->end()) {
    found->second = std::move(value);
  } else {
    fields->emplace_back(key, std::move(value));
  }
}

const Json* Json::Find(std::string_view key) const {
  const auto* fields = std::get_if<Object>(&value_);
  if (fields == nullptr) return nullptr;
  const auto found =
      std::ranges::find(*fields, key, &Object::value_type::first);
  return found == fields->end() ? nullptr : &found->second;
}

std::string DumpJson(const Json& value, int indent) {
  return ToTree(value).dump(indent, ' ', false, Tree::error_handler_t::replace);
}

core::Result<Json> ParseJson(std::string_view text) {
  const Tree tree = Tree::parse(text, nullptr, false);
  if (tree.is_discarded())
    return core::Status(core::Code::kCorruption, "not valid JSON");
  return FromTree(tree);
}

std::string TextField(const Json& object, std::string_view key) {
  return FieldOf<std::string>(object, key).value_or(std::string());
}

std::optional<bool> BoolField(const Json& object, std::string_view key) {
  return FieldOf<bool>(object, key);
}

std::optional<std::int64_t> WholeField(const Json& object,
                                       std::string_view key) {
  if (const auto number = FieldOf<std::uint64_t>(object, key)) {
    return static_cast<std::int64_t>(*number);
  }
  return FieldOf<std::int64_t>(object, key);
}

std::optional<double> NumberField(const Json& object, std::string_view key) {
  if (const auto number = WholeField(object, key)) {
    return static_cast<double>(*number);
  }
  return FieldOf<double>(object, key);
}

Json FromYamlText(std::string_view text) {
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'') {
    std::string inside;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
      inside += text[i];
      if (text[i] == '\'') ++i;  // '' stands for one
    }
    return inside;
  }
  const core::Result<Json> parsed = ParseJson(text);
  return parsed.ok() ? parsed.value() : Json(text);
}

Json NestDotted(const std::vector<std::pair<std::string, Json>>& flat) {
  Json root = Json::MakeObject();
  for (const auto& [key, value] : flat) {
    const std::size_t dot = key.find('.');
    if (dot == std::string::npos) {
      root.Set(key, value);
      continue;
    }
    const std::string section = key.substr(0, dot);
    if (root.Find(section) != nullptr) continue;  // done with its first key
    const std::string prefix = section + '.';
    std::vector<std::pair<std::string, Json>> inner;
    for (const auto& [other, other_value] : flat) {
      if (other.starts_with(prefix))
        inner.emplace_back(other.substr(prefix.size()), other_value);
    }
    root.Set(section, NestDotted(inner));
  }
  return root;
}

}  // namespace stoker::reporting
