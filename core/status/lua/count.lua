-- SPDX-License-Identifier: GPL-3.0-or-later
-- key, ttl in ms
local n = redis.call('INCR', ARGV[1])
if n == 1 and ARGV[2] ~= '0' then
	redis.call('PEXPIRE', ARGV[1], ARGV[2])
end
return n
