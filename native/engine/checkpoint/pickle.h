// A reader of pickles that executes nothing (Python's pickletools documents the opcodes): it builds plain values and
// knows a fixed list of names, those that torch.save writes for tensors in dictionaries. Every other name is refused
// before anything is done with it; there is no import, no call and no attribute here to abuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace assay {

enum class PickleKind : std::uint8_t {
  kNone,
  kBoolean, // integer
  kInteger, // integer
  kFloat,   // passed over; its value is never needed
  kText,    // text: UTF-8 or, in Python 2's strings, whatever bytes
  kBytes,   // text; also integers of more than eight bytes, least byte first
  kTuple,   // items
  kList,    // items
  kDict,    // items: key, value, key, value, …
  kGlobal,  // integer: an index into the list of names, text: "module.name"
  kStorage, // text: key, integer: elements, dtype
  kTensor,  // items: storage, offset, sizes, strides
  kOther,   // a value without meaning for tensors: a device, a dtype
};

struct PickleNode {
  PickleKind kind = PickleKind::kNone;
  // Of a storage: its element type under safetensors' name.
  const char* dtype = "";
  std::int64_t integer = 0;
  // Into the pickle's bytes.
  std::string_view text;
  // Nodes, by index. A node may be shared or, in a hostile file, contain itself: whoever walks limits the depth.
  std::vector<std::uint32_t> items;
};

class PickleReader {
public:
  // `source` names the file in messages. The bytes must outlive this.
  PickleReader(std::span<const std::byte> bytes, std::string source);

  // Reads one pickle from where the last one ended, and returns its value. Throws PICKLE_NOT_ALLOWED (a name that is
  // not on the list, an opcode that torch.save does not write) or PYTORCH_DAMAGED.
  std::uint32_t load();

  const PickleNode& node(std::uint32_t index) const { return nodes_[index]; }
  const std::deque<PickleNode>& nodes() const noexcept { return nodes_; }
  std::size_t position() const noexcept { return at_; }
  // The member of a dict whose key is this text; null when there is none.
  const PickleNode* find(const PickleNode& dict, std::string_view key) const;

private:
  [[noreturn]] void damaged(const std::string& what) const;
  [[noreturn]] void not_allowed(const std::string& what) const;

  std::span<const std::byte> take(std::uint64_t size);
  std::uint64_t take_unsigned(unsigned size);
  std::string_view take_text(std::uint64_t size);
  std::string_view take_line();

  std::uint32_t make(PickleNode node);
  void push(std::uint32_t index) { stack_.push_back(index); }
  std::uint32_t pop();
  std::uint32_t top() const;
  std::size_t pop_mark();
  std::vector<std::uint32_t> pop_to_mark();

  void step(unsigned char opcode);
  bool step_value(unsigned char opcode);
  bool step_container(unsigned char opcode);
  bool step_memo(unsigned char opcode);
  void push_integer(std::span<const std::byte> bytes);
  void push_tuple(std::size_t count);
  void push_global(std::string_view module, std::string_view name);
  void append(std::uint32_t target, std::span<const std::uint32_t> values);
  void set_items(std::uint32_t target, std::span<const std::uint32_t> pairs);
  void reduce();
  void rebuild_tensor(std::span<const std::uint32_t> arguments);
  void persistent_storage();

  std::span<const std::byte> bytes_;
  std::string source_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  std::size_t members_ = 0;
  // A deque, so that nodes stay where they are; ended all at once, so that nesting costs no stack.
  std::deque<PickleNode> nodes_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, std::uint32_t> memo_;
};

} // namespace assay
