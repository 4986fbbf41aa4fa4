#pragma once

#include <string>
#include <string_view>

namespace ringfeed {

/// `text` on one line and harmless to a terminal: what a message shows of a file's name, which may
/// hold any byte. Control characters become "\n", "\t" or "\x1b": ASCII's, and those of U+0080 to
/// U+009F, in UTF-8 or as single bytes, where U+009B begins a terminal's command as ESC [ does.
/// All else stays as it is, bytes that are no UTF-8 too.
std::string printable(std::string_view text);

}  // namespace ringfeed
