#include "checkpoint/internal/pickle_writer.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include "checkpoint/internal/torch_types.h"
#include "core/byte_order.h"

namespace stoker::checkpoint {
namespace {

using core::AppendLe;
using Tensors = std::span<const TensorSpec>;

// CPython closes a batch of dict entries after so many.
constexpr std::size_t kBatch = 1000;

class Pickler {
 public:
  // The whole stream.
  std::string Run(Tensors tensors) {
    out_ = "\x80\x02";
    std::size_t entries = 0;
    for (std::size_t i = 0; i < tensors.size(); ++entries) {
      i += RunLength(tensors.subspan(i));
    }
    BeginDict();
    for (std::size_t entry = 0; !tensors.empty(); ++entry) {
      BeginEntry(entry, entries);
      const std::size_t length = RunLength(tensors);
      if (tensors.front().group.empty()) {
        Text(tensors.front().key);
        Tensor(tensors.front());
      } else {
        Text(tensors.front().group);
        Group(tensors.first(length));
      }
      EndEntry(entry, entries);
      tensors = tensors.subspan(length);
    }
    out_ += '.';
    return std::move(out_);
  }

 private:
  // Tensors that make one entry of the outer dict.
  static std::size_t RunLength(Tensors tensors) {
    const std::string& group = tensors.front().group;
    if (group.empty()) {
      return 1;
    }
    const auto end = std::ranges::find_if(
        tensors,
        [&](const TensorSpec& tensor) { return tensor.group != group; });
    return static_cast<std::size_t>(end - tensors.begin());
  }

  void Group(Tensors tensors) {
    BeginDict();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      BeginEntry(i, tensors.size());
      Text(tensors[i].key);
      Tensor(tensors[i]);
      EndEntry(i, tensors.size());
    }
  }

  void BeginDict() {
    out_ += '}';
    Put();
  }

  void BeginEntry(std::size_t entry, std::size_t entries) {
    if (entries > 1 && entry % kBatch == 0) {
      out_ += '(';
    }
  }

  void EndEntry(std::size_t entry, std::size_t entries) {
    const std::size_t done = entry + 1;
    if (entries == 1) {
      out_ += 's';
    } else if (done % kBatch == 0 || done == entries) {
      out_ += 'u';
      // After a full batch CPython opens the next one without looking.
      out_ += done % kBatch == 0 && done == entries ? "(u" : "";
    }
  }

  void Tensor(const TensorSpec& tensor) {
    Global("torch._utils\n_rebuild_tensor_v2\n");
    out_ += "((";
    Shared("storage");
    Global("torch\n" + std::string(StorageClassOf(tensor.type)) + "\n");
    Text(std::to_string(storages_++));
    Shared("cpu");
    Integer(tensor.elements);
    out_ += 't';
    Put();
    out_ += 'Q';
    Integer(0);  // offset within the storage
    Integer(tensor.elements);
    out_ += '\x85';
    Put();
    Integer(1);  // stride
    out_ += '\x85';
    Put();
    out_ += '\x89';  // requires no gradient
    Global("collections\nOrderedDict\n");
    out_ += ")R";
    Put();
    out_ += 't';
    Put();
    out_ += 'R';
    Put();
  }

  void Text(std::string_view text) {
    out_ += 'X';
    AppendLe(out_, static_cast<std::uint32_t>(text.size()));
    out_ += text;
    Put();
  }

  // As Text where it is met first, later a reference.
  void Shared(const std::string& text) {
    if (const auto found = texts_.find(text); found != texts_.end()) {
      Get(found->second);
      return;
    }
    texts_[text] = puts_;
    Text(text);
  }

  // `name` is the module and the name, each with a newline.
  void Global(const std::string& name) {
    if (const auto found = globals_.find(name); found != globals_.end()) {
      Get(found->second);
      return;
    }
    globals_[name] = puts_;
    out_ += 'c';
    out_ += name;
    Put();
  }

  void Integer(std::uint64_t value) {
    if (value < 0x100) {
      out_ += 'K';
      out_ += static_cast<char>(value);
    } else if (value < 0x10000) {
      out_ += 'M';
      AppendLe(out_, static_cast<std::uint16_t>(value));
    } else if (value < 0x80000000) {
      out_ += 'J';
      AppendLe(out_, static_cast<std::uint32_t>(value));
    } else {
      // Two's complement: the top bit of the last byte is the sign.
      const int bytes = static_cast<int>(std::bit_width(value)) / 8 + 1;
      out_ += '\x8a';
      out_ += static_cast<char>(bytes);
      for (int i = 0; i < bytes; ++i) {
        out_ += static_cast<char>(i < 8 ? value >> (8 * i) & 0xFF : 0);
      }
    }
  }

  void Put() { Reference('q', 'r', puts_++); }
  void Get(std::uint32_t index) { Reference('h', 'j', index); }

  void Reference(char narrow, char wide, std::uint32_t index) {
    if (index < 256) {
      out_ += narrow;
      out_ += static_cast<char>(index);
    } else {
      out_ += wide;
      AppendLe(out_, index);
    }
  }

  std::string out_;
  std::uint32_t puts_ = 0;
  std::uint64_t storages_ = 0;
  std::map<std::string, std::uint32_t> texts_;
  std::map<std::string, std::uint32_t> globals_;
};

}  // namespace

std::string PickleOf(std::span<const TensorSpec> tensors) {
  return Pickler().Run(tensors);
}

}  // namespace stoker::checkpoint
