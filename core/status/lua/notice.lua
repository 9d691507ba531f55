-- SPDX-License-Identifier: GPL-3.0-or-later
-- consumer, ms after which another's notice is taken over
-- Answers one entry or false, where the stream ends, and after how many ms the next of those that were
-- put back is due (-1: none waits).  The group is made at need: Redis may have
-- been emptied; then it begins with what is there.
local GROUP = 'notifier'
local known = false
if redis.call('EXISTS', NOTICES) == 1 then
	for _, g in ipairs(redis.call('XINFO', 'GROUPS', NOTICES)) do
		known = known or g[2] == GROUP
	end
end
if not known then
	redis.call('XGROUP', 'CREATE', NOTICES, GROUP, '0', 'MKSTREAM')
end
for _, m in ipairs(redis.call('ZRANGEBYSCORE', WAITING, '-inf', int(NOW), 'LIMIT', 0, 100)) do
	redis.call('ZREM', WAITING, m)
	redis.call('XADD', NOTICES, 'MAXLEN', '~', LENGTH, '*', unpack(cjson.decode(m)))
end
local from, entry = '0-0', nil
repeat
	local a = redis.call('XAUTOCLAIM', NOTICES, GROUP, ARGV[1], ARGV[2], from, 'COUNT', '1')
	from, entry = a[1], a[2][1]
until entry or from == '0-0'
if not entry then
	local read = redis.call('XREADGROUP', 'GROUP', GROUP, ARGV[1], 'COUNT', '1', 'STREAMS',
		NOTICES, '>')
	entry = read and read[1] and read[1][2][1]
end
local info = redis.call('XINFO', 'STREAM', NOTICES)
local last = '0-0'
for i = 1, #info, 2 do
	if info[i] == 'last-generated-id' then
		last = info[i + 1]
	end
end
local first = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')
local due = first[2] and math.max(0, tonumber(first[2]) - NOW) or -1
return {entry or false, last, int(due)}
