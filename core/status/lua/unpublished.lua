-- SPDX-License-Identifier: GPL-3.0-or-later
-- age in ms, limit
local before = int(NOW - tonumber(ARGV[1]))
local out = {redis.call('ZCOUNT', UNPUBLISHED, '-inf', before)}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', UNPUBLISHED, '-inf', before, 'LIMIT', 0, ARGV[2])) do
	out[#out + 1] = whole(id)
end
return out
