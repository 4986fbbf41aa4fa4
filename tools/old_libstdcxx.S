// For the release wheel alone. The newest symbol that ringfeed takes from libstdc++ is the version
// of std::condition_variable::wait(std::unique_lock<std::mutex>&) that GCC 12 added. The one before
// does the same to code without pthread_cancel, and with it the wheel also runs on GCC 11's library:
// RHEL 9, Amazon Linux 2023.
#define WAIT _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE
  .symver wait_of_gcc11, _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11
  .text
  .globl WAIT
  .hidden WAIT
  .type WAIT, %function
WAIT:
#if defined(__x86_64__)
  jmp wait_of_gcc11@PLT
#elif defined(__aarch64__)
  b wait_of_gcc11
#endif
  .size WAIT, . - WAIT
  .section .note.GNU-stack, "", %progbits
