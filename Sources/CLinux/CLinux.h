// What Glibc's Swift overlay does not show: epoll, eventfd, a few calls that are variadic or take macros in C, and the
// processor's CRC-32C instruction. Header only; no state, no logic beyond picking the instruction.
#ifndef CLINUX_H
#define CLINUX_H

// _GNU_SOURCE stays undefined: Glibc's overlay is built without it, and headers seen in two forms are an error as soon as
// both modules are imported. What it would show is declared or called by number here.

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

// Asks the processor to fetch a cache line that will be read soon. Any address is allowed.
static inline void clinux_prefetch(const void *address) { __builtin_prefetch(address); }

// epoll_pwait2 waits in nanoseconds; glibc 2.35 has it, older ones only the system call (441 everywhere).
static inline int clinux_epoll_wait_ns(int epfd, struct epoll_event *events, int max, int64_t timeout_ns) {
  struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  return (int)syscall(441, epfd, events, max, timeout_ns < 0 ? NULL : &limit, NULL, (size_t)0);
}

static inline void clinux_epoll_event_set(struct epoll_event *event, uint32_t events, uint64_t data) {
  event->events = events;
  event->data.u64 = data;
}

static inline uint64_t clinux_epoll_event_data(const struct epoll_event *event) { return event->data.u64; }

static inline int clinux_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }

static inline int clinux_set_nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK); }

// A signalfd for SIGTERM, SIGINT and SIGHUP, with these blocked in the calling thread and in all it starts later.
static inline int clinux_termination_signals_fd(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// The number of the next waiting signal; -1 when there is none.
static inline int clinux_next_signal(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : -1;
}

// In glibc's headers only with _GNU_SOURCE.
int accept4(int, struct sockaddr *, socklen_t *, int);

static inline int clinux_accept(int listener) {
  return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// Waits until one descriptor is readable; negative: no limit.
static inline int clinux_wait_readable_ns(int fd, int64_t timeout_ns) {
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  return (int)syscall(SYS_ppoll, &watched, 1, timeout_ns < 0 ? NULL : &limit, NULL, (size_t)0);
}

static inline int clinux_wait_writable_ns(int fd, int64_t timeout_ns) {
  struct pollfd watched = {.fd = fd, .events = POLLOUT};
  struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  return (int)syscall(SYS_ppoll, &watched, 1, timeout_ns < 0 ? NULL : &limit, NULL, (size_t)0);
}

static inline int clinux_ignore_sigpipe(void) { return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0; }

// Raises the limit of open files to the hard maximum and gives the new limit, or -1.
static inline long clinux_raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  return (long)limit.rlim_cur;
}

static inline int clinux_name_this_thread(const char *name) { return prctl(PR_SET_NAME, name, 0UL, 0UL, 0UL); }

// Timer slack of 1 ns: waits end when they are asked to, not up to 50 us later.
static inline int clinux_set_precise_timers(void) { return prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

// A descriptor that becomes readable when the wall clock is set. Arming it again is also what clears it.
static inline int clinux_clock_watch_arm(int fd) {
  struct itimerspec far = {.it_value = {.tv_sec = (time_t)1 << 40}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static inline int clinux_clock_watch_fd(void) {
  int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd >= 0) clinux_clock_watch_arm(fd);
  return fd;
}

#if defined(__x86_64__)
static inline int clinux_has_crc32c(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) static inline uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count) {
  const unsigned char *p = (const unsigned char *)bytes;
  uint64_t state = crc;
  while (count >= 8) {
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    state = __builtin_ia32_crc32di(state, word);
    p += 8;
    count -= 8;
  }
  uint32_t narrow = (uint32_t)state;
  while (count > 0) {
    narrow = __builtin_ia32_crc32qi(narrow, *p);
    p += 1;
    count -= 1;
  }
  return narrow;
}
#else
static inline int clinux_has_crc32c(void) { return 0; }
static inline uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return crc;
}
#endif

#endif
