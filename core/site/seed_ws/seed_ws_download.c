/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The archive that the block has made, by its download script.
 *
 * The script hands a file out as Moodle does: byte ranges are honoured unless the site has switched
 * them off, and the ETag is the content's SHA-1.  What breaks off goes on where it stopped, if the
 * file is still the same; where the server begins anew, so do we.  In the end the SHA-1 says
 * whether the pieces are the file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "core/site/seed_ws/seed_ws.h"

#define SCRIPT "blocks/my_external_backup_restore_courses/get_user_backup_course_webservice.php"
#define REFUSAL_BYTES 65536u /* of an answer that is no archive */
#define BLOCK 131072u
#define SILENT_TRIES 5u /* that brought no byte further than before */
#define TRIES 200u
#define PAUSE_MAX_MS 30000u
#define PAUSE_STEP_MS 50u /* between two looks at the job */

struct download {
	struct nv_seed_session *session;
	struct nv_seed_post *post; /* the one at hand */
	const char *path;
	int fd;
	uint64_t max;
	uint64_t at;	/* bytes that are there */
	uint64_t best;	/* the most that ever were */
	uint64_t total; /* 0: not known */
	char etag[80];	/* of what is there */
	bool taken;	/* the answer at hand is the file, or its next part */
	bool again;	/* the answer at hand does not fit: from the beginning */
	struct nv_seed_body refusal;
};

/* --- what arrives --- */

static bool looks_like_archive(const uint8_t *data, size_t len)
{
	static const uint8_t gzip[] = {0x1f, 0x8b};
	static const uint8_t zip[] = {'P', 'K'};
	size_t n = len < 2 ? len : 2;
	return memcmp(data, gzip, n) == 0 || memcmp(data, zip, n) == 0;
}

static int check_size(const struct download *d, uint64_t total, struct nv_err *err)
{
	uint64_t room = 0;
	if (total > d->max)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "seed-ws: download: the archive has more than %llu bytes",
			       (unsigned long long)d->max);
	if (nv_disk_free(d->session->site->work_dir, &room, err) < 0)
		return -1;
	if (total > d->at && total - d->at > room)
		return nv_fail(err, NV_RETRY, NV_R_disk_full,
			       "seed-ws: download: %s has no room for the archive's %llu bytes",
			       d->session->site->work_dir, (unsigned long long)total);
	return 0;
}

static int begin_anew(struct download *d, struct nv_err *err)
{
	if (ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "seed-ws: emptying %s",
				     d->path);
	d->at = 0;
	return 0;
}

/* Is this answer the file, or the part that was asked for? */
static int take_answer(struct download *d, const uint8_t *data, size_t len, struct nv_err *err)
{
	const struct nv_seed_post *p = d->post;
	if (p->status == 206 && p->from) {
		d->again = p->range_start != d->at || strcmp(p->etag, d->etag) != 0 ||
			   (d->total && p->range_total != d->total);
		d->taken = !d->again;
		return 0;
	}
	if (p->status != 200 || !looks_like_archive(data, len))
		return 0;
	if (d->at)
		NV_LOG(NV_INFO, "seed.again", NV_S("path", d->path), NV_U("bytes", d->at));
	if (begin_anew(d, err) < 0 || check_size(d, p->has_length ? p->length : 0, err) < 0)
		return -1;
	d->total = p->has_length ? p->length : 0;
	memcpy(d->etag, p->etag, sizeof d->etag);
	d->taken = true;
	return 0;
}

static int download_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	struct download *d = ctx;
	if (!d->taken && !d->again && !d->refusal.buf.len && take_answer(d, data, len, err) < 0)
		return -1;
	if (d->again) /* the body is of no use */
		return nv_fail(err, NV_RETRY, d->session->reason,
			       "seed-ws: download: the file has changed");
	if (!d->taken)
		return nv_seed_body_cb(&d->refusal, data, len, err);
	if (len > d->max - d->at)
		return check_size(d, UINT64_MAX, err);
	if (nv_write_all(d->fd, data, len, err) < 0) {
		nv_err_prefix(err, "seed-ws: writing %s", d->path);
		return -1;
	}
	d->at += len;
	nv_job_progress(d->session->job, "export", d->at, d->total);
	return 0;
}

/* --- one try --- */

/* The answer came to its end. */
static int try_ended(struct download *d, const struct nv_seed_post *p, bool *ret_broken,
		     struct nv_err *err)
{
	if (d->taken && (!d->total || d->at == d->total))
		return 0;
	*ret_broken = d->taken || p->status == 416 || p->status >= 500;
	if (d->taken)
		return nv_fail(err, NV_RETRY, d->session->reason,
			       "seed-ws: download: %llu of %llu bytes came",
			       (unsigned long long)d->at, (unsigned long long)d->total);
	if (p->status == 416 && begin_anew(d, err) < 0)
		return -1;
	if (p->status == 200 && !d->refusal.buf.len)
		return nv_fail(err, NV_RETRY, d->session->reason,
			       "seed-ws: download: the answer is empty: the course server has the "
			       "archive no more");
	nv_auto_json json_t *answer =
		d->refusal.buf.len ? nv_json_parse(d->refusal.buf.data, d->refusal.buf.len, NULL)
				   : NULL;
	return nv_seed_refused(p, answer, err);
}

static int try_once(struct download *d, const char *form, bool *ret_broken, struct nv_err *err)
{
	struct nv_seed_post p = {.session = d->session,
				 .what = "download",
				 .path = SCRIPT,
				 .form = form,
				 .silence = d->session->site->timeout,
				 .from = d->at,
				 .body_cb = download_cb,
				 .ctx = d};
	d->post = &p;
	d->taken = d->again = false;
	d->refusal = (struct nv_seed_body){.buf.max = REFUSAL_BYTES, .what = "download"};
	int rc = nv_seed_post(&p, ret_broken, err);
	if (rc == 0)
		rc = try_ended(d, &p, ret_broken, err);
	else if (d->again)
		*ret_broken = begin_anew(d, err) == 0;
	nv_buf_fini(&d->refusal.buf);
	return rc;
}

/* --- all of it --- */

static int pause_before(const struct download *d, unsigned silent, struct nv_err *err)
{
	uint64_t pause = d->session->site->pause << (silent < 10 ? silent : 10);
	uint64_t until = nv_mono_ms() + (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
	while (nv_mono_ms() < until) {
		if (nv_job_check(d->session->job, err) < 0)
			return -1;
		usleep(PAUSE_STEP_MS * 1000u);
	}
	return 0;
}

static int try_until_whole(struct download *d, const char *form, struct nv_err *err)
{
	unsigned silent = 0;
	for (unsigned i = 1;; i++) {
		bool broken = false;
		struct nv_err why = {0};
		if (try_once(d, form, &broken, &why) == 0)
			return 0;
		silent = d->at > d->best ? 0 : silent + 1;
		d->best = d->at > d->best ? d->at : d->best;
		if (!broken || silent == SILENT_TRIES || i == TRIES) {
			if (err)
				*err = why;
			return -1;
		}
		NV_LOG(NV_WARN, "seed.broken", NV_S("path", d->path), NV_U("bytes", d->at),
		       NV_U("total", d->total), NV_E(&why));
		if (pause_before(d, silent, err) < 0)
			return -1;
	}
}

/* Moodle's ETag is the SHA-1 in quotes; something in between may have put another there. */
static bool sha1_in(const char *etag, uint8_t ret[NV_SHA1_LEN])
{
	char hex[NV_SHA1_HEX] = "";
	if (strlen(etag) != sizeof hex + 1 || etag[0] != '"' || etag[sizeof hex] != '"')
		return false;
	memcpy(hex, etag + 1, sizeof hex - 1);
	return nv_unhex(hex, ret, NV_SHA1_LEN) == 0;
}

static int hash_file(const struct download *d, uint8_t ret[NV_SHA1_LEN], struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(BLOCK);
	struct nv_hash *hash = nv_hash_new(NV_SHA1);
	ssize_t n = 1;
	int rc = 0;
	for (off_t at = 0; n > 0 && rc == 0; at += n) {
		rc = nv_job_check(d->session->job, err);
		n = pread(d->fd, buf, BLOCK, at);
		if (n > 0)
			nv_hash_update(hash, buf, (size_t)n);
	}
	nv_hash_final(hash, ret);
	nv_hash_free(hash);
	if (n < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "seed-ws: reading %s", d->path);
	return rc;
}

static int verify(const struct download *d, bool *ret_verified, struct nv_err *err)
{
	uint8_t named[NV_SHA1_LEN];
	uint8_t found[NV_SHA1_LEN];
	*ret_verified = false;
	if (!sha1_in(d->etag, named))
		return 0;
	if (hash_file(d, found, err) < 0)
		return -1;
	*ret_verified = memcmp(named, found, sizeof named) == 0;
	if (*ret_verified)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_archive_corrupt,
		       "seed-ws: download: what came does not have the SHA-1 %s of the file",
		       d->etag);
}

int nv_seed_download(struct nv_seed_session *s, uint64_t file, const char *path, uint64_t max,
		     bool *ret_verified, struct nv_err *err)
{
	nv_auto_form struct nv_buf form = {0};
	nv_auto_free char *id = nv_asprintf("%llu", (unsigned long long)file);
	nv_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct download d = {.session = s, .path = path, .fd = fd, .max = max};
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "seed-ws: creating %s", path);
	nv_seed_form_add(&form, "token", s->site->token);
	nv_seed_form_add(&form, "filerecordid", id);
	if (try_until_whole(&d, (char *)form.data, err) < 0)
		return -1;
	return verify(&d, ret_verified, err);
}
