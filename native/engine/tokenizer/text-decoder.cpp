#include "engine/tokenizer/text-decoder.h"

#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/moses.h"

#include <array>
#include <cstdint>
#include <utility>

namespace assay {

namespace {

using Pieces = std::vector<std::string>;

void replace_all(std::string& text, std::string_view wanted, std::string_view content) {
  if (wanted.empty()) {
    return;
  }
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.find(wanted, at)) != std::string::npos; at = found + wanted.size()) {
    out.append(text, at, found - at).append(content);
  }
  text = std::move(out.append(text, at, std::string::npos));
}

void apply(Pieces& pieces, const ByteLevelDecoder&) {
  std::string text;
  std::string bytes;
  for (const std::string& piece : pieces) {
    // A piece outside the alphabet is an added token's text.
    text += piece_to_bytes(piece, bytes) ? bytes : piece;
  }
  pieces = {std::move(text)};
}

void clean_up(std::string& text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kPairs = {{{" .", "."},
                                                                                     {" ?", "?"},
                                                                                     {" !", "!"},
                                                                                     {" ,", ","},
                                                                                     {" ' ", "'"},
                                                                                     {" n't", "n't"},
                                                                                     {" 'm", "'m"},
                                                                                     {" do not", " don't"},
                                                                                     {" 's", "'s"},
                                                                                     {" 've", "'ve"},
                                                                                     {" 're", "'re"}}};
  for (const auto& [wanted, content] : kPairs) {
    replace_all(text, wanted, content);
  }
}

void apply(Pieces& pieces, const WordPieceDecoder& step) {
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    std::string& piece = pieces[index];
    if (index > 0) {
      if (!step.prefix.empty() && piece.starts_with(step.prefix)) {
        piece.erase(0, step.prefix.size());
      } else {
        piece.insert(0, " ");
      }
    }
    if (step.cleanup) {
      clean_up(piece);
    }
  }
}

void apply(Pieces& pieces, const MetaspaceDecoder& step) {
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    std::string& piece = pieces[index];
    if (index == 0 && step.strips_first && piece.starts_with(step.replacement)) {
      piece.erase(0, step.replacement.size());
    }
    replace_all(piece, step.replacement, " ");
  }
}

void apply(Pieces& pieces, const SuffixDecoder& step) {
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    replace_all(pieces[index], step.suffix, index + 1 == pieces.size() ? "" : " ");
  }
}

void apply(Pieces& pieces, const ContinuationDecoder& step) {
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    std::string& piece = pieces[index];
    if (piece.ends_with(step.mark)) {
      piece.erase(piece.size() - step.mark.size());
    } else if (index + 1 < pieces.size()) {
      piece += ' ';
    }
  }
}

// "<0x0A>" is 10; −1 for other pieces.
int byte_of(std::string_view piece) {
  const auto digit = [](char character) {
    return character >= '0' && character <= '9'   ? character - '0'
           : character >= 'A' && character <= 'F' ? character - 'A' + 10
           : character >= 'a' && character <= 'f' ? character - 'a' + 10
                                                  : -1;
  };
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>' || digit(piece[3]) < 0 || digit(piece[4]) < 0) {
    return -1;
  }
  return digit(piece[3]) * 16 + digit(piece[4]);
}

// Bytes that are no UTF-8 stay the bytes they are: who shows them decides how.
void apply(Pieces& pieces, const ByteFallbackDecoder&) {
  for (std::string& piece : pieces) {
    if (const int byte = byte_of(piece); byte >= 0) {
      piece.assign(1, static_cast<char>(byte));
    }
  }
}

void apply(Pieces& pieces, const FuseDecoder&) {
  std::string text;
  for (const std::string& piece : pieces) {
    text += piece;
  }
  pieces = {std::move(text)};
}

void apply(Pieces& pieces, const MosesDecoder&) {
  std::string words;
  for (const std::string& piece : pieces) {
    words += piece;
  }
  pieces = {moses_detokenize(words)};
}

void apply(Pieces& pieces, const StripDecoder& step) {
  if (step.content.empty()) {
    return;
  }
  for (std::string& piece : pieces) {
    std::size_t begin = 0;
    std::size_t end = piece.size();
    for (std::size_t count = 0; count < step.start && piece.compare(begin, step.content.size(), step.content) == 0;
         ++count) {
      begin += step.content.size();
    }
    for (std::size_t count = 0; count < step.stop && end >= begin + step.content.size() &&
                                piece.compare(end - step.content.size(), step.content.size(), step.content) == 0;
         ++count) {
      end -= step.content.size();
    }
    piece = piece.substr(begin, end - begin);
  }
}

void apply(Pieces& pieces, const ReplaceDecoder& step) {
  for (std::string& piece : pieces) {
    replace_all(piece, step.text, step.content);
  }
}

} // namespace

std::string decode_pieces(std::vector<std::string> pieces, const std::vector<DecoderStep>& steps) {
  for (const DecoderStep& step : steps) {
    std::visit([&](const auto& each) { apply(pieces, each); }, step);
  }
  std::string text;
  for (const std::string& piece : pieces) {
    if (steps.empty() && !text.empty()) {
      text += ' ';
    }
    text += piece;
  }
  return text;
}

} // namespace assay
