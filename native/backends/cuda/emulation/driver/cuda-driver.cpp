// A driver library with one made-up GPU, as far as the loader asks. Tests put its folder on LD_LIBRARY_PATH to run the
// whole product on the emulated backend; it is in no package.
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace {

constexpr int kSuccess = 0;
constexpr int kInvalidValue = 1;
constexpr int kNewestCuda = 13000;
constexpr std::size_t kMemoryBytes = std::size_t{4} << 30;

int copy_text(const char* text, char* target, int size) {
  if (size <= static_cast<int>(std::strlen(text))) {
    return kInvalidValue;
  }
  std::snprintf(target, static_cast<std::size_t>(size), "%s", text);
  return kSuccess;
}

} // namespace

#define ASSAY_EXPORT extern "C" __attribute__((visibility("default")))

ASSAY_EXPORT int cuInit(unsigned) {
  return kSuccess;
}

ASSAY_EXPORT int cuDriverGetVersion(int* version) {
  *version = kNewestCuda;
  return kSuccess;
}

ASSAY_EXPORT int cuDeviceGetCount(int* count) {
  *count = 1;
  return kSuccess;
}

ASSAY_EXPORT int cuDeviceGet(int* device, int number) {
  *device = number;
  return number == 0 ? kSuccess : kInvalidValue;
}

ASSAY_EXPORT int cuDeviceGetName(char* name, int size, int) {
  return copy_text("Emulated GPU", name, size);
}

ASSAY_EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int kMultiprocessors = 16;
  constexpr int kCapabilityMajor = 75;
  constexpr int kCapabilityMinor = 76;
  *value = attribute == kMultiprocessors ? 4 : attribute == kCapabilityMajor ? 8 : 0;
  return attribute == kMultiprocessors || attribute == kCapabilityMajor || attribute == kCapabilityMinor
             ? kSuccess
             : kInvalidValue;
}

ASSAY_EXPORT int cuDeviceTotalMem_v2(std::size_t* size_bytes, int) {
  *size_bytes = kMemoryBytes;
  return kSuccess;
}

ASSAY_EXPORT int cuDeviceGetPCIBusId(char* id, int size, int) {
  return copy_text("0000:00:00.0", id, size);
}
