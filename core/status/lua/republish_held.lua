-- SPDX-License-Identifier: GPL-3.0-or-later
-- site, reason
-- The requests of this course server that are held for this reason, before or after their export, count as
-- if the broker had never confirmed them: the sweep sends each out again, as a copy beside the message that
-- is held (unpublished.lua counts them).  Answers how many they are.
local count = 0
for _, state in ipairs({'scheduled', 'ready'}) do
	for _, id in ipairs(redis.call('ZINTER', 2, 'nv:idx:site:' .. ARGV[1], 'nv:idx:state:' .. state)) do
		local v = redis.call('HMGET', key(id), 'reason', 'created')
		if v[1] == ARGV[2] then
			redis.call('ZADD', UNPUBLISHED, long_ago(v[2]), id)
			redis.call('HSET', key(id), 'again', '1')
			count = count + 1
		end
	end
end
return {'ok', int(count)}
