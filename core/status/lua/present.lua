-- SPDX-License-Identifier: GPL-3.0-or-later
-- name, value, ms it lasts (0: for ever; '': no longer there)
local DAY = 86400000
local k = 'nv:present:' .. ARGV[1]
if ARGV[3] == '' then
	redis.call('ZREM', 'nv:present', ARGV[1])
	redis.call('DEL', k)
	return {'ok'}
end
redis.call('ZADD', 'nv:present', int(NOW), ARGV[1])
if ARGV[3] == '0' then
	redis.call('SET', k, ARGV[2])
else
	redis.call('SET', k, ARGV[2], 'PX', ARGV[3])
end
-- Names whose value has gone.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'nv:present', '-inf', int(NOW - DAY), 'LIMIT', 0, 100)) do
	if redis.call('EXISTS', 'nv:present:' .. name) == 0 then
		redis.call('ZREM', 'nv:present', name)
	end
end
return {'ok'}
