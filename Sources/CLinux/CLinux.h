// What Glibc's Swift overlay does not show: epoll, eventfd, a few calls that are variadic or take macros in C, and the
// processor's CRC-32C instruction. Header only; no state, no logic beyond picking the instruction.
#ifndef CLINUX_H
#define CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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

// Timer slack of 1 ns: waits end when they are asked to, not up to 50 us later.
static inline int clinux_set_precise_timers(void) { return prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

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
