#include "checkpoint/internal/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "checkpoint/internal/pickle_stack.h"
#include "checkpoint/internal/torch_types.h"
#include "core/byte_order.h"

namespace stoker::checkpoint::pickle {
namespace {

using core::Code;
using core::LoadLe;
using core::Status;
using Kind = Node::Kind;

constexpr int kLowestProtocol = 2;
constexpr int kHighestProtocol = 5;
// A tensor takes 14 nodes.
constexpr std::size_t kMaxNodes = 1U << 22;
constexpr std::size_t kMaxArguments = 16;

struct GlobalRow {
  std::string_view module;
  std::string_view name;
  Global global;
};
constexpr std::array kGlobals{
    GlobalRow{"collections", "OrderedDict", Global::kOrderedDict},
    GlobalRow{"torch._utils", "_rebuild_tensor_v2", Global::kRebuildTensor},
    GlobalRow{"torch._utils", "_rebuild_parameter", Global::kRebuildParameter},
    GlobalRow{"torch", "Size", Global::kSize},
    GlobalRow{"torch", "int8", Global::kPlain},
    GlobalRow{"torch", "uint8", Global::kPlain},
    GlobalRow{"torch", "int16", Global::kPlain},
    GlobalRow{"torch", "int32", Global::kPlain},
    GlobalRow{"torch", "int64", Global::kPlain},
    GlobalRow{"torch", "bool", Global::kPlain},
    GlobalRow{"torch", "float16", Global::kPlain},
    GlobalRow{"torch", "bfloat16", Global::kPlain},
    GlobalRow{"torch", "float32", Global::kPlain},
    GlobalRow{"torch", "float64", Global::kPlain},
};

std::optional<Global> FindGlobal(std::string_view module,
                                 std::string_view name) {
  for (const GlobalRow& row : kGlobals) {
    if (row.module == module && row.name == name) {
      return row.global;
    }
  }
  if (module == "torch" && TypeOfStorageClass(name)) {
    return Global::kStorage;
  }
  return std::nullopt;
}

Status Unsupported(std::string_view what) {
  return {Code::kUnsupported, std::string(what)};
}

class Machine {
 public:
  explicit Machine(Bytes pickle) : pickle_(pickle) {}

  core::Result<Graph> Run() {
    while (!stopped_) {
      const std::size_t at = next_;
      if (const Status status = Advance(); !status.ok()) {
        return status.WithContext(fmt::format("pickle at {}", at));
      }
    }
    return std::move(stack_).Release(root_);
  }

 private:
  Status Advance() {
    STOKER_ASSIGN(const std::uint8_t op, Unsigned<std::uint8_t>());
    STOKER_ASSIGN(const bool known, Step(static_cast<char>(op)));
    if (stack_.nodes() > kMaxNodes) {
      return Unsupported(fmt::format("more than {} values", kMaxNodes));
    }
    return known ? Status()
                 : Unsupported(fmt::format(
                       "the pickle operation {:#04x} is not read", op));
  }

  // Each takes an operation if it is one of its own; false: it is not.
  core::Result<bool> Step(char op) {
    for (const auto take :
         {&Machine::TakeNumber, &Machine::TakeText, &Machine::TakeContainer,
          &Machine::TakeItems, &Machine::TakeMemo, &Machine::TakeObject,
          &Machine::TakeControl}) {
      STOKER_ASSIGN(const bool taken, (this->*take)(op));
      if (taken) {
        return true;
      }
    }
    return false;
  }

  core::Result<bool> TakeControl(char op) {
    switch (op) {
      case '\x80': {  // PROTO
        STOKER_ASSIGN(const int version, Unsigned<std::uint8_t>());
        if (version < kLowestProtocol || version > kHighestProtocol) {
          return Unsupported(
              fmt::format("pickle protocol {}: {} to {} are read", version,
                          kLowestProtocol, kHighestProtocol));
        }
        return true;
      }
      case '\x95':  // FRAME: its length only helps streams
        STOKER_TRY(Take(8).status());
        return true;
      case '(':  // MARK
        stack_.Mark();
        return true;
      case '0':  // POP
        STOKER_TRY(stack_.Pop().status());
        return true;
      case '1':  // POP_MARK
        STOKER_TRY(stack_.PopToMark().status());
        return true;
      case '2': {  // DUP
        STOKER_ASSIGN(const Id top, stack_.Top());
        stack_.PushAgain(top);
        return true;
      }
      case '.': {  // STOP
        STOKER_ASSIGN(root_, stack_.Pop());
        stopped_ = true;
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeNumber(char op) {
    switch (op) {
      case 'N':     // NONE
      case '\x88':  // NEWTRUE
      case '\x89':  // NEWFALSE
        stack_.PushPlain();
        return true;
      case 'G':  // BINFLOAT
        STOKER_TRY(Take(8).status());
        stack_.PushPlain();
        return true;
      case 'K': {  // BININT1
        STOKER_ASSIGN(const auto value, Unsigned<std::uint8_t>());
        stack_.PushInteger(value);
        return true;
      }
      case 'M': {  // BININT2
        STOKER_ASSIGN(const auto value, Unsigned<std::uint16_t>());
        stack_.PushInteger(value);
        return true;
      }
      case 'J': {  // BININT
        STOKER_ASSIGN(const auto value, Unsigned<std::uint32_t>());
        stack_.PushInteger(static_cast<std::int32_t>(value));
        return true;
      }
      case '\x8a': {  // LONG1
        STOKER_ASSIGN(const auto length, Unsigned<std::uint8_t>());
        STOKER_ASSIGN(const Bytes bytes, Take(length));
        PushLong(bytes);
        return true;
      }
      case '\x8b': {  // LONG4
        STOKER_ASSIGN(const auto length, Unsigned<std::uint32_t>());
        STOKER_ASSIGN(const Bytes bytes, Take(length));
        PushLong(bytes);
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeText(char op) {
    switch (op) {
      case 'X':    // BINUNICODE
      case 'T': {  // BINSTRING, of Python 2
        STOKER_ASSIGN(const auto length, Unsigned<std::uint32_t>());
        STOKER_TRY(PushText(length));
        return true;
      }
      case '\x8c':  // SHORT_BINUNICODE
      case 'U': {   // SHORT_BINSTRING, of Python 2
        STOKER_ASSIGN(const auto length, Unsigned<std::uint8_t>());
        STOKER_TRY(PushText(length));
        return true;
      }
      case '\x8d': {  // BINUNICODE8
        STOKER_ASSIGN(const auto length, Unsigned<std::uint64_t>());
        STOKER_TRY(PushText(length));
        return true;
      }
      case 'B': {  // BINBYTES
        STOKER_ASSIGN(const auto length, Unsigned<std::uint32_t>());
        STOKER_TRY(Take(length).status());
        stack_.PushPlain();
        return true;
      }
      case 'C': {  // SHORT_BINBYTES
        STOKER_ASSIGN(const auto length, Unsigned<std::uint8_t>());
        STOKER_TRY(Take(length).status());
        stack_.PushPlain();
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeContainer(char op) {
    switch (op) {
      case '}':  // EMPTY_DICT
        PushContainer(Kind::kDict);
        return true;
      case ']':  // EMPTY_LIST
        PushContainer(Kind::kList);
        return true;
      case ')':  // EMPTY_TUPLE
        PushContainer(Kind::kTuple);
        return true;
      case '\x85':  // TUPLE1
      case '\x86':  // TUPLE2
      case '\x87':  // TUPLE3
        STOKER_TRY(stack_.PushTuple(static_cast<std::size_t>(op - '\x85') + 1));
        return true;
      case 't':    // TUPLE
      case 'l':    // LIST
      case 'd': {  // DICT
        STOKER_ASSIGN(std::vector<Id> items, stack_.PopToMark());
        const Kind kind = op == 't'   ? Kind::kTuple
                          : op == 'l' ? Kind::kList
                                      : Kind::kDict;
        if (kind == Kind::kDict && items.size() % 2 != 0) {
          return Corrupt("expected pairs of key and value");
        }
        PushContainer(kind, std::move(items));
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeItems(char op) {
    switch (op) {
      case 'a': {  // APPEND
        STOKER_ASSIGN(const Id item, stack_.Pop());
        STOKER_TRY(stack_.Extend(Kind::kList, {item}));
        return true;
      }
      case 'e': {  // APPENDS
        STOKER_ASSIGN(const std::vector<Id> items, stack_.PopToMark());
        STOKER_TRY(stack_.Extend(Kind::kList, items));
        return true;
      }
      case 's': {  // SETITEM
        STOKER_ASSIGN(const Id value, stack_.Pop());
        STOKER_ASSIGN(const Id key, stack_.Pop());
        STOKER_TRY(stack_.Extend(Kind::kDict, {key, value}));
        return true;
      }
      case 'u': {  // SETITEMS
        STOKER_ASSIGN(const std::vector<Id> items, stack_.PopToMark());
        STOKER_TRY(stack_.Extend(Kind::kDict, items));
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeMemo(char op) {
    switch (op) {
      case 'q': {  // BINPUT
        STOKER_ASSIGN(const auto index, Unsigned<std::uint8_t>());
        STOKER_TRY(stack_.Remember(index));
        return true;
      }
      case 'r': {  // LONG_BINPUT
        STOKER_ASSIGN(const auto index, Unsigned<std::uint32_t>());
        STOKER_TRY(stack_.Remember(index));
        return true;
      }
      case '\x94':  // MEMOIZE
        STOKER_TRY(stack_.RememberNext());
        return true;
      case 'h': {  // BINGET
        STOKER_ASSIGN(const auto index, Unsigned<std::uint8_t>());
        STOKER_TRY(stack_.Recall(index));
        return true;
      }
      case 'j': {  // LONG_BINGET
        STOKER_ASSIGN(const auto index, Unsigned<std::uint32_t>());
        STOKER_TRY(stack_.Recall(index));
        return true;
      }
      default:
        return false;
    }
  }

  core::Result<bool> TakeObject(char op) {
    switch (op) {
      case 'c': {  // GLOBAL
        STOKER_ASSIGN(const std::string_view module, Line());
        STOKER_ASSIGN(const std::string_view name, Line());
        STOKER_TRY(PushGlobal(module, name));
        return true;
      }
      case '\x93': {  // STACK_GLOBAL
        STOKER_ASSIGN(const Id name, stack_.Pop());
        STOKER_ASSIGN(const Id module, stack_.Pop());
        STOKER_TRY(stack_.Expect(module, Kind::kText));
        STOKER_TRY(stack_.Expect(name, Kind::kText));
        STOKER_TRY(
            PushGlobal(stack_.NodeOf(module).text, stack_.NodeOf(name).text));
        return true;
      }
      case 'Q': {  // BINPERSID
        STOKER_ASSIGN(const Id id, stack_.Pop());
        STOKER_TRY(PushStorage(id));
        return true;
      }
      case 'R': {  // REDUCE
        STOKER_ASSIGN(const Id arguments, stack_.Pop());
        STOKER_ASSIGN(const Id callable, stack_.Pop());
        STOKER_TRY(stack_.Expect(callable, Kind::kGlobal));
        STOKER_TRY(stack_.Expect(arguments, Kind::kTuple));
        STOKER_TRY(Call(callable, arguments));
        return true;
      }
      case 'b': {  // BUILD: attributes, of no interest
        STOKER_TRY(stack_.Pop().status());
        STOKER_ASSIGN(const Id object, stack_.Top());
        STOKER_TRY(stack_.Expect(object, Kind::kDict));
        return true;
      }
      default:
        return false;
    }
  }

  Status Call(Id callable, Id tuple) {
    if (stack_.NodeOf(tuple).children.size() > kMaxArguments) {
      return Unsupported("a call with so many arguments is not read");
    }
    // A copy: nodes move as they grow in number.
    std::vector<Id> arguments = stack_.NodeOf(tuple).children;
    switch (stack_.NodeOf(callable).global) {
      case Global::kOrderedDict:
        if (!arguments.empty()) {
          return Unsupported("an OrderedDict with arguments is not read");
        }
        PushContainer(Kind::kDict);
        return {};
      case Global::kSize:
        STOKER_TRY(stack_.Expect(arguments, {Kind::kTuple}));
        stack_.PushAgain(arguments.front());
        return {};
      case Global::kRebuildParameter:
        STOKER_TRY(stack_.Expect(arguments, {Kind::kTensor}));
        stack_.PushAgain(arguments.front());
        return {};
      case Global::kRebuildTensor:
        STOKER_TRY(stack_.Expect(arguments, {Kind::kStorage, Kind::kInteger,
                                             Kind::kTuple, Kind::kTuple}));
        arguments.resize(4);  // gradients and hooks are of no interest
        PushContainer(Kind::kTensor, std::move(arguments));
        return {};
      case Global::kStorage:
      case Global::kPlain:
        break;
    }
    return Unsupported("a call of a torch type is not read");
  }

  // ("storage", class, key, device, elements)
  Status PushStorage(Id id) {
    STOKER_TRY(stack_.Expect(id, Kind::kTuple));
    if (stack_.NodeOf(id).children.size() != 5) {
      return Corrupt("expected the persistent id of a storage");
    }
    const std::vector<Id> parts = stack_.NodeOf(id).children;
    STOKER_TRY(stack_.Expect(parts, {Kind::kText, Kind::kGlobal, Kind::kText,
                                     Kind::kText, Kind::kInteger}));
    if (stack_.NodeOf(parts[0]).text != "storage" ||
        stack_.NodeOf(parts[1]).global != Global::kStorage) {
      return Corrupt("expected the persistent id of a storage");
    }
    PushContainer(Kind::kStorage, {parts[1], parts[2], parts[4]});
    return {};
  }

  Status PushGlobal(std::string_view module, std::string_view name) {
    const std::optional<Global> global = FindGlobal(module, name);
    if (!global) {
      return Unsupported(fmt::format(
          "{}.{} is not read; only tensors of int8, uint8, fp16, bf16, fp32 "
          "and fp64 in dicts, lists and tuples are",
          module, name));
    }
    Node node;
    node.kind = Kind::kGlobal;
    node.global = *global;
    node.text = name;
    stack_.Push(std::move(node));
    return {};
  }

  // Two's complement of any length.
  void PushLong(Bytes bytes) {
    if (bytes.size() > 9 || (bytes.size() == 9 && bytes[8] != std::byte{0})) {
      stack_.PushPlain();
      return;
    }
    const bool negative =
        !bytes.empty() && std::to_integer<int>(bytes.back()) >= 0x80;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = std::min<std::size_t>(bytes.size(), 8); i-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    }
    if (!negative && value > static_cast<std::uint64_t>(
                                 std::numeric_limits<std::int64_t>::max())) {
      stack_.PushPlain();
      return;
    }
    stack_.PushInteger(static_cast<std::int64_t>(value));
  }

  Status PushText(std::uint64_t length) {
    STOKER_ASSIGN(const Bytes bytes, Take(length));
    Node node;
    node.kind = Kind::kText;
    node.text = core::AsText(bytes);
    stack_.Push(std::move(node));
    return {};
  }

  void PushContainer(Kind kind, std::vector<Id> children = {}) {
    Node node;
    node.kind = kind;
    node.children = std::move(children);
    stack_.Push(std::move(node));
  }

  core::Result<Bytes> Take(std::uint64_t length) {
    if (length > pickle_.size() - next_) {
      return Corrupt(fmt::format("expected {} more bytes, found {}", length,
                                 pickle_.size() - next_));
    }
    const Bytes bytes = pickle_.subspan(next_, length);
    next_ += length;
    return bytes;
  }

  template <std::unsigned_integral T>
  core::Result<T> Unsigned() {
    STOKER_ASSIGN(const Bytes bytes, Take(sizeof(T)));
    return LoadLe<T>(bytes, 0);
  }

  core::Result<std::string_view> Line() {
    const std::string_view rest = core::AsText(pickle_.subspan(next_));
    const std::size_t length = rest.find('\n');
    if (length == std::string_view::npos) {
      return Corrupt("expected a line");
    }
    next_ += length + 1;
    return rest.substr(0, length);
  }

  Bytes pickle_;
  std::size_t next_ = 0;
  bool stopped_ = false;
  Id root_ = 0;
  Stack stack_;
};

}  // namespace

core::Result<Graph> Run(Bytes pickle) { return Machine(pickle).Run(); }

}  // namespace stoker::checkpoint::pickle
