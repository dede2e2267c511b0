// The names that a pickle of tensors may mention, and what each means here.
#pragma once

#include <array>
#include <string_view>

namespace assay {

enum class PickleMeaning { kOrderedDict, kRebuildTensor, kRebuildParameter, kStorage, kSize, kOther };

struct PickleName {
  std::string_view module;
  std::string_view name;
  PickleMeaning meaning;
  // Of a storage: its elements, under safetensors' name.
  const char* dtype = "";
};

// Storages without a type (UntypedStorage) count bytes. `torch.device` and the dtypes stand in metadata beside tensors.
inline constexpr std::array kPickleNames = {
    PickleName{"collections", "OrderedDict", PickleMeaning::kOrderedDict},
    PickleName{"torch._utils", "_rebuild_tensor_v2", PickleMeaning::kRebuildTensor},
    PickleName{"torch._utils", "_rebuild_tensor", PickleMeaning::kRebuildTensor},
    PickleName{"torch._utils", "_rebuild_parameter", PickleMeaning::kRebuildParameter},
    PickleName{"torch", "FloatStorage", PickleMeaning::kStorage, "F32"},
    PickleName{"torch", "HalfStorage", PickleMeaning::kStorage, "F16"},
    PickleName{"torch", "BFloat16Storage", PickleMeaning::kStorage, "BF16"},
    PickleName{"torch", "DoubleStorage", PickleMeaning::kStorage, "F64"},
    PickleName{"torch", "LongStorage", PickleMeaning::kStorage, "I64"},
    PickleName{"torch", "IntStorage", PickleMeaning::kStorage, "I32"},
    PickleName{"torch", "ShortStorage", PickleMeaning::kStorage, "I16"},
    PickleName{"torch", "CharStorage", PickleMeaning::kStorage, "I8"},
    PickleName{"torch", "ByteStorage", PickleMeaning::kStorage, "U8"},
    PickleName{"torch", "BoolStorage", PickleMeaning::kStorage, "BOOL"},
    PickleName{"torch.storage", "UntypedStorage", PickleMeaning::kStorage, "U8"},
    PickleName{"torch.storage", "_UntypedStorage", PickleMeaning::kStorage, "U8"},
    PickleName{"torch", "Size", PickleMeaning::kSize},
    PickleName{"torch", "device", PickleMeaning::kOther},
    PickleName{"torch", "float32", PickleMeaning::kOther},
    PickleName{"torch", "float16", PickleMeaning::kOther},
    PickleName{"torch", "bfloat16", PickleMeaning::kOther},
    PickleName{"torch", "float64", PickleMeaning::kOther},
};

} // namespace assay
