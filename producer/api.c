/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP side: routes, the way in, answers, log and measurements. */
#include <string.h>

#include "base/log.h"
#include "producer/admin/admin.h"
#include "producer/answer.h"
#include "producer/api.h"
#include "producer/app.h"
#include "producer/events.h"
#include "producer/page.h"
#include "producer/requests/requests.h"
#include "producer/session/launch.h"
#include "producer/session/session.h"
#include "producer/session/signin.h"

#define METRICS_TOLD_MS 3600000u /* once in this time */

/* X(method, pattern, handler, open, admin) */
#define ROUTES(X)                                                                      \
	X(POST, "/api/v1/session", nv_signin, true, false)                             \
	X(GET, "/api/v1/session", nv_sessions_show, false, false)                      \
	X(DELETE, "/api/v1/session", nv_sessions_end, false, false)                    \
	X(GET, "/api/v1/courses", nv_courses_list, false, false)                       \
	X(POST, "/api/v1/requests", nv_requests_submit, false, false)                  \
	X(POST, "/api/v1/requests/check", nv_requests_check, false, true)              \
	X(POST, "/api/v1/requests/republish", nv_requests_republish, false, true)      \
	X(GET, "/api/v1/requests", nv_requests_list, false, false)                     \
	X(GET, "/api/v1/requests/{id}", nv_requests_show, false, false)                \
	X(GET, "/api/v1/requests/{id}/log", nv_requests_log, false, true)              \
	X(GET, "/api/v1/requests/{id}/archive", nv_requests_archive, false, false)     \
	X(PATCH, "/api/v1/requests/{id}", nv_requests_change, false, false)            \
	X(POST, "/api/v1/requests/{id}/cancel", nv_requests_cancel, false, false)      \
	X(POST, "/api/v1/requests/{id}/retry", nv_requests_retry, false, false)        \
	X(POST, "/api/v1/requests/{id}/run-now", nv_requests_run_now, false, true)     \
	X(POST, "/api/v1/requests/{id}/enrolments", nv_requests_enrol, false, false)   \
	X(GET, "/api/v1/events", nv_events_open, false, false)                         \
	X(GET, "/api/v1/sites", nv_sites_list, false, true)                            \
	X(GET, "/api/v1/workers", nv_workers_list, false, true)                        \
	X(GET, "/api/v1/queues", nv_queues_list, false, true)                          \
	X(GET, "/api/v1/dead", nv_dead_letters_list, false, true)                      \
	X(POST, "/api/v1/dead/{letter}/requeue", nv_dead_letters_requeue, false, true) \
	X(DELETE, "/api/v1/dead/{letter}", nv_dead_letters_discard, false, true)       \
	X(GET, "/api/v1/stats/steps", nv_stats_steps, false, true)                     \
	X(DELETE, "/api/v1/users/{user}", nv_users_forget, false, true)                \
	X(GET, "/api/v1/openapi.yaml", nv_page_asset, true, false)                     \
	X(GET, "/launch", nv_launch, true, false)                                      \
	X(POST, "/launch", nv_launch, true, false)                                     \
	X(GET, "/", nv_page_asset, true, false)                                        \
	X(GET, "/assets/{name}", nv_page_asset, true, false)

/* Of whom nobody knows: a sign-in or a token, no more. */
#define OPEN_BODY_MAX 16384u

/* Before the body is read. */
static void admit(void *arg, struct nv_http_request *r)
{
	nv_sessions_enter(arg, r, nv_http_route_data(r));
}

static void enter(void *arg, struct nv_http_request *r)
{
	const struct api_route *route = nv_http_route_data(r);
	route->handler(arg, r, nv_http_user(r));
}

static const struct api_route routes[] = {
#define X(method, pattern, handler, open, admin) {handler, open, admin},
	ROUTES(X)
#undef X
};
static const struct nv_http_route http_routes[] = {
#define X(word, path, its_handler, open, its_admin) \
	{.method = #word,                           \
	 .pattern = path,                           \
	 .handler = enter,                          \
	 .admit = (open) ? NULL : admit,            \
	 .max_body = (open) ? OPEN_BODY_MAX : 0},
	ROUTES(X)
#undef X
};

/* The last one only where people come by https. */
static const struct nv_http_header headers[] = {
	{"Content-Security-Policy",
	 "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
	 "frame-ancestors 'none'; object-src 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cache-Control", "no-store"},
	{"Strict-Transport-Security", "max-age=31536000"},
};

static void on_shut(void *arg, const char *why)
{
	struct app *app = arg;
	nv_metric_add(app->m.shut, why, 1);
}

static void on_done(void *arg, const struct nv_http_request *r, unsigned status, uint64_t micros)
{
	struct app *app = arg;
	char code[16];
	snprintf(code, sizeof code, "%u", status);
	nv_metric_add(app->m.http, code, 1);
	/* a stream lasts as long as its reader likes: that is no answering time */
	if (strcmp(nv_http_pattern(r), "/api/v1/events") != 0)
		nv_metric_observe(app->m.http_time, NULL, (double)micros / 1e6);
	enum nv_level level = status >= 500 ? NV_WARN : status >= 400 ? NV_INFO : NV_DEBUG;
	NV_LOG(level, status >= 400 && status != 499 ? "http.refused" : "http.request",
	       NV_S("method", nv_http_method(r)), NV_S("path", nv_api_path_to_log(r)),
	       NV_U("status", status), NV_U("us", micros), NV_S("peer", nv_http_peer(r)));
}

bool nv_api_serves_metrics(const struct nv_config *c)
{
	return strcmp(c->producer.metrics_listen, c->producer.listen) == 0;
}

/* Earlier releases served them here: whoever still asks is told where they are. */
static void metrics_elsewhere(void *arg, struct nv_http_request *r)
{
	struct app *app = arg;
	uint64_t now = nv_mono_ms();
	if (!app->metrics_refused || now - app->metrics_refused >= METRICS_TOLD_MS) {
		app->metrics_refused = now;
		NV_LOG(NV_WARN, "metrics.elsewhere", NV_S("peer", nv_http_peer(r)),
		       NV_S("serve_at", app->config->producer.metrics_listen),
		       NV_S("hint",
			    "/metrics is not served at producer.listen; have Prometheus ask "
			    "at producer.metrics_listen, which must be set"));
	}
	nv_http_problem(r, 404, NV_R_not_found,
			"measurements are not served here but at producer.metrics_listen of the "
			"configuration");
}

int nv_api_start(struct app *app, struct nv_err *err)
{
	static const char *const monitors[] = {"/metrics", "/healthz", "/readyz"};
	void (*const handlers[])(void *, struct nv_http_request *) = {
		nv_api_serves_metrics(app->config) ? nv_daemon_metrics : metrics_elsewhere,
		nv_daemon_healthz, nv_daemon_readyz};
	const struct nv_config_producer *c = &app->config->producer;
	size_t n = NV_ARRAY_LEN(http_routes);
	app->routes = nv_alloc((n + 3) * sizeof *app->routes);
	for (size_t i = 0; i < n; i++) {
		app->routes[i] = http_routes[i];
		app->routes[i].data = &routes[i];
	}
	for (size_t i = 0; i < 3; i++)
		app->routes[n + i] = (struct nv_http_route){.method = "GET",
							    .pattern = monitors[i],
							    .handler = handlers[i],
							    .data = app->d,
							    .probe = true};
	bool https = c->base_url && strncmp(c->base_url, "https://", 8) == 0;
	struct nv_http_options o = {
		.listen = c->listen,
		.routes = app->routes,
		.routes_len = n + 3,
		.headers = headers,
		.headers_len = NV_ARRAY_LEN(headers) - (https ? 0 : 1),
		.max_body = c->max_body,
		.max_connections = (unsigned)c->max_connections,
		.max_per_address = (unsigned)c->max_per_address,
		.max_per_person = (unsigned)c->max_per_person,
		.header_timeout = c->header_timeout,
		.body_timeout = c->body_timeout,
		.min_rate = c->min_rate,
		.trusted_proxies = c->trusted_proxies,
		.trusted_proxies_len = c->trusted_proxies_len,
		.on_shut_cb = on_shut,
		.on_done_cb = on_done,
		.arg = app,
	};
	app->http = nv_http_new(app->d->loop, &o, err);
	if (!app->http)
		return -1;
	NV_LOG(NV_INFO, "producer.listening", NV_S("listen", o.listen),
	       NV_U("port", nv_http_port(app->http)));
	return 0;
}
