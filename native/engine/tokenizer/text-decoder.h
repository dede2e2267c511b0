// The decoders of a tokenizer as data: a list of steps that turn the pieces of tokens back into text, as tokenizer.json
// names them.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace assay {

// The pieces are written in GPT-2's alphabet for bytes.
struct ByteLevelDecoder {};
struct WordPieceDecoder {
  std::string prefix = "##";
  // Takes away the spaces before punctuation and in contractions.
  bool cleanup = true;
};
struct MetaspaceDecoder {
  std::string replacement = "\u2581";
  // Whether the first space was put in by the pre-tokenizer.
  bool strips_first = true;
};
struct SuffixDecoder {
  std::string suffix = "</w>";
};
// A piece that ends with the mark goes on in the next one (subword-nmt and fastBPE write "@@").
struct ContinuationDecoder {
  std::string mark = "@@";
};
// Puts the words that Moses cut together again; what stands before it gives them a space between.
struct MosesDecoder {};
struct ByteFallbackDecoder {};
struct FuseDecoder {};
struct StripDecoder {
  std::string content = " ";
  std::size_t start = 0;
  std::size_t stop = 0;
};
struct ReplaceDecoder {
  std::string text;
  std::string content;
};

using DecoderStep =
    std::variant<ByteLevelDecoder, WordPieceDecoder, MetaspaceDecoder, SuffixDecoder, ContinuationDecoder,
                 ByteFallbackDecoder, FuseDecoder, StripDecoder, ReplaceDecoder, MosesDecoder>;

// Without steps the pieces are joined with spaces.
std::string decode_pieces(std::vector<std::string> pieces, const std::vector<DecoderStep>& steps);

} // namespace assay
