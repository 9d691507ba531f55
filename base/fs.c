/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files. Failures are NV_RETRY + io: a disk, a mount or a permission may be repaired. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/id.h"

#define SECRET_MAX 4096u /* bytes */
#define READ_STEP 65536u
#define WRITE_BEHIND 8388608u /* bytes between write-back requests */
#define TREE_DEPTH_MAX 256    /* each level holds a descriptor */
#define TRIAL 65536u	      /* bytes; a quota is seen by writing only */
/* Less free space than this counts as full; on a small disk, less than a tenth of it. */
#define LOW_DISK (64ull << 20)

static int io_fail(struct nv_err *err, const char *doing, const char *path)
{
	return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "%s %s", doing, path);
}

/* Interprets errno after mkdir. */
static int not_made(const char *path, struct nv_err *err)
{
	struct stat st;

	if (errno != EEXIST)
		return io_fail(err, "make folder", path);
	if (stat(path, &st) < 0)
		return io_fail(err, "look at", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	errno = ENOTDIR;
	return io_fail(err, "make folder", path);
}

static int make_one(const char *path, mode_t mode, struct nv_err *err)
{
	return mkdir(path, mode) == 0 ? 0 : not_made(path, err);
}

int nv_mkdir_p(const char *path, mode_t mode, struct nv_err *err)
{
	nv_auto_free char *copy = NULL;

	/* Usually only the last component is missing, or none. */
	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != ENOENT)
		return not_made(path, err);
	copy = nv_strdup(path);
	for (char *p = copy + 1; *copy && *p; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		if (make_one(copy, mode, err) < 0)
			return -1;
		*p = '/';
	}
	return make_one(copy, mode, err);
}

static int remove_at(int parent, const char *name, const char *root, int depth, struct nv_err *err);

static int remove_entries(DIR *dir, const char *root, int depth, struct nv_err *err)
{
	for (;;) {
		struct dirent *e;

		errno = 0;
		e = readdir(dir); /* our own stream: no other thread reads it */
		if (!e)
			return errno ? io_fail(err, "read folder", root) : 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (remove_at(dirfd(dir), e->d_name, root, depth, err) < 0)
			return -1;
	}
}

/* By descriptor and O_NOFOLLOW, so that swapping a folder for a symbolic link meanwhile has no
 * effect.
 * */
static int remove_at(int parent, const char *name, const char *root, int depth, struct nv_err *err)
{
	int fd;
	int rc;
	DIR *dir;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return io_fail(err, "remove", root);
	if (depth >= TREE_DEPTH_MAX) {
		errno = ELOOP;
		return io_fail(err, "remove", root);
	}
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : io_fail(err, "remove", root);
	dir = fdopendir(fd);
	if (!dir) {
		rc = io_fail(err, "remove", root);
		close(fd);
		return rc;
	}
	rc = remove_entries(dir, root, depth + 1, err);
	closedir(dir);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = io_fail(err, "remove", root);
	return rc;
}

int nv_remove_tree(const char *path, struct nv_err *err)
{
	return remove_at(AT_FDCWD, path, path, 0, err);
}

int nv_read_file(const char *path, size_t max, struct nv_buf *ret, struct nv_err *err)
{
	nv_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	nv_auto_free uint8_t *step = NULL;
	size_t total = 0;

	if (fd < 0)
		return io_fail(err, "open", path);
	step = nv_alloc(READ_STEP);
	for (;;) {
		ssize_t n = read(fd, step, READ_STEP);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_fail(err, "read", path);
		total += (size_t)n;
		if (total > max)
			return nv_fail(err, NV_REJECT, NV_R_io, "read %s: more than %zu bytes",
				       path, max);
		nv_buf_put(ret, step, (size_t)n);
		if (n == 0)
			return 0;
	}
}

char *nv_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return nv_strdup(".");
	return nv_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Create temp with exactly mode (the umask does not count), and all of data on the disk. */
static int write_temp(const char *temp, const void *data, size_t len, mode_t mode,
		      struct nv_err *err)
{
	nv_auto_fd int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0600);

	if (fd < 0)
		return io_fail(err, "create", temp);
	if (fchmod(fd, mode) < 0)
		return io_fail(err, "set the mode of", temp);
	if (nv_write_all(fd, data, len, err) < 0) {
		nv_err_prefix(err, "%s", temp);
		return -1;
	}
	if (fsync(fd) < 0)
		return io_fail(err, "sync", temp);
	return 0;
}

int nv_write_file(const char *path, const void *data, size_t len, mode_t mode, struct nv_err *err)
{
	nv_auto_free char *folder = nv_folder_of(path);
	nv_auto_free char *temp = NULL;
	char token[NV_TOKEN_SIZE];

	nv_token_new(token);
	temp = nv_asprintf("%s.%s.tmp", path, token);
	if (write_temp(temp, data, len, mode, err) < 0)
		goto fail;
	if (rename(temp, path) < 0) {
		(void)nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "rename %s to %s", temp, path);
		goto fail;
	}
	return nv_fsync_dir(folder, err);
fail:
	(void)unlink(temp);
	return -1;
}

int nv_write_all(int fd, const void *data, size_t len, struct nv_err *err)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void nv_write_behind(int fd, uint64_t len, uint64_t *state)
{
	if (len < *state) /* it was begun anew */
		*state = 0;
	if (len - *state < WRITE_BEHIND)
		return;
	/* Advice only: if it fails, the sync does all the work. */
	(void)sync_file_range(fd, (off_t)*state, (off_t)(len - *state), SYNC_FILE_RANGE_WRITE);
	*state = len;
}

int nv_fsync_dir(const char *path, struct nv_err *err)
{
	nv_auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return io_fail(err, "open folder", path);
	/* Some network file systems cannot sync a folder, and say so by EINVAL. */
	if (fsync(fd) < 0 && errno != EINVAL)
		return io_fail(err, "sync folder", path);
	return 0;
}

void nv_need_descriptors(unsigned count)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= count)
		return;
	l.rlim_cur = count < l.rlim_max ? count : l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

int nv_lock_file(const char *path, bool wait, int *ret_fd, struct nv_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc;

	*ret_fd = -1;
	if (fd < 0)
		return io_fail(err, "open", path);
	do
		rc = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (rc < 0 && errno == EINTR);
	if (rc == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EWOULDBLOCK)
		rc = nv_fail(err, NV_HOLD, NV_R_busy, "lock %s: somebody else holds it", path);
	else
		rc = io_fail(err, "lock", path);
	close(fd);
	return rc;
}

static bool component_is_safe(const char *s, size_t len)
{
	if (len == 0 || len > 255)
		return false;
	if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f || c == '\\')
			return false;
	}
	return true;
}

bool nv_path_is_safe(const char *path)
{
	if (!path || strnlen(path, 1025) > 1024)
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!component_is_safe(path, len))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

bool nv_folder_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e = NULL;
	if (!dir)
		return false;
	while ((e = readdir(dir)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
		;
	closedir(dir);
	return !e;
}

int nv_disk_free(const char *path, uint64_t *ret_bytes, struct nv_err *err)
{
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return io_fail(err, "look at the disk of", path);
	*ret_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
	return 0;
}

static int try_to_write(const char *dir, struct nv_err *err)
{
	static const char nothing[TRIAL];
	char token[NV_TOKEN_SIZE];
	struct nv_err why = {0};
	nv_token_new(token);
	nv_auto_free char *path = nv_asprintf("%s/.room-%s", dir, token);
	int rc = nv_write_file(path, nothing, sizeof nothing, 0600, &why);
	unlink(path);
	if (rc == 0 || why.code == ENOENT)
		return 0;
	return nv_fail(err, NV_HOLD, why.reason, "%s", why.msg);
}

int nv_disk_look(const char *dir, struct nv_err *err)
{
	struct statvfs fs;
	if (statvfs(dir, &fs) < 0)
		return try_to_write(dir, err);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t tenth = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
	uint64_t least = tenth < LOW_DISK ? tenth : LOW_DISK;
	if (room < least)
		return nv_fail(err, NV_HOLD, NV_R_disk_full,
			       "%s: the disk is full, %llu bytes are free", dir,
			       (unsigned long long)room);
	return try_to_write(dir, err);
}

const char *nv_read_secret(struct nv_arena *a, const char *path, struct nv_buf *why)
{
	nv_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[SECRET_MAX + 1];
	const char *secret = NULL;
	struct stat st;
	ssize_t len;

	if (fd < 0 || fstat(fd, &st) < 0) {
		nv_buf_printf(why, "cannot be read (%s)", strerrordesc_np(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		nv_buf_puts(why, S_ISREG(st.st_mode) ? "may be used by group or others"
						     : "is not a regular file");
		return NULL;
	}
	len = read(fd, text, sizeof text);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len <= 0 || len > (ssize_t)SECRET_MAX)
		nv_buf_puts(why, "is empty, or too large");
	else if (memchr(text, '\n', (size_t)len) || memchr(text, '\0', (size_t)len))
		nv_buf_puts(why, "holds more than one line");
	else
		secret = nv_arena_strndup(a, text, (size_t)len);
	explicit_bzero(text, sizeof text);
	return secret;
}
