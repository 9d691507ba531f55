/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every key of the configuration file. */
#include "core/config/config_table.h"

#include <string.h>

#define MS 1ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define AT_IN(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define LIST_IN(type, member) \
	.offset = offsetof(type, member), .list = true, .len_offset = offsetof(type, member##_len)
#define AT(member) AT_IN(struct nv_config, member)
#define LIST(member) LIST_IN(struct nv_config, member)

#define PRODUCER NV_ROLE_PRODUCER
#define ARCHIVER NV_ROLE_ARCHIVER
#define WORKER NV_ROLE_WORKER
#define CLI NV_ROLE_CLI
#define DAEMONS (PRODUCER | ARCHIVER | WORKER)

static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const store_words[] = {"directory", "webdav", "s3", NULL};
static const char *const addressing_words[] = {"path", "host", NULL};
/* In the order of enum nv_site_type, see config.h. */
static const char *const site_words[] = {"folder", "moodle", "seed-ws", NULL};
static const char *const old_site_words[] = {"directory", NULL};
/* In the order of enum nv_enrolment, see proto/messages.h. */
static const char *const enrolment_words[] = {"always", "with-users", "manual", NULL};
static const char *const user_field_words[] = {"username", "idnumber", "email", NULL};
static const char *const amqp_schemes[] = {"amqps", "amqp", NULL};
static const char *const http_schemes[] = {"https", "http", NULL};
/* In the order of enum nv_smtp_tls, see config.h. */
static const char *const smtp_tls_words[] = {"auto", "required", "optional", "off", NULL};
static const char *const mail_lang_words[] = {"en", "fr", NULL};
static const char *const redis_schemes[] = {"redis", NULL};
static const char *const smtp_schemes[] = {"smtps", "smtp", NULL};

/* One row shape reads best, which clang-format does not know. */
/* clang-format off */
#define JOBS(name, role) \
	{#name, "work_dir", NV_CFG_PATH, AT(name.work_dir), .required = (role), \
	 .sample = "/var/lib/navette/" #name, \
	 .doc = "Folder for work in progress, on a disk with room for several courses."}, \
	{#name, "slots", NV_CFG_NUMBER, AT(name.slots), .min = 1, .max = 64, .fallback = "2", \
	 .doc = "Jobs at once."}, \
	{#name, "window", NV_CFG_WINDOW, AT(name.window), .sample = "\"20:00-06:00\"", \
	 .reloadable = true, \
	 .doc = "Work only between these times of the day; without: always."}, \
	{#name, "timezone", NV_CFG_ZONE, AT(name.window.zone), .sample = "Europe/Paris", \
	 .reloadable = true, \
	 .doc = "Time zone of the window; without: the machine's."}, \
	{#name, "job_timeout", NV_CFG_DURATION, AT(name.job_timeout), .min = 10 * SECOND, \
	 .max = 12 * HOUR, .fallback = "6h", \
	 .doc = "A job that takes longer is aborted."}, \
	{#name, "attempts", NV_CFG_NUMBER, AT(name.attempts), .min = 1, .max = 100, \
	 .fallback = "5", \
	 .doc = "Attempts before a request fails permanently."}, \
	{#name, "listen", NV_CFG_LISTEN, AT(name.listen), .empty_ok = true, .fallback = "\"\"", \
	 .doc = "Address of /metrics, /healthz and /readyz; \"\": none."}, \
	{#name, "stop_timeout", NV_CFG_DURATION, AT(name.stop_timeout), .min = 0, \
	 .max = 1 * HOUR, .fallback = "30s", \
	 .doc = "How long running jobs may go on when the program is stopped."}

const struct nv_cfg_field nv_cfg_fields[] = {
	{"log", "level", NV_CFG_WORD, AT(log.level), .words = level_words, .fallback = "info",
	 .reloadable = true,
	 .doc = "Lowest level of lines that are written."},
	{"log", "people", NV_CFG_BOOL, AT(log.people), .fallback = "no", .reloadable = true,
	 .doc = "May lines hold names and addresses of people?  Else they are known by their "
		"requests only, and who asks to be forgotten is in no log."},

	{"identity", "client", NV_CFG_NAME, AT(identity.client), .required = PRODUCER | WORKER,
	 .sample = "this-year",
	 .doc = "Name of the Moodle that courses are restored on."},
	{"identity", "site", NV_CFG_NAME, AT(identity.site), .required = ARCHIVER,
	 .sample = "last-year",
	 .doc = "Name of the Moodle that courses are taken from."},
	{"identity", "key_file", NV_CFG_PATH, AT(identity.key_file), .required = DAEMONS,
	 .sample = "/etc/navette/key",
	 .doc = "Secret key, made by: navette keys new."},

	{"broker", "uris", NV_CFG_URL, LIST(broker.uris), .words = amqp_schemes,
	 .required = DAEMONS,
	 .sample = "[\"amqps://client.this-year@broker.example.org:5671/navette\"]",
	 .doc = "Addresses of the message broker, tried in turn; user name, but no password in "
		"them."},
	{"broker", "password_file", NV_CFG_SECRET, AT(broker.password), .used = DAEMONS | CLI,
	 .env = "NAVETTE_BROKER_PASSWORD", .sample = "/etc/navette/broker.password",
	 .doc = "File that holds the broker user's password."},
	{"broker", "ca_file", NV_CFG_PATH, AT(broker.ca_file),
	 .sample = "/etc/ssl/certs/ca-certificates.crt",
	 .doc = "Certificates of the authorities to trust; without: the system's."},
	{"broker", "cert_file", NV_CFG_PATH, AT(broker.cert_file),
	 .sample = "/etc/navette/broker.crt",
	 .doc = "Our own certificate, where the broker asks for one."},
	{"broker", "cert_key_file", NV_CFG_PATH, AT(broker.cert_key_file),
	 .sample = "/etc/navette/broker.key",
	 .doc = "The key of cert_file."},
	{"broker", "allow_plain", NV_CFG_BOOL, AT(broker.allow_plain), .fallback = "no",
	 .doc = "Allow amqp:// and http:// to another machine than this one."},
	{"broker", "heartbeat", NV_CFG_DURATION, AT(broker.heartbeat), .min = 1 * SECOND,
	 .max = 10 * MINUTE, .fallback = "10s",
	 .doc = "A connection silent for two of these is closed."},
	{"broker", "timeout", NV_CFG_DURATION, AT(broker.timeout), .min = 100 * MS,
	 .max = 10 * MINUTE, .fallback = "10s",
	 .doc = "Time limit of every single call."},
	{"broker", "publish_timeout", NV_CFG_DURATION, AT(broker.publish_timeout),
	 .min = 1 * SECOND, .max = 1 * HOUR, .fallback = "60s",
	 .doc = "Time until a message must be confirmed, reconnects included."},
	{"broker", "management_url", NV_CFG_URL, AT(broker.management_url), .words = http_schemes,
	 .sample = "https://admin@broker.example.org:15671",
	 .doc = "Address of the broker's management plugin, for: navette broker apply; on the "
		"producer's host with a user that has the tag monitoring and, in this virtual "
		"host, permissions that match nothing (^$), for the administrator's pages."},
	{"broker", "management_password_file", NV_CFG_SECRET, AT(broker.management_password),
	 .used = CLI | PRODUCER, .env = "NAVETTE_BROKER_ADMIN_PASSWORD",
	 .sample = "/etc/navette/broker-admin.password",
	 .doc = "File that holds the password of management_url's user."},
	{"broker", "clients", NV_CFG_NAME, LIST(broker.clients), .sample = "[this-year]",
	 .doc = "Clients that navette broker apply makes queues and users for."},
	{"broker", "sites", NV_CFG_NAME, LIST(broker.sites), .sample = "[last-year]",
	 .doc = "Sites that navette broker apply makes queues and users for."},
	{"broker", "credentials_dir", NV_CFG_PATH, AT(broker.credentials_dir),
	 .sample = "/etc/navette/credentials",
	 .doc = "Folder where navette broker apply puts the passwords it makes; a broker that is "
		"set up anew gets those that are there."},
	{"broker", "replicas", NV_CFG_NUMBER, AT(broker.replicas), .min = 1, .max = 9,
	 .fallback = "1",
	 .doc = "Nodes of the broker that keep a copy of each queue."},

	{"redis", "socket", NV_CFG_PATH, AT(redis.socket), .sample = "/run/redis/redis.sock",
	 .doc = "Unix socket; goes before host and port."},
	{"redis", "host", NV_CFG_TEXT, AT(redis.host), .fallback = "127.0.0.1", .doc = "Host."},
	{"redis", "port", NV_CFG_NUMBER, AT(redis.port), .min = 1, .max = 65535, .fallback = "6379",
	 .doc = "Port."},
	{"redis", "user", NV_CFG_TEXT, AT(redis.user), .sample = "navette",
	 .doc = "User (Redis ACL); without: the default user."},
	{"redis", "password_file", NV_CFG_SECRET, AT(redis.password),
	 .used = PRODUCER | WORKER | CLI, .env = "NAVETTE_REDIS_PASSWORD",
	 .sample = "/etc/navette/redis.password",
	 .doc = "File that holds the password."},
	{"redis", "db", NV_CFG_NUMBER, AT(redis.db), .min = 0, .max = 65535, .fallback = "0",
	 .doc = "Number of the database."},
	{"redis", "timeout", NV_CFG_DURATION, AT(redis.timeout), .min = 100 * MS, .max = 5 * MINUTE,
	 .fallback = "5s",
	 .doc = "Time limit of every single command."},
	{"redis", "allow_remote", NV_CFG_BOOL, AT(redis.allow_remote), .fallback = "no",
	 .doc = "Allow another machine than this one: the connection is not encrypted."},

	{"redis", "sentinels", NV_CFG_URL, LIST(redis.sentinels), .words = redis_schemes,
	 .sample = "[\"redis://10.0.0.1:26379\", \"redis://10.0.0.2:26379\", "
		   "\"redis://10.0.0.3:26379\"]",
	 .doc = "Redis Sentinels, asked in turn which server may be written to; then socket, host "
		"and port do not count."},
	{"redis", "master", NV_CFG_TEXT, AT(redis.master), .fallback = "mymaster",
	 .doc = "The name that the sentinels know it by."},

	{"store", "type", NV_CFG_WORD, AT(store.type), .words = store_words,
	 .required = ARCHIVER | WORKER, .sample = "webdav",
	 .doc = "Kind of staging store."},
	{"store", "path", NV_CFG_PATH, AT(store.path), .sample = "/srv/navette/store",
	 .doc = "Folder of a store of type directory; a missing one counts as not mounted."},
	{"store", "url", NV_CFG_URL, AT(store.url), .words = http_schemes,
	 .sample = "https://store.example.org/navette/",
	 .doc = "Address of a store of type webdav; endpoint of one of type s3."},
	{"store", "bucket", NV_CFG_TEXT, AT(store.bucket), .sample = "staging",
	 .doc = "Bucket of a store of type s3."},
	{"store", "region", NV_CFG_TEXT, AT(store.region), .fallback = "us-east-1",
	 .doc = "Region that its requests are signed for."},
	{"store", "prefix", NV_CFG_TEXT, AT(store.prefix), .sample = "navette",
	 .doc = "Prefix of all keys in the bucket; without: none."},
	{"store", "addressing", NV_CFG_WORD, AT(store.addressing), .words = addressing_words,
	 .fallback = "path",
	 .doc = "Whether the bucket is part of the path or of the host name."},
	{"store", "encryption", NV_CFG_TEXT, AT(store.encryption), .sample = "aws:kms",
	 .doc = "Server-side encryption of objects (AES256, aws:kms); without: as the bucket has "
		"it."},
	{"store", "session_token_file", NV_CFG_SECRET, AT(store.session_token),
	 .used = ARCHIVER | WORKER | PRODUCER | CLI, .env = "NAVETTE_STORE_SESSION_TOKEN",
	 .sample = "/etc/navette/store.session",
	 .doc = "File that holds the session token of temporary S3 credentials."},
	{"store", "user", NV_CFG_TEXT, AT(store.user), .sample = "last-year",
	 .doc = "User; of a store of type s3 the access key's id, whose secret password_file "
		"holds."},
	{"store", "password_file", NV_CFG_SECRET, AT(store.password),
	 .used = ARCHIVER | WORKER | PRODUCER | CLI, .env = "NAVETTE_STORE_PASSWORD",
	 .sample = "/etc/navette/store.password",
	 .doc = "File that holds the password."},
	{"store", "ca_file", NV_CFG_PATH, AT(store.ca_file),
	 .sample = "/etc/ssl/certs/ca-certificates.crt",
	 .doc = "Certificates of the authorities to trust; without: the system's."},
	{"store", "cert_file", NV_CFG_PATH, AT(store.cert_file), .sample = "/etc/navette/store.crt",
	 .doc = "Our own certificate, where the store asks for one."},
	{"store", "cert_key_file", NV_CFG_PATH, AT(store.cert_key_file),
	 .sample = "/etc/navette/store.key",
	 .doc = "The key of cert_file."},
	{"store", "allow_plain", NV_CFG_BOOL, AT(store.allow_plain), .fallback = "no",
	 .doc = "Allow http:// to another machine than this one."},
	{"store", "connect_timeout", NV_CFG_DURATION, AT(store.connect_timeout), .min = 100 * MS,
	 .max = 10 * MINUTE, .fallback = "10s",
	 .doc = "Time limit of connecting."},
	{"store", "stall_timeout", NV_CFG_DURATION, AT(store.stall_timeout), .min = 1 * SECOND,
	 .max = 1 * HOUR, .fallback = "60s",
	 .doc = "A transfer without progress for so long is aborted."},
	{"store", "transfers", NV_CFG_NUMBER, AT(store.transfers), .min = 1, .max = 32,
	 .fallback = "4",
	 .doc = "Files of one course that are sent or fetched at once; also parts of one S3 "
		"object."},
	{"store", "blob_threshold", NV_CFG_SIZE, AT(store.blob_threshold), .min = 1, .max = 1 * GIB,
	 .fallback = "64KiB",
	 .doc = "Files of at least this size become objects of their own."},
	{"store", "max_archive", NV_CFG_SIZE, AT(store.max_archive), .min = 1 * MIB,
	 .max = 16 * TIB, .fallback = "20GiB",
	 .doc = "The largest course, unpacked."},
	{"store", "max_entries", NV_CFG_NUMBER, AT(store.max_entries), .min = 100, .max = 100000000,
	 .fallback = "500000",
	 .doc = "The most files of a course."},
	{"store", "max_ratio", NV_CFG_NUMBER, AT(store.max_ratio), .min = 2, .max = 100000,
	 .fallback = "200",
	 .doc = "The most an archive may grow when it is unpacked, as a factor."},
	{"store", "keep", NV_CFG_DURATION, AT(store.keep), .min = 1 * HOUR, .max = 3650 * DAY,
	 .fallback = "30d",
	 .doc = "Archives that were not restored for so long are removed by the archiver."},
	{"store", "grace", NV_CFG_DURATION, AT(store.grace), .min = 1 * SECOND, .max = 365 * DAY,
	 .fallback = "24h",
	 .doc = "Unreferenced objects older than this are removed."},

	{"site", "type", NV_CFG_WORD, AT(site.type), .words = site_words,
	 .old_words = old_site_words, .required = ARCHIVER | WORKER, .sample = "folder",
	 .doc = "Kind of site: a Moodle, or a folder of backups."},
	{"site", "path", NV_CFG_PATH, AT(site.path), .sample = "/srv/navette/site",
	 .doc = "Its folder; of a Moodle the one in which config.php is; seed-ws has none."},
	{"site", "php", NV_CFG_PATH, AT(site.php), .fallback = "/usr/bin/php",
	 .doc = "The PHP that runs a Moodle's scripts."},
	{"site", "user", NV_CFG_TEXT, AT(site.user), .empty_ok = true, .fallback = "\"\"",
	 .doc = "Run them as this user, the web server's, which only root can; \"\": as our own."},
	{"site", "timeout", NV_CFG_DURATION, AT(site.timeout), .min = 1 * SECOND, .max = 1 * HOUR,
	 .fallback = "2m",
	 .doc = "Time limit of a short call to Moodle; exports and imports have job_timeout."},
	{"site", "url", NV_CFG_URL, AT(site.url), .words = http_schemes,
	 .sample = "https://last-year.example.org",
	 .doc = "Address of a Moodle of type seed-ws: one that has only the block "
		"my_external_backup_restore_courses."},
	{"site", "token_file", NV_CFG_SECRET, AT(site.token), .used = ARCHIVER | CLI,
	 .env = "NAVETTE_SITE_TOKEN", .sample = "/etc/navette/site.token",
	 .doc = "File that holds its token for that block's web service."},
	{"site", "ca_file", NV_CFG_PATH, AT(site.ca_file),
	 .sample = "/etc/ssl/certs/ca-certificates.crt",
	 .doc = "Certificates of the authorities to trust for it; without: the system's."},
	{"site", "allow_plain", NV_CFG_BOOL, AT(site.allow_plain), .fallback = "no",
	 .doc = "Allow http:// to another machine than this one: the token can then be read on the "
		"way."},
	{"site", "backup_timeout", NV_CFG_DURATION, AT(site.backup_timeout), .min = 10 * SECOND,
	 .max = 12 * HOUR, .fallback = "1h",
	 .doc = "How long it may take to back a course up, which happens in one web request."},

	JOBS(archiver, ARCHIVER),
	JOBS(worker, WORKER),
	{"worker", "ahead", NV_CFG_NUMBER, AT(worker.ahead), .max = 64, .fallback = "2",
	 .doc = "Archives that are fetched while the course server still writes them; 0: none."},

	{"restore", "only_one", NV_CFG_BOOL, AT(restore.only_one), .fallback = "yes",
	 .doc = "A course that was restored already cannot be restored again."},
	{"restore", "user_data", NV_CFG_BOOL, AT(restore.user_data), .fallback = "no",
	 .doc = "Restore user data, for those who may not choose."},
	{"restore", "leave_out", NV_CFG_BOOL, AT(restore.leave_out), .fallback = "yes",
	 .doc = "Leave out activities for which this site has no plugin, and say so; no: refuse "
		"such a course. A graded activity is never left out of a course with user data."},
	{"restore", "enrolment", NV_CFG_WORD, AT(restore.enrolment), .words = enrolment_words,
	 .fallback = "always",
	 .doc = "Whether enrolment methods are restored, for those who may not choose."},
	{"restore", "original_category", NV_CFG_BOOL, AT(restore.original_category),
	 .fallback = "no",
	 .doc = "Offer to keep the course's original category."},
	{"restore", "original_category_checked", NV_CFG_BOOL, AT(restore.original_category_checked),
	 .fallback = "yes",
	 .doc = "That offer is ticked by default."},
	{"restore", "default_category", NV_CFG_TEXT, AT(restore.default_category),
	 .sample = "restored",
	 .doc = "Identifier of the category that courses are restored into otherwise."},
	{"restore", "check_course_create", NV_CFG_BOOL, AT(restore.check_course_create),
	 .fallback = "yes",
	 .doc = "The requester must be allowed to create courses in the category."},
	{"restore", "enrol_requester", NV_CFG_BOOL, AT(restore.enrol_requester), .fallback = "yes",
	 .doc = "Enrol the requester in the restored course."},
	{"restore", "enrol_button", NV_CFG_BOOL, AT(restore.enrol_button), .fallback = "yes",
	 .doc = "Teachers of the course may join the copy that a colleague restored."},
	{"restore", "enrol_role", NV_CFG_TEXT, AT(restore.enrol_role), .fallback = "editingteacher",
	 .doc = "Short name of the role they are enrolled with."},
	{"restore", "warnings_to_owner", NV_CFG_BOOL, AT(restore.warnings_to_owner),
	 .fallback = "yes",
	 .doc = "Tell the requester the warnings of the restore."},
	{"restore", "url_in_mail", NV_CFG_BOOL, AT(restore.url_in_mail), .fallback = "no",
	 .doc = "Name the course server's address in mail."},
	{"restore", "user_field", NV_CFG_CHOICE, AT(restore.user_field), .words = user_field_words,
	 .fallback = "username",
	 .doc = "The field by which accounts of both sides are matched."},
	{"restore", "lease", NV_CFG_DURATION, AT(restore.lease), .min = 2 * SECOND, .max = 1 * HOUR,
	 .fallback = "60s",
	 .doc = "How long a claim on a request lasts when it is not renewed."},

	{"notify", "notify_site", NV_CFG_BOOL, AT(notify.notify_site), .fallback = "yes",
	 .doc = "Tell people through the site (messages of Moodle)."},
	{"notify", "smtp_url", NV_CFG_URL, AT(notify.smtp_url), .words = smtp_schemes,
	 .empty_ok = true, .fallback = "\"\"",
	 .doc = "Mail server, such as smtps://mail.example.org:465; \"\": no mail."},
	{"notify", "smtp_user", NV_CFG_TEXT, AT(notify.smtp_user), .sample = "navette",
	 .doc = "User."},
	{"notify", "smtp_password_file", NV_CFG_SECRET, AT(notify.smtp_password), .used = WORKER,
	 .env = "NAVETTE_SMTP_PASSWORD", .sample = "/etc/navette/smtp.password",
	 .doc = "File that holds the password."},
	{"notify", "smtp_ca_file", NV_CFG_PATH, AT(notify.smtp_ca_file),
	 .sample = "/etc/ssl/certs/ca-certificates.crt",
	 .doc = "Certificates of the authorities to trust; without: the system's."},
	{"notify", "smtp_tls", NV_CFG_WORD, AT(notify.smtp_tls), .words = smtp_tls_words,
	 .fallback = "auto",
	 .doc = "STARTTLS with smtp://: required, optional (used where the server offers it; who "
		"stands between may take the offer out) or off; auto: off on this machine, "
		"required to any other. Where it is used, the certificate is verified."},
	{"notify", "mail_from", NV_CFG_ADDRESS, AT(notify.mail_from),
	 .sample = "navette@example.org",
	 .doc = "Sender of the mail."},
	{"notify", "admins", NV_CFG_ADDRESS, LIST(notify.admins), .sample = "[admin@example.org]",
	 .doc = "Mail addresses that are notified of failures."},
	{"notify", "give_up_after", NV_CFG_DURATION, AT(notify.give_up_after), .min = 1 * SECOND,
	 .max = 30 * DAY, .fallback = "3d",
	 .doc = "How long a message is tried again while the mail server or the site does not take "
		"it."},
	{"notify", "digest_after", NV_CFG_NUMBER, AT(notify.digest_after), .min = 1, .max = 1000000,
	 .fallback = "5",
	 .doc = "Administrators hear of so many failures within digest_window one by one, of more "
		"in one message that lists them."},
	{"notify", "digest_window", NV_CFG_DURATION, AT(notify.digest_window), .min = 1 * SECOND,
	 .max = 1 * DAY, .fallback = "10m",
	 .doc = "How long failures are collected for one such message."},
	{"notify", "lang", NV_CFG_CHOICE, AT(notify.lang), .words = mail_lang_words,
	 .fallback = "en",
	 .doc = "Language of what administrators get, and people whose own is not known: en or "
		"fr."},

	{"producer", "listen", NV_CFG_LISTEN, AT(producer.listen), .fallback = "127.0.0.1:8080",
	 .doc = "Where the API and the pages are served."},
	{"producer", "metrics_listen", NV_CFG_LISTEN, AT(producer.metrics_listen), .empty_ok = true,
	 .fallback = "\"\"",
	 .doc = "Where /metrics, /healthz and /readyz are served to monitoring; \"\": /metrics "
		"nowhere.  The same as listen: /metrics is served there, to everybody."},
	{"producer", "base_url", NV_CFG_URL, AT(producer.base_url), .words = http_schemes,
	 .sample = "https://navette.example.org",
	 .doc = "The address as people's browsers see it; in the worker's file, too, for links in "
		"messages."},
	{"producer", "accounts_file", NV_CFG_PATH, AT(producer.accounts_file), .required = PRODUCER,
	 .sample = "/etc/navette/accounts",
	 .doc = "File of the local accounts."},
	{"producer", "work_dir", NV_CFG_PATH, AT(producer.work_dir),
	 .sample = "/var/lib/navette/producer",
	 .doc = "Folder of a disk that stays. Requests that were accepted while the message broker "
		"is away are kept there; without it they are refused then, unless systemd gives "
		"the producer a folder ($STATE_DIRECTORY, as the unit does). With the section "
		"store, as the worker has it, people can download archives, which are put together "
		"there: it needs room for some courses."},
	{"producer", "session_ttl", NV_CFG_DURATION, AT(producer.session_ttl), .min = 1 * MINUTE,
	 .max = 30 * DAY, .fallback = "8h",
	 .doc = "How long a session lasts."},
	{"producer", "rights_max_age", NV_CFG_DURATION, AT(producer.rights_max_age),
	 .min = 1 * SECOND, .max = 1 * HOUR, .fallback = "5m",
	 .doc = "What somebody who came from Moodle may there is asked again after this time, of "
		"the Moodle in section site; without that section, they come through Moodle's "
		"button again."},
	{"producer", "catalog_ttl", NV_CFG_DURATION, AT(producer.catalog_ttl), .min = 0,
	 .max = 1 * DAY, .fallback = "60s",
	 .doc = "How long a user's list of courses is cached."},
	{"producer", "catalog_timeout", NV_CFG_DURATION, AT(producer.catalog_timeout),
	 .min = 100 * MS, .max = 5 * MINUTE, .fallback = "10s",
	 .doc = "How long a course server may take to answer with that list."},
	{"producer", "trusted_proxies", NV_CFG_NETWORK, LIST(producer.trusted_proxies),
	 .fallback = "[127.0.0.0/8, \"::1\"]",
	 .doc = "Reverse proxies whose X-Forwarded-For is believed: whoever comes through one is "
		"known, limited and logged by the address it tells, not by the proxy's."},
	{"producer", "max_body", NV_CFG_SIZE, AT(producer.max_body), .min = 1 * KIB,
	 .max = 64 * MIB, .fallback = "1MiB",
	 .doc = "The largest body of an HTTP request."},
	{"producer", "max_connections", NV_CFG_NUMBER, AT(producer.max_connections), .min = 8,
	 .max = 100000, .fallback = "5000",
	 .doc = "The most requests and event streams at once; above, people are told to come "
		"again, and /healthz, /readyz and /metrics are still served."},
	{"producer", "max_per_address", NV_CFG_NUMBER, AT(producer.max_per_address), .min = 8,
	 .max = 100000, .fallback = "1000",
	 .doc = "The most connections of one address on which nobody is signed in; of those that "
		"wait for a request, the oldest is closed for a new one. Whoever is signed in "
		"counts for max_per_person instead, so that a campus may share one address."},
	{"producer", "max_per_person", NV_CFG_NUMBER, AT(producer.max_per_person), .min = 8,
	 .max = 100000, .fallback = "64",
	 .doc = "The most connections of one signed-in person, event streams among them."},
	{"producer", "max_streams", NV_CFG_NUMBER, AT(producer.max_streams), .min = 1,
	 .max = 100000, .fallback = "20",
	 .doc = "The most event streams of one person: one for each open page."},
	{"producer", "header_timeout", NV_CFG_DURATION, AT(producer.header_timeout),
	 .min = 100 * MS, .max = 5 * MINUTE, .fallback = "10s",
	 .doc = "How long the headers of a request may take to come, however they trickle in; also "
		"the body of a sign-in."},
	{"producer", "body_timeout", NV_CFG_DURATION, AT(producer.body_timeout), .min = 100 * MS,
	 .max = 1 * HOUR, .fallback = "60s",
	 .doc = "How long the body of a signed-in person's request may take to come."},
	{"producer", "min_rate", NV_CFG_SIZE, AT(producer.min_rate), .min = 1, .max = 1 * GIB,
	 .fallback = "64KiB",
	 .doc = "Bytes a second at which an answer must be read, a downloaded archive above all: "
		"it may take body_timeout and its size divided by this."},
	{"producer", "max_downloads", NV_CFG_NUMBER, AT(producer.max_downloads), .min = 1,
	 .max = 10000, .fallback = "8",
	 .doc = "The most archives that are put together or read at once, each on work_dir's "
		"disk."},
	{"producer", "max_downloads_per_person", NV_CFG_NUMBER,
	 AT(producer.max_downloads_per_person), .min = 1, .max = 10000, .fallback = "2",
	 .doc = "The most of them for one person."},
	{"producer", "work_reserve", NV_CFG_SIZE, AT(producer.work_reserve), .min = 0,
	 .max = 10 * TIB, .fallback = "1GiB",
	 .doc = "What downloads leave free on work_dir's disk; an archive needs twice its size "
		"besides, while it is put together."},
	{"producer", "sweep_after", NV_CFG_DURATION, AT(producer.sweep_after), .min = 1 * SECOND,
	 .max = 1 * DAY, .fallback = "60s",
	 .doc = "A request not known to have reached the broker is sent again after this time."},
	{"producer", "request_ttl", NV_CFG_DURATION, AT(producer.request_ttl), .min = 1 * MINUTE,
	 .max = 365 * DAY, .fallback = "30d",
	 .doc = "A request that was not served expires after this time."},
	{"producer", "keep", NV_CFG_DURATION, AT(producer.keep), .min = 1 * HOUR, .max = 3650 * DAY,
	 .fallback = "730d",
	 .doc = "Requests that finished so long ago are removed, with their logs; the same course may then be restored again."},
	{"producer", "unroutable_after", NV_CFG_DURATION, AT(producer.unroutable_after),
	 .min = 1 * SECOND, .max = 30 * DAY, .fallback = "1d",
	 .doc = "A request to a course server that has no queue on the broker fails after this "
		"time; until then it is tried again."},

	{"launch", "secret_file", NV_CFG_SECRET, AT(launch.secret), .used = PRODUCER,
	 .env = "NAVETTE_LAUNCH_SECRET", .sample = "/etc/navette/launch.secret",
	 .doc = "File that holds the setting launchsecret of block_navette; without: signing in through Moodle is off."},
	{"launch", "issuer", NV_CFG_URL, AT(launch.issuer), .words = http_schemes,
	 .sample = "https://moodle.example.org",
	 .doc = "That Moodle's address, exactly as its wwwroot; the pages link back to it."},
	{"launch", "leeway", NV_CFG_DURATION, AT(launch.leeway), .min = 0, .max = 2 * MINUTE,
	 .fallback = "10s",
	 .doc = "How far the clocks of both machines may differ."},

	{"api", "url", NV_CFG_URL, AT(api.url), .words = http_schemes,
	 .sample = "https://navette.example.org",
	 .doc = "Address of the producer."},
	{"api", "user", NV_CFG_TEXT, AT(api.user), .sample = "admin", .doc = "User."},
	{"api", "password_file", NV_CFG_SECRET, AT(api.password), .used = CLI,
	 .env = "NAVETTE_API_PASSWORD", .sample = "/etc/navette/api.password",
	 .doc = "File that holds the password."},
	{"api", "ca_file", NV_CFG_PATH, AT(api.ca_file),
	 .sample = "/etc/ssl/certs/ca-certificates.crt",
	 .doc = "Certificates of the authorities to trust; without: the system's."},
};
const size_t nv_cfg_fields_len = NV_ARRAY_LEN(nv_cfg_fields);

#define KEY_SAMPLE "\"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""

static const struct nv_cfg_field client_fields[] = {
	{"clients", "name", NV_CFG_NAME, AT_IN(struct nv_config_client, name), .required = ARCHIVER,
	 .sample = "this-year",
	 .doc = "Its name."},
	{"clients", "public_key", NV_CFG_KEY, AT_IN(struct nv_config_client, public_key),
	 .required = ARCHIVER, .sample = KEY_SAMPLE,
	 .doc = "Its public key, as navette keys new shows it."},
	{"clients", "user_data", NV_CFG_BOOL, AT_IN(struct nv_config_client, user_data),
	 .fallback = "no",
	 .doc = "It may have courses with user data."},
	{"clients", "without_user", NV_CFG_BOOL, AT_IN(struct nv_config_client, without_user),
	 .fallback = "no",
	 .doc = "It may ask without naming a user, for an administrator's restore."},
	{"clients", "categories", NV_CFG_TEXT, LIST_IN(struct nv_config_client, categories),
	 .sample = "[science]",
	 .doc = "Identifiers of the categories it may have; without: all."},
};

static const struct nv_cfg_field site_fields[] = {
	{"sites", "name", NV_CFG_NAME, AT_IN(struct nv_config_site, name),
	 .required = PRODUCER | WORKER, .sample = "last-year",
	 .doc = "Its name."},
	{"sites", "label", NV_CFG_TEXT, AT_IN(struct nv_config_site, label),
	 .sample = "\"Last year\"",
	 .doc = "What people see; without: the name."},
	{"sites", "url", NV_CFG_URL, AT_IN(struct nv_config_site, url), .words = http_schemes,
	 .sample = "https://last-year.example.org",
	 .doc = "Its address, for links to its courses."},
	{"sites", "public_key", NV_CFG_KEY, AT_IN(struct nv_config_site, public_key),
	 .required = PRODUCER | WORKER, .sample = KEY_SAMPLE,
	 .doc = "Its public key, as navette keys new shows it."},
	{"sites", "search_roles", NV_CFG_TEXT, LIST_IN(struct nv_config_site, search_roles),
	 .sample = "[editingteacher]",
	 .doc = "Short names of the roles whose holders may bring a course; without: the Moodle's "
		"setting search_roles, else editingteacher."},
};
/* clang-format on */

#define ITEMS(rows, type, member, roles)                                             \
	.items = (rows), .items_len = NV_ARRAY_LEN(rows), .item_size = sizeof(type), \
	.offset = offsetof(struct nv_config, member),                                \
	.len_offset = offsetof(struct nv_config, member##_len), .required = (roles)

const struct nv_cfg_section nv_cfg_sections[] = {
	{.name = "log", .doc = "The log, to standard error."},
	{.name = "identity", .doc = "Who this host is."},
	{.name = "broker", .doc = "The message broker (RabbitMQ)."},
	{.name = "redis", .doc = "The status database, on the client's side: producer and worker."},
	{.name = "store",
	 .doc = "The staging store: archiver and worker; the producer for downloads only."},
	{.name = "site", .doc = "The Moodle, or a folder in its place: archiver and worker."},
	{.name = "archiver", .doc = "Takes courses from the site."},
	{.name = "worker", .doc = "Restores courses on the client."},
	{.name = "restore",
	 .doc = "What a restore is held to: producer and worker.  A key that is not here is as set "
		"in the Moodle that site names, else its default."},
	{.name = "notify", .doc = "Notifications: worker."},
	{.name = "producer", .doc = "Serves the API and the pages."},
	{.name = "launch", .doc = "Signing in through Moodle's button: producer."},
	{.name = "api", .doc = "Access of the command navette to the producer."},
	{.name = "clients",
	 .doc = "The clients that this course server serves: archiver.",
	 ITEMS(client_fields, struct nv_config_client, clients, ARCHIVER)},
	{.name = "sites",
	 .doc = "The course servers that this client asks: producer and worker.",
	 ITEMS(site_fields, struct nv_config_site, sites, PRODUCER | WORKER)},
};
const size_t nv_cfg_sections_len = NV_ARRAY_LEN(nv_cfg_sections);

_Static_assert(NV_ARRAY_LEN(client_fields) <= NV_CFG_ITEM_FIELDS_MAX, "raise the constant");
_Static_assert(NV_ARRAY_LEN(site_fields) <= NV_CFG_ITEM_FIELDS_MAX, "raise the constant");

const struct nv_cfg_field *nv_cfg_rows(const struct nv_cfg_section *s, size_t *ret_len)
{
	size_t first = 0;
	size_t last;

	if (s->items) {
		*ret_len = s->items_len;
		return s->items;
	}
	while (first < nv_cfg_fields_len && strcmp(nv_cfg_fields[first].section, s->name) != 0)
		first++;
	last = first;
	while (last < nv_cfg_fields_len && strcmp(nv_cfg_fields[last].section, s->name) == 0)
		last++;
	*ret_len = last - first;
	return &nv_cfg_fields[first];
}
