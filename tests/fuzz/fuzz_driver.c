/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fuzz target without libFuzzer: runs each file of a folder and many changed forms of it, the
 * same ones every time, so that it can stand among the tests.
 *
 *   fuzz_NAME_driver FOLDER MUTATIONS   all files
 *   fuzz_NAME_driver FILE               just this one, as it is (a crash that was found)
 *
 * When the target fails, its input is written to fuzz-crash in the current folder. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "fuzz.h"

#define GROWTH 64u /* bytes an input may become longer by */

/* Of the sanitizers' runtime, where there is one. */
void __sanitizer_set_death_callback(void (*cb)(void)) __attribute__((weak));

static struct {
	const char *file;
	const uint8_t *data;
	size_t len;
} current;

/* Runs in a signal handler, so by system calls only. */
static void save_input(void)
{
	static const char text[] = ": a form of this fails, see fuzz-crash\n";
	int fd = open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0) {
		if (write(fd, current.data, current.len) >= 0 &&
		    write(STDERR_FILENO, current.file, strlen(current.file)) >= 0 &&
		    write(STDERR_FILENO, text, sizeof text - 1) >= 0)
			fsync(fd);
		close(fd);
	}
}

static void on_signal(int signum)
{
	save_input();
	signal(signum, SIG_DFL);
	raise(signum);
}

static void run(const uint8_t *data, size_t len)
{
	/* Of just this size on the heap: reading behind it is seen. */
	nv_auto_free uint8_t *copy = nv_alloc(len ? len : 1);

	memcpy(copy, data, len);
	current.data = copy;
	current.len = len;
	LLVMFuzzerTestOneInput(copy, len);
}

/* xorshift64*, Marsaglia and Vigna. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static size_t below(uint64_t *state, size_t limit)
{
	return limit ? (size_t)(next(state) >> 16) % limit : 0;
}

/* Make room for, or take away, bytes at a place. */
static size_t shift(uint8_t *data, size_t len, size_t at, size_t add, size_t gone)
{
	memmove(data + at + add, data + at + gone, len - at - gone);
	return len + add - gone;
}

static size_t mutate(uint8_t *data, size_t len, size_t room, uint64_t *state)
{
	static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0xff, 0xc0, 0xc1, 0xc6, 0xdb, 0xdd, 0xdf};
	size_t at = below(state, len);
	size_t run_len = 1 + below(state, 8);

	if (len == 0)
		return 0;
	switch (below(state, 8)) {
	case 0:
		data[at] ^= (uint8_t)(1u << below(state, 8));
		break;
	case 1:
		data[at] = (uint8_t)next(state);
		break;
	case 2:
		data[at] = edges[below(state, sizeof edges)];
		break;
	case 3: /* a length field that claims a lot */
		memset(data + at, 0xff, run_len < len - at ? run_len : len - at);
		break;
	case 4:
		if (len + run_len <= room) {
			len = shift(data, len, at, run_len, 0);
			for (size_t i = 0; i < run_len; i++)
				data[at + i] = (uint8_t)next(state);
		}
		break;
	case 5:
		len = shift(data, len, at, 0, run_len < len - at ? run_len : len - at);
		break;
	case 6: { /* a piece from elsewhere */
		size_t from = below(state, len);
		size_t most = len - (from > at ? from : at);

		run_len = 1 + below(state, most < 64 ? most : 64);
		memmove(data + at, data + from, run_len);
		break;
	}
	default:
		if (below(state, 8) == 0)
			len = at;
		break;
	}
	return len;
}

static void run_file(const struct nv_buf *seed, unsigned mutations)
{
	size_t room = seed->len + GROWTH;
	nv_auto_free uint8_t *data = nv_alloc(room);
	uint64_t state = 0x9e3779b97f4a7c15u ^ seed->len;

	run(seed->data, seed->len);
	for (unsigned i = 0; i < mutations; i++) {
		size_t len = seed->len;

		memcpy(data, seed->data, len);
		for (size_t k = 1 + below(&state, 4); k > 0; k--)
			len = mutate(data, len, room, &state);
		run(data, len);
	}
}

static int run_path(const char *path, unsigned mutations)
{
	nv_auto_buf struct nv_buf seed = {0};
	struct nv_err err = {0};

	current.file = path;
	if (nv_read_file(path, 64u << 20, &seed, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	run_file(&seed, mutations);
	return 0;
}

static int run_folder(const char *folder, unsigned mutations)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	unsigned files = 0;
	int result = 0;

	for (int i = 0; i < count; i++) {
		nv_auto_free char *path = nv_asprintf("%s/%s", folder, entries[i]->d_name);

		if (entries[i]->d_name[0] != '.' && !result) {
			result = run_path(path, mutations);
			files++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	printf("%u files, %u mutations each\n", files, mutations);
	return files == 0 ? 1 : result; /* an empty corpus tests nothing */
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc < 2 || argc > 3 || stat(argv[1], &st)) {
		fprintf(stderr, "usage: %s FOLDER MUTATIONS | FILE\n", argv[0]);
		return 2;
	}
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(save_input);
	signal(SIGABRT, on_signal);
	signal(SIGILL, on_signal);
	signal(SIGTRAP, on_signal);
	if (!S_ISDIR(st.st_mode))
		return run_path(argv[1], 0);
	return run_folder(argv[1], argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
}
