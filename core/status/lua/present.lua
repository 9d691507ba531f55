-- SPDX-License-Identifier: GPL-3.0-or-later
-- name, value, ms it lasts (0: for ever; '': no longer there)
-- Course servers choose how their hosts are called, so there are so many names and no more: of one
-- owner (the first two parts of KIND:OWNER:REST), and of all.
local DAY, OF_ONE, OF_ALL = 86400000, 64, 1000
local k = 'nv:present:' .. ARGV[1]
if ARGV[3] == '' then
	redis.call('ZREM', 'nv:present', ARGV[1])
	redis.call('DEL', k)
	return {'ok'}
end

local function drop_gone(names)
	for _, name in ipairs(names) do
		if redis.call('EXISTS', 'nv:present:' .. name) == 0 then
			redis.call('ZREM', 'nv:present', name)
		end
	end
end

local function is_full()
	local owner = string.match(ARGV[1], '^[^:]*:[^:]*:')
	local all = redis.call('ZRANGE', 'nv:present', 0, -1)
	local of_one = 0
	for _, name in ipairs(all) do
		if owner and string.sub(name, 1, #owner) == owner then
			of_one = of_one + 1
		end
	end
	return of_one >= OF_ONE or #all >= OF_ALL
end

if not redis.call('ZSCORE', 'nv:present', ARGV[1]) and is_full() then
	drop_gone(redis.call('ZRANGE', 'nv:present', 0, -1))
	if is_full() then
		return {'ok', 'full'}
	end
end
redis.call('ZADD', 'nv:present', int(NOW), ARGV[1])
if ARGV[3] == '0' then
	redis.call('SET', k, ARGV[2])
else
	redis.call('SET', k, ARGV[2], 'PX', ARGV[3])
end
drop_gone(redis.call('ZRANGEBYSCORE', 'nv:present', '-inf', int(NOW - DAY), 'LIMIT', 0, 100))
return {'ok'}
