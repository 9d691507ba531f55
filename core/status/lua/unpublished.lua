-- SPDX-License-Identifier: GPL-3.0-or-later
-- age in ms, limit
-- Takes the longest waiting, and puts them behind the others: those that cannot be published do not
-- keep the rest from their turn, and of two sweeps each takes its own.  Behind means half a millisecond
-- later: what came in the millisecond of this sweep has not had its turn.
local SWEPT = 0.5
local before = string.format('%.1f', NOW - tonumber(ARGV[1]) + SWEPT)
local out = {redis.call('ZCOUNT', UNPUBLISHED, '-inf', before)}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', UNPUBLISHED, '-inf', before, 'LIMIT', 0, ARGV[2])) do
	if redis.call('EXISTS', key(id)) == 1 then
		redis.call('ZADD', UNPUBLISHED, string.format('%.1f', NOW + SWEPT), id)
		if redis.call('HDEL', key(id), 'again') == 1 then
			redis.call('HINCRBY', key(id), 'copies', '1')
		end
		out[#out + 1] = whole(id)
	else
		redis.call('ZREM', UNPUBLISHED, id)
	end
end
return out
