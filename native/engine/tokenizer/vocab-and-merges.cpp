#include "engine/tokenizer/vocab-and-merges.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"
#include "engine/base/mapped-file.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/vocabulary-reader.h"

namespace assay {

namespace {

void read_merges(VocabularyReader& vocabulary, std::string_view text) {
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t newline = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, newline - begin);
    begin = newline + 1;
    ++line_number;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.empty() || (line_number == 1 && line.starts_with("#version"))) {
      continue;
    }
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      vocabulary.fail("line " + std::to_string(line_number) + " of the merges is not two pieces with a space between");
    }
    vocabulary.add_merge(line.substr(0, space), line.substr(space + 1));
  }
}

} // namespace

Tokenizer read_vocab_and_merges(const std::string& vocab_path, const std::string& merges_path) {
  VocabularyReader vocabulary(vocab_path + " and " + merges_path);
  vocabulary.add_vocabulary(read_json_file(vocab_path));
  const std::string end_of_text(kEndOfText);
  if (vocabulary.has_piece(end_of_text)) {
    vocabulary.add_special(end_of_text, {.id = vocabulary.id_of_piece(end_of_text)});
  }
  const MappedFile merges(merges_path);
  read_merges(vocabulary, {reinterpret_cast<const char*>(merges.bytes().data()), merges.size()});
  return std::move(vocabulary).finish(false);
}

void write_vocab_and_merges(const Tokenizer& tokenizer, const std::string& directory) {
  if (tokenizer.ignore_merges()) {
    throw Error("NOT_SUPPORTED",
                "Cannot write vocab.json and merges.txt to " + directory +
                    ": some tokens are not made by merges, which these files cannot say; write tokenizer.json.");
  }
  JsonWriter vocabulary;
  std::string merges = "#version: 0.2\n";
  std::vector<std::string> pieces(tokenizer.vocab_size());
  vocabulary.begin_object();
  for (std::uint32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    const bool special = tokenizer.is_special(id);
    if (special && bytes != kEndOfText) {
      throw Error("NOT_SUPPORTED", "Cannot write vocab.json and merges.txt to " + directory +
                                       ": they could not say that \"" + std::string(bytes) +
                                       "\" is a special token; write tokenizer.json.");
    }
    pieces[id] = special ? std::string(bytes) : bytes_to_piece(bytes);
    vocabulary.key(pieces[id]).value(static_cast<std::uint64_t>(id));
  }
  vocabulary.end_object();
  for (const Merge& merge : tokenizer.merges()) {
    merges += pieces[merge.left] + " " + pieces[merge.right] + "\n";
  }
  DurableFile vocab_file(directory + "/vocab.json");
  vocab_file.write(vocabulary.text());
  vocab_file.close();
  DurableFile merges_file(directory + "/merges.txt");
  merges_file.write(merges);
  merges_file.close();
}

} // namespace assay
