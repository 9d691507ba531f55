-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev, ms after which it fails, message
-- The broker has no queue for this revision.  It stays scheduled and says why; the sweep tries it
-- again after as long as it has waited already, at most after a quarter of an hour.
local LEAST, MOST = 10000, 900000 -- ms
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
if r.rev ~= ARGV[2] or r.state ~= 'scheduled' or r.published == '1' then
	return {'ok'}
end
local since = tonumber(r.unrouted or NOW)
local set = {reason = 'unroutable', message = ARGV[4], unrouted = int(since)}
if NOW - since >= tonumber(ARGV[3]) and may('p', r.state, 'failed') then
	set.state = 'failed'
	save(r, set)
	emit(r, 'failed', 'producer')
	return {'ok'}
end
local news = r.reason ~= 'unroutable'
save(r, set)
local delay = math.min(math.max(NOW - since, LEAST), MOST, tonumber(ARGV[3]))
redis.call('ZADD', UNPUBLISHED, int(NOW + delay), r.id)
if news then
	emit(r, 'scheduled', 'producer')
end
return {'ok'}
