// For the release wheel alone. The newest symbol that ringfeed takes from libstdc++ is a version of
// this one that GCC 12 added. The one before does the same to code without pthread_cancel, and with
// it the wheel also runs with GCC 11's library: Amazon Linux 2023, RHEL 9.
__asm__(
    ".symver _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE,"
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
