// Writes SentencePiece's precompiled character maps, which precompiled-charsmap.h reads: first the trie's bytes, then
// the double-array trie in the units of darts-clone, then the replacements, each ended by a zero.
#pragma once

#include <map>
#include <string>

namespace assay {

// Byte strings and what replaces them. No key is empty or holds a zero byte, which the trie uses to end keys.
using CharsmapEntries = std::map<std::string, std::string>;

std::string build_charsmap(const CharsmapEntries& entries);

// NFKC and every white space as a space, as far as a map of sequences can say it: each character, and each that can be
// composed, spelled with its marks in canonical order. Several marks in another order it leaves as they stand.
CharsmapEntries nfkc_entries();

} // namespace assay
