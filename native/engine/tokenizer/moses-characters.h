// What Moses' rules ask of a character. The answers are sacremoses' own lists, of an older Unicode, without Chinese and
// Korean: a newer table would cut other words.
#pragma once

#include <cstdint>

namespace assay {

bool is_moses_letter(std::uint32_t code_point);
// Letters and digits: what is not set apart as a sign.
bool is_moses_word_character(std::uint32_t code_point);
bool is_moses_number(std::uint32_t code_point);
bool is_moses_lower_case(std::uint32_t code_point);
bool is_moses_currency(std::uint32_t code_point);
// White space, and the four separators that Python counts too.
bool is_moses_space(std::uint32_t code_point);
// Chinese, Japanese, Korean and their neighbours, for which the detokenizer leaves spaces out.
bool is_moses_cjk(std::uint32_t code_point);

} // namespace assay
