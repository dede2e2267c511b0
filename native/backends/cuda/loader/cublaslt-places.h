// Where cuBLASLt may lie: in a place the user names, beside Assay, where the system's loader looks, in a CUDA toolkit,
// or in the package that Python's frameworks bring along.
#pragma once

#include <string>
#include <vector>

namespace assay::cuda {

struct CublasLtPlaces {
  std::string explicit_path;      // empty: none was given
  std::vector<std::string> files; // to be tried in this order; a name without a slash is for the system's loader

  // The first file that exists, without opening any; empty if there is none. Names for the system's loader are left
  // out, because only opening tells.
  std::string first_existing() const;
  // That it was not found, where it was looked for, and what to do.
  std::string sentence() const;
};

// An explicit path (else the environment's ASSAY_CUBLASLT) is a file or the folder it lies in, and then the only place.
CublasLtPlaces cublaslt_places(const std::string& explicit_path, const std::string& library_folder);

} // namespace assay::cuda
