#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <system_error>

namespace ringfeed::testing {

/// From now on `call` fails with `error` in all threads of this process, as under a container's
/// profile. For a child (in_child.h): it cannot be taken back.
inline void deny(unsigned call, unsigned error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(code), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
    throw std::system_error(errno, std::generic_category(), "seccomp");
  }
}

/// No thread can be started any more.
inline void deny_threads() {
  deny(__NR_clone3, ENOSYS);  // glibc then takes clone
  deny(__NR_clone, EAGAIN);
}

}  // namespace ringfeed::testing
