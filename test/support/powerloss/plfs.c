// plfs.c - run a command with directory D behind a FUSE passthrough that records, in one total
// order and with the bytes, every change made below D and every fsync. The trace is replayed by
// trace.ts into what D could look like after a power cut at any point. It can also inject faults.
//
//   plfs --dir D --trace T [--faults SPEC] [--real-sync] [--linger SEC] -- CMD...
//
// It speaks the kernel's FUSE protocol directly (linux/fuse.h): no libfuse, only gcc, /dev/fuse and
// root (or a user namespace). The mount lives in CMD's private mount namespace, on top of D itself:
// nothing else sees it and nothing is left mounted afterwards. One thread serves all requests, so
// the order in the trace is the order in which things happened.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WRITE (1u << 20)
#define BUF_SIZE (MAX_WRITE + (1u << 16))

// ---- trace format: little endian; a 96-byte header, then name1, name2, data (see records.ts) ----
enum { R_META = 1, R_BASE_END, R_CREATE, R_MKDIR, R_SYMLINK, R_LINK, R_UNLINK, R_RMDIR, R_RENAME,
       R_WRITE, R_SIZE, R_ZERO, R_CHMOD, R_FSYNC, R_FSYNCDIR, R_FAULT, R_END };
enum { F_SYNC = 1 /* write through O_SYNC/O_DSYNC */, F_DATASYNC = 2, F_MMAP = 4 };

struct rec {
  uint32_t magic, total;           // "PLR1", bytes of the whole record
  uint8_t op, flags; uint16_t err; // err: errno of an injected failure
  uint32_t pid;
  uint64_t seq, t_start, t_done, t_wall; // ns: CLOCK_MONOTONIC (request taken / before reply), CLOCK_REALTIME
  uint64_t ino, a, b;              // ino: file or parent directory; a, b: by op
  uint32_t mode; uint16_t n1, n2; uint32_t ndata, pad;
  uint64_t pad2;
};
_Static_assert(sizeof(struct rec) == 96, "record header");

struct node {
  uint64_t id, nlookup;
  int fd;                          // O_PATH: pins the backing inode
  dev_t dev; ino_t ino;
  char *name;                      // last known base name, for fault globs
  struct node *next;
};
#define NHASH 65536
static struct node *hash[NHASH], **nodes;
static uint64_t nnodes, cap_nodes;

static int dev_fd, trace_fd, real_sync, verbose;
static mode_t cmd_umask;
static uint64_t seq, t_req;        // t_req: when the current request was taken
static uint32_t req_pid;
static uint64_t file_bytes;        // bytes below D, for enospc
static char *faults_path;

static uint64_t now(clockid_t c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static void die(const char *f, ...) {
  va_list ap; va_start(ap, f); int e = errno;
  fprintf(stderr, "powerloss: "); vfprintf(stderr, f, ap); if (e) fprintf(stderr, ": %s", strerror(e)); fputc('\n', stderr);
  exit(125);
}
static void warn(const char *f, ...) { va_list ap; va_start(ap, f); fprintf(stderr, "powerloss: "); vfprintf(stderr, f, ap); fputc('\n', stderr); va_end(ap); }

static void record(int op, int flags, int err, uint64_t ino, uint64_t a, uint64_t b, uint32_t mode,
                   const char *n1, const char *n2, const void *data, size_t len) {
  struct rec r = { .magic = 0x31524c50, .op = op, .flags = flags, .err = err, .pid = req_pid, .seq = seq++,
    .t_start = t_req, .t_done = now(CLOCK_MONOTONIC), .t_wall = now(CLOCK_REALTIME), .ino = ino, .a = a, .b = b,
    .mode = mode, .n1 = n1 ? strlen(n1) : 0, .n2 = n2 ? strlen(n2) : 0, .ndata = len };
  r.total = sizeof r + r.n1 + r.n2 + len;
  struct iovec v[4] = { { &r, sizeof r }, { (void *)n1, r.n1 }, { (void *)n2, r.n2 }, { (void *)data, len } };
  int i = 0;
  while (i < 4) {                  // a trace that cannot be written is worthless: stop at once
    ssize_t n = writev(trace_fd, v + i, 4 - i);
    if (n < 0) { if (errno == EINTR) continue; die("trace write failed"); }
    while (i < 4 && (size_t)n >= v[i].iov_len) n -= v[i++].iov_len;
    if (i < 4) { v[i].iov_base = (char *)v[i].iov_base + n; v[i].iov_len -= n; }
  }
}

// ---- faults: "enospc=BYTES,eio-fsync=N[+][:GLOB],eio-write=N[+][:GLOB],eio-read=N[+][:GLOB],short=N[:GLOB],slow-fsync=MS[:GLOB]" ----
struct fault { char kind[16], glob[64]; uint64_t n, count, id, at; int from, met; };
static struct fault faults[16]; static int nfaults;
static struct timespec faults_mtime;

static void parse_faults(const char *spec) {
  char *s = strdup(spec), *save, *p; nfaults = 0;
  for (p = strtok_r(s, ", \n", &save); p && nfaults < 16; p = strtok_r(NULL, ", \n", &save)) {
    struct fault f = { .glob = "*" };
    char *eq = strchr(p, '='), *c = strchr(p, ':');
    if (c) { *c = 0; snprintf(f.glob, sizeof f.glob, "%s", c + 1); }
    if (eq) { *eq = 0; char *end; f.n = strtoull(eq + 1, &end, 10); f.from = *end == '+'; }
    snprintf(f.kind, sizeof f.kind, "%s", p);
    if (strcmp(p, "enospc") && strcmp(p, "eio-fsync") && strcmp(p, "eio-write") && strcmp(p, "eio-read") && strcmp(p, "short") && strcmp(p, "slow-fsync"))
      { errno = 0; die("unknown fault '%s'", p); }
    faults[nfaults++] = f;
  }
  free(s);
}
static void reload_faults(void) { // `powerloss fault` replaces this file while CMD runs
  struct stat st;
  if (stat(faults_path, &st) < 0) { return; }
  if (!memcmp(&st.st_mtim, &faults_mtime, sizeof faults_mtime)) return;
  faults_mtime = st.st_mtim;
  char b[1024] = ""; int fd = open(faults_path, O_RDONLY | O_CLOEXEC); if (fd < 0) return;
  ssize_t n = read(fd, b, sizeof b - 1); close(fd); if (n < 0) return; b[n] = 0;
  parse_faults(b);
}
static struct fault *fault(const char *kind, struct node *n) { // the rule that fires now, if any
  for (int i = 0; i < nfaults; i++) {
    struct fault *f = &faults[i];
    if (strcmp(f->kind, kind) || fnmatch(f->glob, n->name ? n->name : "", 0)) continue;
    f->count++;
    if (!strcmp(kind, "short") ? f->n && f->count % f->n == 0 : !strcmp(kind, "slow-fsync") || f->count == f->n || (f->from && f->count > f->n)) return f;
  }
  return NULL;
}
// A kernel may hand over one write in parts, and says of a failed part only that the write was short: whoever carries on with
// the rest of it must meet the failure there, as a disk would have it.
static struct fault *write_fault(struct node *n, uint64_t at) {
  for (int i = 0; i < nfaults; i++) {
    struct fault *f = &faults[i];
    if (f->met && f->id == n->id && f->at == at) { f->met = 0; return f; }
  }
  struct fault *f = fault("eio-write", n);
  if (f) { f->met = 1; f->id = n->id; f->at = at; }
  return f;
}
static uint64_t room(void) {       // bytes that files below D may still grow by
  for (int i = 0; i < nfaults; i++) if (!strcmp(faults[i].kind, "enospc")) return faults[i].n > file_bytes ? faults[i].n - file_bytes : 0;
  return UINT64_MAX;
}

// ---- nodes ----
static struct node *node(uint64_t id) { return id && id <= nnodes ? nodes[id - 1] : NULL; }
static char *procfd(int fd) { static char b[2][32]; static int i; i ^= 1; snprintf(b[i], 32, "/proc/self/fd/%d", fd); return b[i]; }
static uint64_t fsize(int fd) { struct stat st; return fstat(fd, &st) ? 0 : S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0; }

static struct node *find(const struct stat *st) {
  for (struct node *n = hash[st->st_ino % NHASH]; n; n = n->next) if (n->ino == st->st_ino && n->dev == st->st_dev) return n;
  return NULL;
}
static struct node *intern(int fd, const struct stat *st, const char *name) { // takes fd
  struct node *n = find(st);
  if (n) close(fd);
  else {
    n = calloc(1, sizeof *n);
    if (nnodes == cap_nodes) nodes = realloc(nodes, (cap_nodes = cap_nodes ? cap_nodes * 2 : 1024) * sizeof *nodes);
    n->fd = fd; n->dev = st->st_dev; n->ino = st->st_ino; nodes[nnodes++] = n; n->id = nnodes;
    n->next = hash[n->ino % NHASH]; hash[n->ino % NHASH] = n;
  }
  if (name && (!n->name || strcmp(n->name, name))) { free(n->name); n->name = strdup(name); }
  return n;
}
static struct node *lookup(struct node *dir, const char *name, struct stat *st) { // NULL + errno
  int fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return NULL;
  if (fstat(fd, st) < 0) { int e = errno; close(fd); errno = e; return NULL; }
  return intern(fd, st, name);
}
static void forget(uint64_t id, uint64_t n) { // inodes still linked stay known for the whole run: trace ids must not change
  struct node *o = node(id); struct stat st;
  if (!o || id == FUSE_ROOT_ID) return;
  o->nlookup -= n < o->nlookup ? n : o->nlookup;
  if (o->nlookup || fstat(o->fd, &st) || st.st_nlink) return;
  struct node **p = &hash[o->ino % NHASH]; while (*p != o) p = &(*p)->next;
  *p = o->next; nodes[id - 1] = NULL; close(o->fd); free(o->name); free(o);
}

// ---- what is there before the run: recorded as operations, all durable ----
static void snapshot(struct node *dir) {
  int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); if (fd < 0) die("open directory");
  DIR *d = fdopendir(fd); struct dirent *e; static char buf[MAX_WRITE];
  while ((e = readdir(d))) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    struct stat st; uint64_t known = nnodes;
    struct node *n = lookup(dir, e->d_name, &st); if (!n) continue;
    if (n->id <= known) { record(R_LINK, 0, 0, dir->id, 0, n->id, 0, e->d_name, NULL, NULL, 0); continue; }
    if (S_ISDIR(st.st_mode)) { record(R_MKDIR, 0, 0, dir->id, 0, n->id, st.st_mode, e->d_name, NULL, NULL, 0); snapshot(n); }
    else if (S_ISLNK(st.st_mode)) {
      ssize_t l = readlinkat(n->fd, "", buf, sizeof buf - 1); buf[l < 0 ? 0 : l] = 0;
      record(R_SYMLINK, 0, 0, dir->id, 0, n->id, 0, e->d_name, buf, NULL, 0);
    } else {
      record(R_CREATE, 0, 0, dir->id, 0, n->id, st.st_mode, e->d_name, NULL, NULL, 0);
      if (!S_ISREG(st.st_mode)) continue;
      int f = open(procfd(n->fd), O_RDONLY | O_CLOEXEC); ssize_t l; uint64_t off = 0;
      if (f < 0) die("open %s", e->d_name);
      while ((l = pread(f, buf, sizeof buf, off)) > 0) { record(R_WRITE, 0, 0, n->id, off, 0, 0, NULL, NULL, buf, l); off += l; }
      close(f); file_bytes += off;
    }
  }
  closedir(d);
}

// ---- replies ----
static void reply(uint64_t unique, int err, const void *p, size_t n) {
  struct fuse_out_header h = { .len = sizeof h + (err ? 0 : n), .error = -err, .unique = unique };
  struct iovec v[2] = { { &h, sizeof h }, { (void *)p, err ? 0 : n } };
  if (writev(dev_fd, v, 2) < 0 && errno != ENOENT && errno != ENODEV) warn("reply: %s", strerror(errno));
}
static void fill_attr(struct fuse_attr *a, const struct stat *st) {
  *a = (struct fuse_attr){ .ino = st->st_ino, .size = st->st_size, .blocks = st->st_blocks, .atime = st->st_atim.tv_sec,
    .mtime = st->st_mtim.tv_sec, .ctime = st->st_ctim.tv_sec, .atimensec = st->st_atim.tv_nsec, .mtimensec = st->st_mtim.tv_nsec,
    .ctimensec = st->st_ctim.tv_nsec, .mode = st->st_mode, .nlink = st->st_nlink, .uid = st->st_uid, .gid = st->st_gid,
    .rdev = st->st_rdev, .blksize = st->st_blksize };
}
static void fill_entry(struct fuse_entry_out *o, struct node *n, const struct stat *st) {
  memset(o, 0, sizeof *o); n->nlookup++;
  o->nodeid = n->id; o->entry_valid = o->attr_valid = 3600; fill_attr(&o->attr, st);
}
static void reply_entry(uint64_t u, struct node *n, const struct stat *st) { struct fuse_entry_out o; fill_entry(&o, n, st); reply(u, 0, &o, sizeof o); }
static void reply_attr(uint64_t u, struct node *n) {
  struct stat st; struct fuse_attr_out o = { .attr_valid = 3600 };
  if (fstat(n->fd, &st) < 0) { reply(u, errno, NULL, 0); return; }
  fill_attr(&o.attr, &st); reply(u, 0, &o, sizeof o);
}

// ---- operations with more to them than one call ----
static void do_setattr(struct fuse_in_header *h, struct node *n, struct fuse_setattr_in *in) {
  if (in->valid & FATTR_SIZE) {
    uint64_t old = fsize(n->fd), grow = in->size > old ? in->size - old : 0;
    if (grow > room()) { record(R_FAULT, 0, ENOSPC, n->id, 0, 0, 0, "truncate", NULL, NULL, 0); reply(h->unique, ENOSPC, NULL, 0); return; }
    if (truncate(procfd(n->fd), in->size) < 0) { reply(h->unique, errno, NULL, 0); return; }
    file_bytes += in->size - old;
    record(R_SIZE, 0, 0, n->id, in->size, 0, 0, NULL, NULL, NULL, 0);
  }
  if (in->valid & (FATTR_UID | FATTR_GID) &&
      fchownat(n->fd, "", in->valid & FATTR_UID ? in->uid : (uid_t)-1, in->valid & FATTR_GID ? in->gid : (gid_t)-1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
    { reply(h->unique, errno, NULL, 0); return; }
  if (in->valid & FATTR_MODE) {
    if (chmod(procfd(n->fd), in->mode & 07777) < 0) { reply(h->unique, errno, NULL, 0); return; }
    record(R_CHMOD, 0, 0, n->id, 0, 0, in->mode, NULL, NULL, NULL, 0);
  }
  if (in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)) {
    struct timespec t[2] = { { in->atime, in->valid & FATTR_ATIME_NOW ? UTIME_NOW : in->valid & FATTR_ATIME ? (long)in->atimensec : UTIME_OMIT },
                             { in->mtime, in->valid & FATTR_MTIME_NOW ? UTIME_NOW : in->valid & FATTR_MTIME ? (long)in->mtimensec : UTIME_OMIT } };
    utimensat(AT_FDCWD, procfd(n->fd), t, 0); // a symlink's own times are not kept
  }
  reply_attr(h->unique, n);
}

static void do_write(struct fuse_in_header *h, struct node *n, struct fuse_write_in *in, char *data) {
  size_t len = in->size; struct fault *f;
  if ((f = write_fault(n, in->offset))) { record(R_FAULT, 0, EIO, n->id, in->offset, 0, 0, "write", NULL, NULL, 0); reply(h->unique, EIO, NULL, 0); return; }
  uint64_t old = fsize(n->fd), end = in->offset + len, r = room();
  if (end > old && end - old > r) {  // a full disk: what still fits is written, then ENOSPC
    uint64_t fit = old + r > in->offset ? old + r - in->offset : 0;
    record(R_FAULT, 0, ENOSPC, n->id, in->offset, fit, 0, "write", NULL, NULL, 0);
    if (!fit) { reply(h->unique, ENOSPC, NULL, 0); return; }
    len = fit;
  } else if (len > 1 && !(in->write_flags & FUSE_WRITE_CACHE) && (f = fault("short", n))) {
    len /= 2; record(R_FAULT, 0, 0, n->id, in->offset, len, 0, "short", NULL, NULL, 0);
  }
  ssize_t w = pwrite((int)in->fh, data, len, in->offset);
  if (w < 0) { reply(h->unique, errno, NULL, 0); return; }
  end = in->offset + w; if (end > old) file_bytes += end - old;
  record(R_WRITE, (in->flags & (O_DSYNC | O_SYNC) ? F_SYNC : 0) | (in->write_flags & FUSE_WRITE_CACHE ? F_MMAP : 0), 0, n->id, in->offset, 0, 0, NULL, NULL, data, w);
  struct fuse_write_out o = { .size = w }; reply(h->unique, 0, &o, sizeof o);
}

static void do_fsync(struct fuse_in_header *h, struct node *n, struct fuse_fsync_in *in, int dir) {
  struct fault *f; int fl = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? F_DATASYNC : 0;
  if ((f = fault("slow-fsync", n))) { struct timespec t = { f->n / 1000, f->n % 1000 * 1000000 }; nanosleep(&t, NULL); }
  if ((f = fault("eio-fsync", n))) { record(dir ? R_FSYNCDIR : R_FSYNC, fl, EIO, n->id, 0, 0, 0, NULL, NULL, NULL, 0); reply(h->unique, EIO, NULL, 0); return; }
  if (real_sync) {
    int fd = open(procfd(n->fd), O_RDONLY | O_CLOEXEC), e = fd < 0 || (fl ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (e) { reply(h->unique, e, NULL, 0); return; }
  }
  record(dir ? R_FSYNCDIR : R_FSYNC, fl, 0, n->id, 0, 0, 0, NULL, NULL, NULL, 0);
  reply(h->unique, 0, NULL, 0);
}

static void do_create(struct fuse_in_header *h, struct node *dir, struct fuse_create_in *in, const char *name) {
  struct stat st;
  int fd = openat(dir->fd, name, (in->flags & (O_ACCMODE | O_SYNC | O_DSYNC)) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, in->mode & 07777);
  if (fd < 0) { reply(h->unique, errno, NULL, 0); return; }
  if (h->uid || h->gid) if (fchown(fd, h->uid, h->gid)) {}
  struct node *n = lookup(dir, name, &st);
  if (!n) { reply(h->unique, errno, NULL, 0); close(fd); return; }
  record(R_CREATE, 0, 0, dir->id, 0, n->id, st.st_mode, name, NULL, NULL, 0);
  struct { struct fuse_entry_out e; struct fuse_open_out o; } out = { .o = { .fh = fd, .open_flags = FOPEN_KEEP_CACHE } };
  fill_entry(&out.e, n, &st); reply(h->unique, 0, &out, sizeof out);
}
static void do_make(struct fuse_in_header *h, struct node *dir, int op, const char *name, const char *target, mode_t mode, dev_t rdev) {
  struct stat st;
  int r = op == R_MKDIR ? mkdirat(dir->fd, name, mode & 07777) : op == R_SYMLINK ? symlinkat(target, dir->fd, name) : mknodat(dir->fd, name, mode, rdev);
  if (r < 0) { reply(h->unique, errno, NULL, 0); return; }
  if (h->uid || h->gid) if (fchownat(dir->fd, name, h->uid, h->gid, AT_SYMLINK_NOFOLLOW)) {}
  struct node *n = lookup(dir, name, &st);
  if (!n) { reply(h->unique, errno, NULL, 0); return; }
  record(op, 0, 0, dir->id, 0, n->id, st.st_mode, name, target, NULL, 0);
  reply_entry(h->unique, n, &st);
}
static void drop_bytes(const struct stat *st) { if (S_ISREG(st->st_mode) && st->st_nlink == 1) file_bytes -= st->st_size; }

static void do_unlink(struct fuse_in_header *h, struct node *dir, const char *name, int isdir) {
  struct stat st; struct node *n = lookup(dir, name, &st);
  if (!n || unlinkat(dir->fd, name, isdir ? AT_REMOVEDIR : 0) < 0) { reply(h->unique, errno, NULL, 0); return; }
  drop_bytes(&st);
  record(isdir ? R_RMDIR : R_UNLINK, 0, 0, dir->id, 0, n->id, 0, name, NULL, NULL, 0);
  reply(h->unique, 0, NULL, 0);
}
static void do_rename(struct fuse_in_header *h, struct node *d1, uint64_t to, unsigned flags, const char *n1) {
  const char *n2 = n1 + strlen(n1) + 1; struct node *d2 = node(to), *m, *old; struct stat st, so;
  if (!d2) { reply(h->unique, ESTALE, NULL, 0); return; }
  m = lookup(d1, n1, &st); int e = errno; old = lookup(d2, n2, &so);
  if (!m) { reply(h->unique, e, NULL, 0); return; }
  if (renameat2(d1->fd, n1, d2->fd, n2, flags) < 0) { reply(h->unique, errno, NULL, 0); return; }
  if (old && old != m && !(flags & RENAME_EXCHANGE)) drop_bytes(&so);
  if (old && flags & RENAME_EXCHANGE) { free(old->name); old->name = strdup(n1); }
  free(m->name); m->name = strdup(n2);
  if (m != old) record(R_RENAME, 0, 0, d1->id, d2->id, m->id, flags, n1, n2, NULL, 0); // same inode: a no-op
  reply(h->unique, 0, NULL, 0);
}
static void do_readdir(struct fuse_in_header *h, struct fuse_read_in *in) {
  static char out[65536]; size_t n = 0, max = in->size < sizeof out ? in->size : sizeof out;
  DIR *d = (DIR *)(uintptr_t)in->fh; struct dirent *e;
  if (in->offset) seekdir(d, in->offset); else rewinddir(d);
  while ((e = readdir(d))) {
    size_t l = strlen(e->d_name), sz = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + l);
    if (n + sz > max) break;
    struct fuse_dirent *o = (void *)(out + n);
    memset(o, 0, sz); o->ino = e->d_ino; o->off = telldir(d); o->namelen = l; o->type = e->d_type; memcpy(o->name, e->d_name, l);
    n += sz;
  }
  reply(h->unique, 0, out, n);
}
static void do_fallocate(struct fuse_in_header *h, struct node *n, struct fuse_fallocate_in *in) {
  uint64_t old = fsize(n->fd), end = in->offset + in->length; int hole = in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
  if (in->mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) { reply(h->unique, EOPNOTSUPP, NULL, 0); return; }
  uint64_t grow = !(in->mode & FALLOC_FL_KEEP_SIZE) && end > old ? end - old : 0;
  if (grow > room()) { record(R_FAULT, 0, ENOSPC, n->id, 0, 0, 0, "fallocate", NULL, NULL, 0); reply(h->unique, ENOSPC, NULL, 0); return; }
  if (fallocate((int)in->fh, in->mode, in->offset, in->length) < 0) { reply(h->unique, errno, NULL, 0); return; }
  if (hole) record(R_ZERO, 0, 0, n->id, in->offset, end < old ? in->length : old > in->offset ? old - in->offset : 0, 0, NULL, NULL, NULL, 0);
  if (grow) { file_bytes += grow; record(R_SIZE, 0, 0, n->id, end, 0, 0, NULL, NULL, NULL, 0); }
  reply(h->unique, 0, NULL, 0);
}

static void serve(char *buf) {
  struct fuse_in_header *h = (void *)buf; void *in = h + 1; char *name = in; uint64_t u = h->unique; struct stat st;
  struct node *n = node(h->nodeid), *m; static char rbuf[MAX_WRITE];
  t_req = now(CLOCK_MONOTONIC); req_pid = h->pid;
  if (verbose) fprintf(stderr, "op %u node %lu\n", h->opcode, (unsigned long)h->nodeid);
  switch (h->opcode) {
  case FUSE_INIT: {
    struct fuse_init_in *i = in;
    struct fuse_init_out o = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = i->max_readahead,
      .flags = i->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS), .max_background = 16,
      .congestion_threshold = 12, .max_write = MAX_WRITE, .time_gran = 1, .max_pages = MAX_WRITE / 4096 };
    reply(u, 0, &o, sizeof o); return; }
  case FUSE_FORGET: forget(h->nodeid, ((struct fuse_forget_in *)in)->nlookup); return;
  case FUSE_BATCH_FORGET: { struct fuse_batch_forget_in *b = in; struct fuse_forget_one *f = (void *)(b + 1);
    for (unsigned i = 0; i < b->count; i++) forget(f[i].nodeid, f[i].nlookup);
    return; }
  case FUSE_INTERRUPT: return;
  case FUSE_DESTROY: reply(u, 0, NULL, 0); return;
  }
  if (!n) { reply(u, ESTALE, NULL, 0); return; }
  if (h->opcode != FUSE_LOOKUP && h->opcode != FUSE_GETATTR && h->opcode != FUSE_READ) reload_faults();
  switch (h->opcode) {
  case FUSE_LOOKUP: if ((m = lookup(n, name, &st))) reply_entry(u, m, &st); else reply(u, errno, NULL, 0); return;
  case FUSE_GETATTR: reply_attr(u, n); return;
  case FUSE_SETATTR: do_setattr(h, n, in); return;
  case FUSE_READLINK: { ssize_t l = readlinkat(n->fd, "", rbuf, 4096); reply(u, l < 0 ? errno : 0, rbuf, l < 0 ? 0 : l); return; }
  case FUSE_SYMLINK: do_make(h, n, R_SYMLINK, name, name + strlen(name) + 1, 0, 0); return;
  case FUSE_MKDIR: { struct fuse_mkdir_in *i = in; do_make(h, n, R_MKDIR, (char *)(i + 1), NULL, i->mode, 0); return; }
  case FUSE_MKNOD: { struct fuse_mknod_in *i = in; do_make(h, n, R_CREATE, (char *)(i + 1), NULL, i->mode, i->rdev); return; }
  case FUSE_CREATE: { struct fuse_create_in *i = in; do_create(h, n, i, (char *)(i + 1)); return; }
  case FUSE_UNLINK: do_unlink(h, n, name, 0); return;
  case FUSE_RMDIR: do_unlink(h, n, name, 1); return;
  case FUSE_RENAME: { struct fuse_rename_in *i = in; do_rename(h, n, i->newdir, 0, (char *)(i + 1)); return; }
  case FUSE_RENAME2: { struct fuse_rename2_in *i = in; do_rename(h, n, i->newdir, i->flags, (char *)(i + 1)); return; }
  case FUSE_LINK: { struct fuse_link_in *i = in; char *nm = (char *)(i + 1);
    if (!(m = node(i->oldnodeid))) { reply(u, ESTALE, NULL, 0); return; }
    if (linkat(AT_FDCWD, procfd(m->fd), n->fd, nm, AT_SYMLINK_FOLLOW) < 0 || !(m = lookup(n, nm, &st))) { reply(u, errno, NULL, 0); return; }
    record(R_LINK, 0, 0, n->id, 0, m->id, 0, nm, NULL, NULL, 0); reply_entry(u, m, &st); return; }
  case FUSE_OPEN: {
    int fl = ((struct fuse_open_in *)in)->flags & (O_ACCMODE | O_SYNC | O_DSYNC | O_NOATIME), fd = open(procfd(n->fd), fl | O_CLOEXEC);
    struct fuse_open_out o = { .fh = fd, .open_flags = FOPEN_KEEP_CACHE };
    reply(u, fd < 0 ? errno : 0, &o, sizeof o); return; }
  case FUSE_READ: { struct fuse_read_in *i = in;
    if (fault("eio-read", n)) { record(R_FAULT, 0, EIO, n->id, i->offset, 0, 0, "read", NULL, NULL, 0); reply(u, EIO, NULL, 0); return; }
    ssize_t l = pread((int)i->fh, rbuf, i->size < sizeof rbuf ? i->size : sizeof rbuf, i->offset);
    reply(u, l < 0 ? errno : 0, rbuf, l < 0 ? 0 : l); return; }
  case FUSE_WRITE: { struct fuse_write_in *i = in; do_write(h, n, i, (char *)(i + 1)); return; }
  case FUSE_FLUSH: reply(u, 0, NULL, 0); return;
  case FUSE_RELEASE: close((int)((struct fuse_release_in *)in)->fh); reply(u, 0, NULL, 0); return;
  case FUSE_FSYNC: do_fsync(h, n, in, 0); return;
  case FUSE_FSYNCDIR: do_fsync(h, n, in, 1); return;
  case FUSE_OPENDIR: { int fd = openat(n->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct fuse_open_out o = { .fh = (uintptr_t)d }; reply(u, d ? 0 : errno, &o, sizeof o); return; }
  case FUSE_READDIR: do_readdir(h, in); return;
  case FUSE_RELEASEDIR: closedir((DIR *)(uintptr_t)((struct fuse_release_in *)in)->fh); reply(u, 0, NULL, 0); return;
  case FUSE_STATFS: { struct statvfs s; struct fuse_statfs_out o = { 0 };
    if (statvfs(procfd(nodes[0]->fd), &s) < 0) { reply(u, errno, NULL, 0); return; }
    o.st = (struct fuse_kstatfs){ .blocks = s.f_blocks, .bfree = s.f_bfree, .bavail = s.f_bavail, .files = s.f_files, .ffree = s.f_ffree,
      .bsize = s.f_bsize, .namelen = s.f_namemax, .frsize = s.f_frsize };
    uint64_t r = room(); if (r != UINT64_MAX) o.st.bfree = o.st.bavail = r / s.f_frsize;
    reply(u, 0, &o, sizeof o); return; }
  case FUSE_FALLOCATE: do_fallocate(h, n, in); return;
  default: reply(u, ENOSYS, NULL, 0); // xattr, locks (then kept by the kernel), ioctl, copy_file_range, ...: the kernel copes
  }
}

// ---- start, mount in the child's own namespace, serve, stop ----
static void put(const char *path, const char *f, ...) { char b[64]; va_list ap; va_start(ap, f); int n = vsnprintf(b, 64, f, ap); va_end(ap);
  int fd = open(path, O_WRONLY | O_CLOEXEC); if (fd < 0 || write(fd, b, n) < 0) die("%s", path); close(fd); }

static pid_t start(char *dir, char **cmd) {
  char *cwd = get_current_dir_name(); uid_t uid = geteuid(); gid_t gid = getegid(); int go[2]; char c;
  if (pipe2(go, O_CLOEXEC) < 0) die("pipe");
  pid_t parent = getpid(), pid = fork(); if (pid < 0) die("fork");
  if (pid) { close(go[0]); if (write(go[1], "g", 1) != 1) die("pipe"); close(go[1]); return pid; }
  prctl(PR_SET_PDEATHSIG, SIGKILL); if (getppid() != parent) _exit(125);
  sigset_t none; sigemptyset(&none); sigprocmask(SIG_SETMASK, &none, NULL);
  if (read(go[0], &c, 1) != 1) _exit(125);
  if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0) die("unshare (root or user namespaces needed)");
  if (uid) { put("/proc/self/setgroups", "deny"); put("/proc/self/uid_map", "%d %d 1", uid, uid); put("/proc/self/gid_map", "%d %d 1", gid, gid); }
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
  char opt[160]; snprintf(opt, sizeof opt, "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other,default_permissions", dev_fd, uid, gid);
  if (mount("powerloss", dir, "fuse.powerloss", MS_NOSUID | MS_NODEV, opt) < 0) die("mount on %s", dir);
  if (chdir(cwd) < 0) die("chdir %s", cwd);  // cwd may lie below D: enter it again, through the mount
  umask(cmd_umask); setenv("POWERLOSS_DIR", dir, 1);
  execvp(cmd[0], cmd); die("%s", cmd[0]); return 0;
}
static void kill_children(int sig) { // what CMD left behind has become our child (subreaper)
  char path[64], b[4096] = "", *p = b; snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
  int fd = open(path, O_RDONLY | O_CLOEXEC); if (fd < 0) return;
  ssize_t n = read(fd, b, sizeof b - 1); close(fd); if (n <= 0) return; b[n] = 0;
  for (long pid; (pid = strtol(p, &p, 10)) > 0;) { warn("still running after the command ended: %ld (killed)", pid); kill(pid, sig); }
}

int main(int argc, char **argv) {
  char *dir = NULL, *trace = NULL, *spec = getenv("POWERLOSS_FAULTS"); int linger = 5, i = 1;
  for (; i < argc && strcmp(argv[i], "--"); i++) {
    if (!strcmp(argv[i], "--real-sync")) real_sync = 1;
    else if (!strcmp(argv[i], "--verbose")) verbose = 1;
    else if (i + 1 >= argc) break;
    else if (!strcmp(argv[i], "--dir")) dir = argv[++i];
    else if (!strcmp(argv[i], "--trace")) trace = argv[++i];
    else if (!strcmp(argv[i], "--faults")) spec = argv[++i];
    else if (!strcmp(argv[i], "--linger")) linger = atoi(argv[++i]);
    else { errno = 0; die("unknown option %s", argv[i]); }
  }
  errno = 0;
  if (!dir || !trace || i + 1 >= argc) die("usage: powerloss run --dir D --trace T [--faults SPEC] [--real-sync] [--linger SEC] -- CMD...");
  char **cmd = argv + i + 1, *real = realpath(dir, NULL); if (!real) die("%s", dir);
  struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); struct rlimit want = { 1 << 20, 1 << 20 }, old = rl;
  if (setrlimit(RLIMIT_NOFILE, &want) < 0) { rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl); } // one fd per file below D
  if ((trace_fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0) die("%s", trace);
  char *rt = realpath(trace, NULL); size_t rl_ = strlen(real);
  if (rt && !strncmp(rt, real, rl_) && rt[rl_] == '/') { errno = 0; die("the trace must not lie below --dir"); }
  if (asprintf(&faults_path, "%s.faults", rt) < 0) die("memory");
  unlink(faults_path); if (spec) parse_faults(spec);
  cmd_umask = umask(0); prctl(PR_SET_CHILD_SUBREAPER, 1);

  struct stat st; int rfd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC); if (rfd < 0 || fstat(rfd, &st) < 0) die("%s", real);
  struct node *root = intern(rfd, &st, ""); root->nlookup = 1;
  t_req = now(CLOCK_MONOTONIC); record(R_META, 0, 0, 1, 1, 0, st.st_mode, real, cmd[0], NULL, 0);
  snapshot(root); record(R_BASE_END, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0);
  if ((dev_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)) < 0) die("/dev/fuse");

  sigset_t ss; sigemptyset(&ss); sigaddset(&ss, SIGCHLD); sigaddset(&ss, SIGTERM); sigaddset(&ss, SIGINT); sigaddset(&ss, SIGHUP);
  sigprocmask(SIG_BLOCK, &ss, NULL); int sfd = signalfd(-1, &ss, SFD_CLOEXEC | SFD_NONBLOCK);
  struct rlimit cur; getrlimit(RLIMIT_NOFILE, &cur); setrlimit(RLIMIT_NOFILE, &(struct rlimit){ old.rlim_cur, cur.rlim_max });
  pid_t pid = start(real, cmd); setrlimit(RLIMIT_NOFILE, &cur);

  char *buf = aligned_alloc(4096, BUF_SIZE); int status = 0, done = 0, killed = 0; uint64_t stop_at = 0;
  for (;;) {
    ssize_t n = read(dev_fd, buf, BUF_SIZE);
    if (n > 0) { serve(buf); continue; }
    if (n < 0 && errno == ENODEV) break; // unmounted: the last process of the namespace has ended
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOENT && errno != EPERM) { warn("read /dev/fuse: %s", strerror(errno)); break; }
    struct pollfd p[2] = { { dev_fd, POLLIN, 0 }, { sfd, POLLIN, 0 } };
    if (n < 0 && errno == EPERM) p[0].events = 0; // not mounted yet
    poll(p, 2, done ? 100 : p[0].events ? 1000 : 5);
    struct signalfd_siginfo si;
    while (read(sfd, &si, sizeof si) == sizeof si) {
      if (si.ssi_signo != SIGCHLD) { if (!done) kill(pid, si.ssi_signo); continue; }
      int s; pid_t w;
      while ((w = waitpid(-1, &s, WNOHANG)) > 0) if (w == pid) { status = s; done = 1; stop_at = now(CLOCK_MONOTONIC) + linger * 1000000000ull; }
    }
    if (done && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD && (p[0].revents & POLLERR)) break;
    if (done && now(CLOCK_MONOTONIC) > stop_at) {
      if (killed++) break;
      kill_children(SIGKILL); stop_at += 1000000000ull;
    }
  }
  while (!done) { int s; pid_t w = waitpid(-1, &s, 0); if (w == pid) { status = s; done = 1; } if (w < 0 && errno != EINTR) break; }
  t_req = now(CLOCK_MONOTONIC); record(R_END, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
