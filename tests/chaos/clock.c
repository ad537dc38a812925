/* Preloaded into one process: its wall clock is wrong by what a file says, in seconds.
   Nothing else changes; libfaketime's other tricks make threads of SQLite spin. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long wrong(long now) {
  static volatile long read_at, offset;
  if (now != read_at) { /* once a second */
    const char *path = getenv("CLOCK_FILE");
    char text[32] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
      if (read(file, text, sizeof text - 1) > 0) offset = atol(text);
      close(file);
    }
    read_at = now;
  }
  return offset;
}

int clock_gettime(clockid_t id, struct timespec *at) {
  int done = (int)syscall(SYS_clock_gettime, id, at);
  if (done == 0 && id == CLOCK_REALTIME) at->tv_sec += wrong(at->tv_sec);
  return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
