#include "decode/jpeg/session.h"

#include "decode/jpeg/entropy/entropy_decoder.h"
#include "decode/jpeg/memory.h"

namespace ringfeed::decode {
namespace {

constexpr JOCTET end_of_image[2] = {0xFF, JPEG_EOI};

void ignore_message(j_common_ptr, int) {}
void ignore_message(j_common_ptr) {}
void ignore_source(j_decompress_ptr) {}

}  // namespace

JpegSession& JpegSession::of(j_common_ptr cinfo) {
  return *static_cast<JpegSession*>(cinfo->client_data);
}

JpegSession& JpegSession::of(j_decompress_ptr cinfo) {
  return *static_cast<JpegSession*>(cinfo->client_data);
}

JpegSession::JpegSession(Bytes file, bool load_truncated, int max_scans, JpegMemory* memory)
    : memory_(memory), max_scans_(max_scans), may_append_eoi_(load_truncated) {
  cinfo.err = jpeg_std_error(&errors_);
  errors_.error_exit = [](j_common_ptr c) { std::longjmp(of(c).on_error, 1); };
  errors_.emit_message = ignore_message;
  errors_.output_message = ignore_message;
  cinfo.client_data = this;
  progress_.progress_monitor = count_scans;
  source_.next_input_byte = file.data();
  source_.bytes_in_buffer = file.size();
  source_.init_source = ignore_source;
  source_.fill_input_buffer = end_of_bytes;
  source_.skip_input_data = skip_bytes;
  source_.resync_to_restart = jpeg_resync_to_restart;
  source_.term_source = ignore_source;
}

JpegSession::~JpegSession() {
  if (memory_ != nullptr) memory_->give_back(cinfo);
  jpeg_destroy_decompress(&cinfo);
}

void JpegSession::open() {
  jpeg_create_decompress(&cinfo);
  if (memory_ != nullptr) memory_->take_over(cinfo);
  cinfo.src = &source_;
  cinfo.progress = &progress_;
}

void JpegSession::format_error(char (&text)[JMSG_LENGTH_MAX]) {
  errors_.format_message(reinterpret_cast<j_common_ptr>(&cinfo), text);
}

void JpegSession::decode_entropy_by(EntropyDecoder& decoder) {
  entropy_ = &decoder;
  EntropyMethods::of(cinfo).decode_mcu = decode_mcu;
}

boolean JpegSession::decode_mcu(j_decompress_ptr cinfo, JBLOCKROW* blocks) {
  JpegSession& session = of(cinfo);
  if (session.entropy_->next_mcu(blocks)) return TRUE;
  session.is_odd = true;
  std::longjmp(session.on_error, 1);
}

/// Suspends, as Pillow's source does between its reads. LOAD_TRUNCATED_IMAGES is one EOI appended
/// to the file, less what a segment longer than the rest of the file swallows of it.
boolean JpegSession::end_of_bytes(j_decompress_ptr cinfo) {
  JpegSession& session = of(cinfo);
  if (!session.may_append_eoi_) return FALSE;
  session.may_append_eoi_ = false;
  if (session.skip_beyond_end_ >= sizeof end_of_image) return FALSE;
  cinfo->src->next_input_byte = end_of_image + session.skip_beyond_end_;
  cinfo->src->bytes_in_buffer = sizeof end_of_image - session.skip_beyond_end_;
  return TRUE;
}

void JpegSession::skip_bytes(j_decompress_ptr cinfo, long count) {
  if (count <= 0) return;
  auto& source = *cinfo->src;
  auto skip = static_cast<std::size_t>(count);
  if (skip > source.bytes_in_buffer) {
    of(cinfo).skip_beyond_end_ = skip - source.bytes_in_buffer;
    skip = source.bytes_in_buffer;
  }
  source.next_input_byte += skip;
  source.bytes_in_buffer -= skip;
}

/// libjpeg calls this while it reads a file of several scans. Without a limit a 132 KB progressive
/// file with 1,010 scans at 16 megapixels takes 11 s.
void JpegSession::count_scans(j_common_ptr cinfo) {
  JpegSession& session = of(cinfo);
  if (session.cinfo.input_scan_number <= session.max_scans_) return;
  session.too_many_scans = true;
  std::longjmp(session.on_error, 1);
}

}  // namespace ringfeed::decode
