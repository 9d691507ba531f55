-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, revision, how many by themselves within the window, the window in ms, course's name, site, user,
-- reason
-- A failure that administrators are to hear of: 'alone', or the id of the digest that collects it.  The
-- record remembers what was said of which failure (the revision, and when it ended: a requeued request may
-- fail again), so that a notice that comes again is neither counted nor told twice.
local RECENT, OPEN = 'nv:digest:recent', 'nv:digest:open'
local ROWS = 20
local DAYS = 31 -- longer than a notice is tried
local id, rev, alone, window = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', key(id)) == 0 then
	return not_found(id)
end
local failure = rev .. ':' .. (redis.call('HGET', key(id), 'finished') or '')
local told_of, told_as = string.match(redis.call('HGET', key(id), 'digest') or '', '^(%S+) (%S+)$')
if told_of == failure then
	return {'ok', told_as}
end

local function open_one()
	local ms = NOW
	while redis.call('EXISTS', 'nv:digest:' .. int(ms)) == 1 do
		ms = ms + 1
	end
	local d = int(ms)
	redis.call('HSET', 'nv:digest:' .. d, 'since', int(NOW))
	redis.call('PEXPIRE', 'nv:digest:' .. d, int(DAYS * 86400000 + window))
	-- It is closed when it is given out; the time only keeps one that was lost from staying open.
	redis.call('SET', OPEN, d, 'PX', int(window + 60000))
	redis.call('ZADD', WAITING, int(NOW + window), cjson.encode({'kind', 'digest', 'id', d}))
	return d
end

local function collect(d)
	local hash = 'nv:digest:' .. d
	local n = redis.call('HINCRBY', hash, 'total', '1')
	redis.call('HINCRBY', hash, 'reason:' .. ARGV[8], '1')
	if n <= ROWS then
		redis.call('HSET', hash, 'row:' .. int(n), cjson.encode({id, ARGV[5], ARGV[6], ARGV[7], ARGV[8]}))
	end
end

redis.call('ZREMRANGEBYSCORE', RECENT, '-inf', int(NOW - window))
local as = redis.call('GET', OPEN) or nil
if not as and redis.call('ZCARD', RECENT) >= alone then
	as = open_one()
end
if as then
	collect(as)
end
-- The newest tell whether as many as that lie within the window.
redis.call('ZADD', RECENT, int(NOW), id .. ' ' .. failure)
redis.call('ZREMRANGEBYRANK', RECENT, '0', int(-alone - 1))
redis.call('HSET', key(id), 'digest', failure .. ' ' .. (as or 'alone'))
return {'ok', as or 'alone'}
