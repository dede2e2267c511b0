// The parts of a tokenizer.json around its model: each object becomes a step, each step an object again.
#pragma once

#include "engine/base/json-writer.h"
#include "engine/tokenizer/json-fields.h"
#include "engine/tokenizer/text-tokenizer.h"

namespace assay {

// Sequences within sequences are flattened. Throw NOT_SUPPORTED or TOKENIZER_INVALID.
void read_normalizer(const JsonFields& fields, std::vector<NormalizerStep>& steps);
void read_splitter(const JsonFields& fields, std::vector<SplitterStep>& steps);
void read_post_processor(const JsonFields& fields, PostProcessor& processor);
void read_decoder(const JsonFields& fields, std::vector<DecoderStep>& steps);

void write_normalizers(JsonWriter& json, const std::vector<NormalizerStep>& steps);
void write_splitters(JsonWriter& json, const std::vector<SplitterStep>& steps);
void write_post_processor(JsonWriter& json, const PostProcessor& processor);
void write_decoders(JsonWriter& json, const std::vector<DecoderStep>& steps);

} // namespace assay
