// Tokens as text while they are drawn. A stop text may begin in one token and end in another, so a token is held back
// as long as its bytes may turn out to be part of one; and a character may be split over tokens, so its bytes come out
// with the token that completes it. What comes out is never taken back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class TextStream {
public:
  // Throws BAD_ARGUMENT for an empty stop text, or for more or longer ones than anyone needs.
  explicit TextStream(std::vector<std::string> stops);

  // `number` of the token, counted by the caller, and the text that comes out with it: whole characters (bytes that are
  // no UTF-8 pass as they are, once it is certain).
  using Emit = std::function<void(std::size_t number, const std::string& text)>;

  // Takes the next token's bytes; emits the tokens that are settled. True: a stop text was found. The tokens before it
  // have then come out, the last of them cut where it begins; nothing more may be pushed.
  bool push(std::string_view bytes, const Emit& emit);
  // The end of the text: what was held back for a stop text comes out.
  void finish(const Emit& emit);
  // The beginning of a character that no token completed.
  const std::string& rest() const { return incomplete_; }

private:
  void emit_until(std::size_t settled, const Emit& emit);
  std::size_t possible_stop_begin() const;

  std::vector<std::string> stops_;
  std::size_t longest_stop_ = 0;
  std::string held_;             // bytes of the tokens that are held
  std::deque<std::size_t> ends_; // where each held token ends in it
  std::size_t next_number_ = 0;
  std::string incomplete_; // the beginning of a character
};

// How many bytes at the end of `text` may be the beginning of a character that goes on.
std::size_t incomplete_character_bytes(std::string_view text);

} // namespace assay
