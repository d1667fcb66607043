#include "checkpoint/internal/pickle_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "checkpoint/internal/pickle_machine.h"
#include "checkpoint/internal/torch_types.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using core::Status;
using pickle::Graph;
using pickle::Id;
using pickle::Node;

// What a memo could make of a few bytes stays within these.
constexpr std::size_t kMaxDepth = 32;
constexpr std::uint64_t kMaxVisits = 1U << 23;
constexpr std::uint64_t kMaxNameBytes = 64U << 20;  // of all tensors together
constexpr std::uint64_t kMaxElements = 1ULL << 60;

class Collector {
 public:
  explicit Collector(const Graph& graph) : graph_(graph) {}

  core::Result<std::vector<PickledTensor>> Run() {
    STOKER_TRY(Visit(graph_.root));
    return std::move(tensors_);
  }

 private:
  // A key of a dict or a position in a list.
  struct Step {
    std::string_view text;
    std::int64_t number = 0;
    bool is_text = false;

    std::string Text() const {
      return is_text ? std::string(text) : std::to_string(number);
    }
  };

  Status Visit(Id id) {
    const Node& node = graph_.nodes[id];
    if (path_.size() > kMaxDepth) {
      return {Code::kUnsupported,
              fmt::format("values are nested more than {} deep", kMaxDepth)};
    }
    if (++visits_ > kMaxVisits) {
      return {Code::kUnsupported,
              fmt::format("there are more than {} values", kMaxVisits)};
    }
    switch (node.kind) {
      case Node::Kind::kTensor:
        return TakeTensor(node);
      case Node::Kind::kDict:
        for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
          STOKER_ASSIGN(const Step key, KeyOf(graph_.nodes[node.children[i]]));
          STOKER_TRY(VisitAt(key, node.children[i + 1]));
        }
        return {};
      case Node::Kind::kList:
      case Node::Kind::kTuple:
        for (std::size_t i = 0; i < node.children.size(); ++i) {
          STOKER_TRY(
              VisitAt({.text = {}, .number = static_cast<std::int64_t>(i)},
                      node.children[i]));
        }
        return {};
      default:
        return {};
    }
  }

  Status VisitAt(const Step& step, Id id) {
    path_.push_back(step);
    const Status status = Visit(id);
    path_.pop_back();
    return status;
  }

  static core::Result<Step> KeyOf(const Node& node) {
    if (node.kind == Node::Kind::kText) {
      return Step{.text = node.text, .number = 0, .is_text = true};
    }
    if (node.kind == Node::Kind::kInteger) {
      return Step{.text = {}, .number = node.number};
    }
    return Status(Code::kUnsupported,
                  "a dict has keys other than text and integers");
  }

  std::string Joined(std::size_t steps) const {
    std::string text;
    for (std::size_t i = 0; i < steps; ++i) {
      text += (i > 0 ? "." : "") + path_[i].Text();
    }
    return text;
  }

  Status TakeTensor(const Node& node) {
    const Node& storage = graph_.nodes[node.children[0]];
    PickledTensor tensor;
    tensor.storage = graph_.nodes[storage.children[1]].text;
    if (!path_.empty()) {
      tensor.spec.group = Joined(path_.size() - 1);
      tensor.spec.key = path_.back().Text();
    }
    name_bytes_ += tensor.spec.group.size() + tensor.spec.key.size() +
                   tensor.storage.size();
    if (name_bytes_ > kMaxNameBytes) {
      return {Code::kUnsupported,
              fmt::format("the tensors' names have more than {} bytes",
                          kMaxNameBytes)};
    }
    const std::int64_t elements = graph_.nodes[storage.children[2]].number;
    const std::int64_t first = graph_.nodes[node.children[1]].number;
    tensor.spec.type =
        TypeOfStorageClass(graph_.nodes[storage.children[0]].text)
            .value_or(DataType::kFp16);
    STOKER_ASSIGN(tensor.spec.elements,
                  CountElements(graph_.nodes[node.children[2]],
                                graph_.nodes[node.children[3]]));
    if (elements < 0 || first < 0 ||
        static_cast<std::uint64_t>(elements) > kMaxElements ||
        static_cast<std::uint64_t>(first) > kMaxElements ||
        static_cast<std::uint64_t>(first) + tensor.spec.elements >
            static_cast<std::uint64_t>(elements)) {
      return {Code::kCorruption,
              fmt::format("tensor '{}': expected {} elements from {} within "
                          "its storage of {}",
                          Joined(path_.size()), tensor.spec.elements, first,
                          elements)};
    }
    tensor.storage_elements = static_cast<std::uint64_t>(elements);
    tensor.first_element = static_cast<std::uint64_t>(first);
    tensors_.push_back(std::move(tensor));
    return {};
  }

  // The product of the shape, if the elements follow each other in memory.
  core::Result<std::uint64_t> CountElements(const Node& shape,
                                            const Node& strides) const {
    const Status bad(Code::kCorruption,
                     fmt::format("tensor '{}': shape and strides do not fit "
                                 "together",
                                 Joined(path_.size())));
    if (shape.children.size() != strides.children.size() ||
        shape.children.size() > kMaxDepth) {
      return bad;
    }
    std::uint64_t elements = 1;
    bool contiguous = true;
    bool empty = false;
    for (std::size_t i = shape.children.size(); i-- > 0;) {
      const Node& length = graph_.nodes[shape.children[i]];
      const Node& stride = graph_.nodes[strides.children[i]];
      if (length.kind != Node::Kind::kInteger ||
          stride.kind != Node::Kind::kInteger || length.number < 0) {
        return bad;
      }
      const auto count = static_cast<std::uint64_t>(length.number);
      empty = empty || count == 0;
      contiguous =
          contiguous && (count <= 1 || std::cmp_equal(stride.number, elements));
      if (__builtin_mul_overflow(elements, std::max<std::uint64_t>(count, 1),
                                 &elements) ||
          elements > kMaxElements) {
        return bad;
      }
    }
    if (empty) {
      return std::uint64_t{0};
    }
    if (!contiguous) {
      return Status(Code::kUnsupported,
                    fmt::format("tensor '{}' is not contiguous: save it with "
                                ".contiguous()",
                                Joined(path_.size())));
    }
    return elements;
  }

  const Graph& graph_;
  std::vector<Step> path_;
  std::vector<PickledTensor> tensors_;
  std::uint64_t visits_ = 0;
  std::uint64_t name_bytes_ = 0;
};

}  // namespace

core::Result<std::vector<PickledTensor>> ReadPickle(
    std::span<const std::byte> pickle) {
  STOKER_ASSIGN(const Graph graph, pickle::Run(pickle));
  return Collector(graph).Run();
}

}  // namespace stoker::checkpoint
