#include "engine/tokenizer/charsmap-builder.h"

#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/unicode-form.h"
#include "engine/tokenizer/unicode-text.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace assay {

namespace {

constexpr std::uint32_t kHasLeaf = 0x100;
constexpr std::uint32_t kIsLeaf = 0x80000000U;
constexpr unsigned kOffsetShift = 10;

struct Node {
  // By byte, ascending.
  std::map<unsigned char, std::size_t> children;
  bool has_value = false;
  std::uint32_t value = 0;
};

std::vector<Node> trie_of(const CharsmapEntries& entries, std::string& texts) {
  std::vector<Node> nodes(1);
  std::map<std::string, std::uint32_t> places;
  for (const auto& [key, replacement] : entries) {
    std::size_t at = 0;
    for (const char byte : key) {
      const auto [child, is_new] = nodes[at].children.emplace(static_cast<unsigned char>(byte), nodes.size());
      at = child->second;
      if (is_new) {
        nodes.emplace_back();
      }
    }
    const auto [place, is_new_text] = places.emplace(replacement, static_cast<std::uint32_t>(texts.size()));
    if (is_new_text) {
      texts.append(replacement).push_back('\0');
    }
    nodes[at].has_value = true;
    nodes[at].value = place->second;
  }
  return nodes;
}

// Children of a node stand at its base with their byte exclusive-ored in, its value at the base itself. No two nodes
// share a base, or a child of one would pass for a child of the other.
class DoubleArray {
public:
  explicit DoubleArray(const std::vector<Node>& nodes) : nodes_(nodes) {
    grow(1);
    used_[0] = true;
    place(0, 0);
    // Every block has 256 units, so that no byte leads out of the array.
    units_.resize((units_.size() + 255) / 256 * 256);
  }

  const std::vector<std::uint32_t>& units() const noexcept { return units_; }

private:
  void grow(std::size_t size) {
    if (size > units_.size()) {
      const std::size_t rounded = (size + 255) / 256 * 256;
      units_.resize(rounded);
      used_.resize(rounded);
      is_base_.resize(rounded);
    }
  }

  bool fits(std::size_t base, const Node& node) {
    grow((base | 0xFFU) + 1);
    if (is_base_[base] || (node.has_value && used_[base])) {
      return false;
    }
    for (const auto& [byte, child] : node.children) {
      if (used_[base ^ byte]) {
        return false;
      }
    }
    return true;
  }

  std::size_t find_base(const Node& node) {
    while (first_free_ < used_.size() && used_[first_free_]) {
      ++first_free_;
    }
    const std::size_t label = node.has_value ? 0 : node.children.begin()->first;
    for (std::size_t at = first_free_;; ++at) {
      if (const std::size_t base = at ^ label; base != 0 && fits(base, node)) {
        return base;
      }
    }
  }

  void place(std::size_t index, std::size_t position) {
    const Node& node = nodes_[index];
    const std::size_t base = find_base(node);
    is_base_[base] = true;
    units_[position] |= static_cast<std::uint32_t>(position ^ base) << kOffsetShift;
    if (node.has_value) {
      units_[position] |= kHasLeaf;
      units_[base] = kIsLeaf | node.value;
      used_[base] = true;
    }
    for (const auto& [byte, child] : node.children) {
      units_[base ^ byte] = byte;
      used_[base ^ byte] = true;
    }
    for (const auto& [byte, child] : node.children) {
      place(child, base ^ byte);
    }
  }

  const std::vector<Node>& nodes_;
  std::vector<std::uint32_t> units_;
  std::vector<bool> used_;
  std::vector<bool> is_base_;
  std::size_t first_free_ = 1;
};

std::string in_form(const std::string& text, UnicodeForm form) {
  AlignedText aligned(text, {0, static_cast<std::uint32_t>(text.size())});
  apply_unicode_form(aligned, form);
  return aligned.text();
}

// NFKC, white space as spaces.
std::string replacement_of(const std::string& text) {
  const std::string composed = in_form(text, UnicodeForm::kNfkc);
  std::string out;
  for (std::size_t at = 0; at < composed.size();) {
    std::uint32_t code_point = 0;
    at += next_character(composed, at, code_point);
    append_utf8(out, is_white_space(code_point) ? ' ' : code_point);
  }
  return out;
}

std::string utf8(std::uint32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

} // namespace

std::string build_charsmap(const CharsmapEntries& entries) {
  std::string texts;
  const std::vector<Node> nodes = trie_of(entries, texts);
  const DoubleArray array(nodes);
  const auto bytes = static_cast<std::uint32_t>(array.units().size() * sizeof(std::uint32_t));
  std::string blob(sizeof bytes + bytes, '\0');
  std::memcpy(blob.data(), &bytes, sizeof bytes);
  std::memcpy(blob.data() + sizeof bytes, array.units().data(), bytes);
  return blob + texts;
}

CharsmapEntries nfkc_entries() {
  CharsmapEntries entries;
  for (std::uint32_t code_point = 1; code_point < 0x110000; ++code_point) {
    if (code_point >= 0xD800 && code_point < 0xE000) {
      continue;
    }
    std::uint32_t buffer[3] = {};
    const bool changes = !decompose(code_point, true, buffer).empty();
    if (!changes && !is_white_space(code_point)) {
      continue;
    }
    const std::string itself = utf8(code_point);
    const std::string replacement = replacement_of(itself);
    if (replacement != itself) {
      entries.emplace(itself, replacement);
    }
    // The parts as they are spelled apart, whole and with all but the last put together.
    const std::span<const std::uint32_t> parts = decompose(code_point, false, buffer);
    if (parts.size() < 2) {
      continue;
    }
    std::string apart;
    for (const std::uint32_t part : parts.first(parts.size() - 1)) {
      append_utf8(apart, part);
    }
    const std::string last = utf8(parts.back());
    if (in_form(apart + last, UnicodeForm::kNfc) == itself) {
      entries.emplace(in_form(apart, UnicodeForm::kNfc) + last, replacement);
      entries.emplace(apart + last, replacement);
    }
  }
  return entries;
}

} // namespace assay
