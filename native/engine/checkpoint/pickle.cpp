#include "engine/checkpoint/pickle.h"

#include "engine/base/error.h"
#include "engine/checkpoint/pickle-names.h"
#include "engine/checkpoint/tensor-source.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

namespace assay {

namespace {

// A tensor costs about 25 nodes and 300 bytes, so these are models of more than a hundred thousand tensors. Without
// them a file of one-byte opcodes would cost fifty times its own size in memory.
constexpr std::size_t kMostNodes = 4'000'000;
constexpr std::size_t kMostOpcodes = 64'000'000;
// A list may be made into dictionaries any number of times, so what they hold is counted too.
constexpr std::size_t kMostMembers = 8'000'000;
constexpr std::size_t kLongestName = 256;

// Every pickle makes these first, so that one-byte opcodes make nothing.
constexpr std::uint32_t kNoneNode = 0;
constexpr std::uint32_t kFalseNode = 1;
constexpr std::uint32_t kTrueNode = 2;
constexpr std::uint32_t kEmptyTupleNode = 3;
constexpr std::uint32_t kFloatNode = 4;

} // namespace

PickleReader::PickleReader(std::span<const std::byte> bytes, std::string source)
    : bytes_(bytes), source_(std::move(source)) {
  make({.kind = PickleKind::kNone, .text = {}, .items = {}});
  make({.kind = PickleKind::kBoolean, .integer = 0, .text = {}, .items = {}});
  make({.kind = PickleKind::kBoolean, .integer = 1, .text = {}, .items = {}});
  make({.kind = PickleKind::kTuple, .text = {}, .items = {}});
  make({.kind = PickleKind::kFloat, .text = {}, .items = {}});
}

void PickleReader::damaged(const std::string& what) const {
  throw Error("PYTORCH_DAMAGED",
              "Cannot read " + source_ + ": at byte " + std::to_string(opcode_at_) + " of its pickle " + what + ".");
}

void PickleReader::not_allowed(const std::string& what) const {
  throw Error("PICKLE_NOT_ALLOWED", "Will not read " + source_ + ": its pickle " + what +
                                        ", and only tensors in dictionaries are read from pickles; where you trust "
                                        "the file, convert it to safetensors with PyTorch.");
}

std::span<const std::byte> PickleReader::take(std::uint64_t size) {
  if (size > bytes_.size() - at_) {
    damaged("the file ends inside a value; it was cut");
  }
  const std::span<const std::byte> taken = bytes_.subspan(at_, static_cast<std::size_t>(size));
  at_ += taken.size();
  return taken;
}

std::uint64_t PickleReader::take_unsigned(unsigned size) {
  const std::span<const std::byte> taken = take(size);
  std::uint64_t value = 0;
  for (unsigned index = size; index-- > 0;) {
    value = (value << 8) | std::to_integer<std::uint64_t>(taken[index]);
  }
  return value;
}

std::string_view PickleReader::take_text(std::uint64_t size) {
  const std::span<const std::byte> taken = take(size);
  return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

std::string_view PickleReader::take_line() {
  const std::size_t limit = std::min(bytes_.size() - at_, kLongestName);
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, limit);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) {
    damaged("a name has no end");
  }
  at_ += end + 1;
  return rest.substr(0, end);
}

std::uint32_t PickleReader::make(PickleNode node) {
  if (nodes_.size() >= kMostNodes) {
    damaged("there are more than " + std::to_string(kMostNodes) + " values, more than any model has");
  }
  nodes_.push_back(std::move(node));
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

// What lies under the last mark belongs to whoever set the mark.
std::uint32_t PickleReader::pop() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) {
    damaged("a value is taken from an empty stack");
  }
  const std::uint32_t index = stack_.back();
  stack_.pop_back();
  return index;
}

std::uint32_t PickleReader::top() const {
  if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) {
    damaged("a value is taken from an empty stack");
  }
  return stack_.back();
}

std::size_t PickleReader::pop_mark() {
  if (marks_.empty()) {
    damaged("a mark is missing");
  }
  const std::size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

std::vector<std::uint32_t> PickleReader::pop_to_mark() {
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(pop_mark());
  std::vector<std::uint32_t> items(from, stack_.end());
  stack_.erase(from, stack_.end());
  return items;
}

std::uint32_t PickleReader::load() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  for (std::size_t opcodes = 0; opcodes < kMostOpcodes; ++opcodes) {
    opcode_at_ = at_;
    const auto opcode = static_cast<unsigned char>(take_unsigned(1));
    if (opcode == '.') {
      const std::uint32_t result = pop();
      if (!stack_.empty() || !marks_.empty()) {
        damaged("it ends with values left over");
      }
      return result;
    }
    step(opcode);
  }
  damaged("there are more opcodes than any model has");
}

void PickleReader::step(unsigned char opcode) {
  if (step_value(opcode) || step_container(opcode) || step_memo(opcode)) {
    return;
  }
  switch (opcode) {
  case 0x80: // PROTO
    if (const std::uint64_t protocol = take_unsigned(1); protocol < 2 || protocol > 5) {
      not_allowed("is of protocol " + std::to_string(protocol));
    }
    return;
  case 0x95: // FRAME: how the following bytes may be buffered
    take(8);
    return;
  case 'c': { // GLOBAL
    const std::string_view module = take_line();
    push_global(module, take_line());
    return;
  }
  case 0x93: { // STACK_GLOBAL
    const PickleNode& name = nodes_[pop()];
    const PickleNode& module = nodes_[pop()];
    if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) {
      damaged("a name is not text");
    }
    push_global(module.text, name.text);
    return;
  }
  case 'R':
    reduce();
    return;
  case 'b': { // BUILD: attributes of a dictionary (a state dict's _metadata), which nothing here needs
    pop();
    if (nodes_[top()].kind != PickleKind::kDict) {
      not_allowed("sets attributes of something other than a dictionary");
    }
    return;
  }
  case 'Q':
    persistent_storage();
    return;
  default: {
    char name[8];
    std::snprintf(name, sizeof name, "0x%02x", opcode);
    not_allowed("uses opcode " + std::string(name) + " at byte " + std::to_string(opcode_at_));
  }
  }
}

bool PickleReader::step_value(unsigned char opcode) {
  const auto push_text = [&](PickleKind kind, std::uint64_t size) {
    push(make({.kind = kind, .text = take_text(size), .items = {}}));
  };
  switch (opcode) {
  case 'N':
    push(kNoneNode);
    return true;
  case 0x88:
    push(kTrueNode);
    return true;
  case 0x89:
    push(kFalseNode);
    return true;
  case 'K': // BININT1 and BININT2 have no sign
    push(make({.kind = PickleKind::kInteger,
               .integer = static_cast<std::int64_t>(take_unsigned(1)),
               .text = {},
               .items = {}}));
    return true;
  case 'M':
    push(make({.kind = PickleKind::kInteger,
               .integer = static_cast<std::int64_t>(take_unsigned(2)),
               .text = {},
               .items = {}}));
    return true;
  case 'J':
    push_integer(take(4));
    return true;
  case 0x8A:
    push_integer(take(take_unsigned(1)));
    return true;
  case 'G':
    take(8);
    push(kFloatNode);
    return true;
  case 'X':
  case 'T':
    push_text(PickleKind::kText, take_unsigned(4));
    return true;
  case 0x8C:
  case 'U':
    push_text(PickleKind::kText, take_unsigned(1));
    return true;
  case 0x8D:
    push_text(PickleKind::kText, take_unsigned(8));
    return true;
  case 'B':
    push_text(PickleKind::kBytes, take_unsigned(4));
    return true;
  case 'C':
    push_text(PickleKind::kBytes, take_unsigned(1));
    return true;
  case 0x8E:
    push_text(PickleKind::kBytes, take_unsigned(8));
    return true;
  default:
    return false;
  }
}

bool PickleReader::step_container(unsigned char opcode) {
  switch (opcode) {
  case '(':
    marks_.push_back(stack_.size());
    return true;
  case ')':
    push(kEmptyTupleNode);
    return true;
  case ']':
    push(make({.kind = PickleKind::kList, .text = {}, .items = {}}));
    return true;
  case '}':
    push(make({.kind = PickleKind::kDict, .text = {}, .items = {}}));
    return true;
  case 't':
    push(make({.kind = PickleKind::kTuple, .text = {}, .items = pop_to_mark()}));
    return true;
  case 0x85:
  case 0x86:
  case 0x87:
    push_tuple(opcode - 0x84U);
    return true;
  case 'a': {
    const std::uint32_t value = pop();
    append(top(), {&value, 1});
    return true;
  }
  case 'e': {
    const std::vector<std::uint32_t> values = pop_to_mark();
    append(top(), values);
    return true;
  }
  case 's': {
    const std::uint32_t value = pop();
    const std::uint32_t pair[] = {pop(), value};
    set_items(top(), pair);
    return true;
  }
  case 'u': {
    const std::vector<std::uint32_t> pairs = pop_to_mark();
    set_items(top(), pairs);
    return true;
  }
  default:
    return false;
  }
}

bool PickleReader::step_memo(unsigned char opcode) {
  const auto put = [&](std::uint64_t key) { memo_.insert_or_assign(key, top()); };
  const auto get = [&](std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) {
      damaged("a value is asked for that was never kept");
    }
    push(found->second);
  };
  switch (opcode) {
  case 'q':
    put(take_unsigned(1));
    return true;
  case 'r':
    put(take_unsigned(4));
    return true;
  case 0x94: // MEMOIZE
    put(memo_.size());
    return true;
  case 'h':
    get(take_unsigned(1));
    return true;
  case 'j':
    get(take_unsigned(4));
    return true;
  default:
    return false;
  }
}

void PickleReader::push_integer(std::span<const std::byte> bytes) {
  if (bytes.size() > 8) {
    push(make({.kind = PickleKind::kBytes,
               .text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
               .items = {}}));
    return;
  }
  // Two's complement of as many bytes as there are.
  std::uint64_t value = 0;
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    value |= std::to_integer<std::uint64_t>(bytes[index]) << (8 * index);
  }
  if (!bytes.empty() && bytes.size() < 8 && (std::to_integer<unsigned>(bytes.back()) & 0x80U) != 0) {
    value |= ~std::uint64_t{0} << (8 * bytes.size());
  }
  push(make({.kind = PickleKind::kInteger, .integer = static_cast<std::int64_t>(value), .text = {}, .items = {}}));
}

void PickleReader::push_tuple(std::size_t count) {
  std::vector<std::uint32_t> items(count);
  for (std::size_t index = count; index-- > 0;) {
    items[index] = pop();
  }
  push(make({.kind = PickleKind::kTuple, .text = {}, .items = std::move(items)}));
}

void PickleReader::push_global(std::string_view module, std::string_view name) {
  const auto known = std::find_if(kPickleNames.begin(), kPickleNames.end(),
                                  [&](const PickleName& each) { return each.module == module && each.name == name; });
  if (known == kPickleNames.end()) {
    not_allowed("asks for " + quotable(module) + "." + quotable(name));
  }
  push(make({.kind = PickleKind::kGlobal,
             .dtype = known->dtype,
             .integer = known - kPickleNames.begin(),
             .text = known->name,
             .items = {}}));
}

void PickleReader::append(std::uint32_t target, std::span<const std::uint32_t> values) {
  if (nodes_[target].kind != PickleKind::kList) {
    damaged("values are appended to something other than a list");
  }
  nodes_[target].items.insert(nodes_[target].items.end(), values.begin(), values.end());
}

void PickleReader::set_items(std::uint32_t target, std::span<const std::uint32_t> pairs) {
  if (nodes_[target].kind != PickleKind::kDict) {
    damaged("members are set of something other than a dictionary");
  }
  if (pairs.size() % 2 != 0) {
    damaged("a key has no value");
  }
  members_ += pairs.size() / 2;
  if (members_ > kMostMembers) {
    damaged("there are more than " + std::to_string(kMostMembers) + " members, more than any model has");
  }
  nodes_[target].items.insert(nodes_[target].items.end(), pairs.begin(), pairs.end());
}

const PickleNode* PickleReader::find(const PickleNode& dict, std::string_view key) const {
  const PickleNode* found = nullptr;
  for (std::size_t at = 0; at + 1 < dict.items.size(); at += 2) {
    const PickleNode& each = nodes_[dict.items[at]];
    if (each.kind == PickleKind::kText && each.text == key) {
      found = &nodes_[dict.items[at + 1]];
    }
  }
  return found;
}

void PickleReader::reduce() {
  const std::uint32_t arguments_index = pop();
  const PickleNode& arguments = nodes_[arguments_index];
  const PickleNode& callee = nodes_[pop()];
  if (callee.kind != PickleKind::kGlobal || arguments.kind != PickleKind::kTuple) {
    damaged("something other than a known name is applied to a tuple");
  }
  const auto& name = kPickleNames[static_cast<std::size_t>(callee.integer)];
  switch (name.meaning) {
  case PickleMeaning::kOrderedDict: {
    const std::uint32_t dict = make({.kind = PickleKind::kDict, .text = {}, .items = {}});
    push(dict);
    // Python 2 gave the members as a list of pairs.
    if (!arguments.items.empty()) {
      const PickleNode& list = nodes_[arguments.items.front()];
      if (list.kind != PickleKind::kList) {
        damaged("a dictionary is made of something other than a list of pairs");
      }
      for (const std::uint32_t each : list.items) {
        const PickleNode& pair = nodes_[each];
        if ((pair.kind != PickleKind::kList && pair.kind != PickleKind::kTuple) || pair.items.size() != 2) {
          damaged("a dictionary is made of something other than a list of pairs");
        }
        set_items(dict, pair.items);
      }
    }
    return;
  }
  case PickleMeaning::kRebuildTensor:
    rebuild_tensor(arguments.items);
    return;
  case PickleMeaning::kRebuildParameter:
    if (arguments.items.empty() || nodes_[arguments.items.front()].kind != PickleKind::kTensor) {
      damaged("a parameter is made of something other than a tensor");
    }
    push(arguments.items.front());
    return;
  case PickleMeaning::kSize:
    if (arguments.items.size() != 1 || nodes_[arguments.items.front()].kind != PickleKind::kTuple) {
      damaged("a size is made of something other than a tuple");
    }
    push(arguments.items.front());
    return;
  case PickleMeaning::kOther:
    push(make({.kind = PickleKind::kOther, .text = {}, .items = {}}));
    return;
  case PickleMeaning::kStorage:
    not_allowed("makes a storage by a call");
  }
}

void PickleReader::rebuild_tensor(std::span<const std::uint32_t> arguments) {
  const auto kind_of = [&](std::size_t index) { return nodes_[arguments[index]].kind; };
  const auto holds_integers = [&](std::size_t index) {
    const std::vector<std::uint32_t>& items = nodes_[arguments[index]].items;
    return kind_of(index) == PickleKind::kTuple && std::all_of(items.begin(), items.end(), [&](std::uint32_t item) {
             return nodes_[item].kind == PickleKind::kInteger;
           });
  };
  if (arguments.size() < 4 || kind_of(0) != PickleKind::kStorage || kind_of(1) != PickleKind::kInteger ||
      !holds_integers(2) || !holds_integers(3)) {
    damaged("a tensor is made of something other than storage, offset, sizes and strides");
  }
  push(make({.kind = PickleKind::kTensor, .text = {}, .items = {arguments.begin(), arguments.begin() + 4}}));
}

// ("storage", type, key, device, elements); files before PyTorch 1.6 add a view, always None since 0.4.
void PickleReader::persistent_storage() {
  const PickleNode& id = nodes_[pop()];
  const auto part = [&](std::size_t index) -> const PickleNode& { return nodes_[id.items[index]]; };
  if (id.kind != PickleKind::kTuple || id.items.size() < 5 || part(0).kind != PickleKind::kText ||
      part(0).text != "storage" || part(1).kind != PickleKind::kGlobal || part(2).kind != PickleKind::kText ||
      part(4).kind != PickleKind::kInteger) {
    damaged("a storage is described by something other than its type, key, device and size");
  }
  if (kPickleNames[static_cast<std::size_t>(part(1).integer)].meaning != PickleMeaning::kStorage) {
    damaged("a storage has a type that is none");
  }
  if (id.items.size() > 5 && part(5).kind != PickleKind::kNone) {
    not_allowed("holds views of storages as PyTorch wrote them before version 0.4");
  }
  push(make({.kind = PickleKind::kStorage,
             .dtype = part(1).dtype,
             .integer = part(4).integer,
             .text = part(2).text,
             .items = {}}));
}

} // namespace assay
