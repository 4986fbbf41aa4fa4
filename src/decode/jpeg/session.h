#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>

#include "decode/bytes.h"

// clang-format off
#include <cstdio>  // jpeglib.h uses size_t and FILE without declaring them
#include <jpeglib.h>
// clang-format on

namespace ringfeed::decode {

class EntropyDecoder;
class JpegMemory;

/// How jpeg_entropy_decoder begins in libjpeg-turbo, from before 2.1.5 to 3.2. Its own declaration,
/// in jpegint.h, is not installed everywhere.
struct EntropyMethods {
  static EntropyMethods& of(jpeg_decompress_struct& cinfo) {
    return *reinterpret_cast<EntropyMethods*>(cinfo.entropy);
  }

  void (*start_pass)(j_decompress_ptr cinfo);
  boolean (*decode_mcu)(j_decompress_ptr cinfo, JBLOCKROW* blocks);
};

/// libjpeg's state for one image, with the callbacks that make it behave as Pillow's decoder does:
/// warnings are ignored, the source suspends where the bytes end, errors jump to `on_error`.
///
/// One per image, not one per decoder: jpeg_abort keeps quantisation and Huffman tables, so a
/// damaged file without its own would decode with its predecessor's, and the pixels would depend on
/// which image came before. Creating anew costs nothing measurable.
struct JpegSession {
  /// Neither allocates nor fails; open() does the rest under the caller's setjmp. Without `memory`
  /// libjpeg's own manager serves, for what looks at little more than headers.
  JpegSession(Bytes file, bool load_truncated, int max_scans, JpegMemory* memory = nullptr);
  ~JpegSession();
  JpegSession(const JpegSession&) = delete;
  JpegSession& operator=(const JpegSession&) = delete;

  void open();

  /// The message of the error that jumped.
  void format_error(char (&text)[JMSG_LENGTH_MAX]);

  /// After jpeg_start_decompress(): `decoder`, which has begun the scan, decodes it instead of
  /// libjpeg. Where it cannot, `is_odd` is set, and an error jumps.
  void decode_entropy_by(EntropyDecoder& decoder);

  jpeg_decompress_struct cinfo{};
  std::jmp_buf on_error;
  bool too_many_scans = false;
  bool is_odd = false;

 private:
  static JpegSession& of(j_common_ptr cinfo);
  static JpegSession& of(j_decompress_ptr cinfo);
  static boolean end_of_bytes(j_decompress_ptr cinfo);
  static void skip_bytes(j_decompress_ptr cinfo, long count);
  static void count_scans(j_common_ptr cinfo);
  static boolean decode_mcu(j_decompress_ptr cinfo, JBLOCKROW* blocks);

  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  EntropyDecoder* entropy_ = nullptr;
  JpegMemory* memory_;
  int max_scans_;
  bool may_append_eoi_;
  std::size_t skip_beyond_end_ = 0;
};

}  // namespace ringfeed::decode
