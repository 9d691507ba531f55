-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev
-- The producer can neither publish nor keep this revision of a request that was there before, and refuses
-- the change: the record is again what it was, unless somebody has published or changed it meanwhile, or a
-- sweep is sending it (unpublished.lua, whose scores are of half a millisecond).
-- Nobody is told a second time of a state that was final before.
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
local before = before_key(r.id)
local score = redis.call('ZSCORE', UNPUBLISHED, r.id)
local swept = not score or string.sub(score, -2) == '.5'
if r.rev ~= ARGV[2] or r.state ~= 'scheduled' or swept or redis.call('EXISTS', before) == 0 then
	return conflict('request ' .. r.id .. ' is ' .. r.state .. ' at revision ' .. r.rev)
end
unlist(r)
redis.call('RENAME', before, key(r.id))
redis.call('PERSIST', key(r.id))
redis.call('HSET', key(r.id), 'modified', int(NOW))
r = load(r.id)
for _, k in ipairs(indexes(r)) do
	redis.call('ZADD', k, r.created, r.id)
end
redis.call('ZADD', 'nv:idx:state:' .. r.state, r.created, r.id)
redis.call('ZADD', MODIFIED, int(NOW), r.id)
if r.state == 'scheduled' then
	redis.call('ZADD', waiting_key(r.site), int(now_is[1] * 1000000 + now_is[2]), r.id)
end
if r.state == 'scheduled' and r.published ~= '1' then
	redis.call('ZADD', UNPUBLISHED, int(NOW), r.id)
end
note(r.id, int(NOW), 'producer', 'warn', 'revision ' .. ARGV[2] ..
	' was taken back: it could be neither sent nor kept')
tell(r, r.state)
return {'ok', whole(r.id)}
