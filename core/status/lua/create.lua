-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, only_one
-- asks: how many have asked for it, under one Idempotency-Key, and not been refused (take_back.lua); those
-- of more than a minute ago have died, or been accepted. asked: when the last one did, ms.
local q = request(1)
local r = load(q.id)
if r then
	if r.state == 'scheduled' and r.published ~= '1' then
		if not asked_lately(q.id) then
			redis.call('HDEL', key(q.id), 'asks')
		end
		redis.call('HINCRBY', key(q.id), 'asks', '1')
		redis.call('HSET', key(q.id), 'asked', int(NOW))
	end
	return {'ok', whole(q.id)}
end
if ARGV[8] == '1' then
	local other = holder(q.site, q.rcourse, q.id)
	if other then
		return taken(other)
	end
end
redis.call('DEL', forgotten_key(q.id)) -- it was taken back, and is asked for again
r = make(q, '0')
redis.call('HSET', key(q.id), 'asks', '1', 'asked', int(NOW))
redis.call('ZADD', UNPUBLISHED, int(NOW), q.id)
emit(r, 'scheduled', 'producer')
return {'ok', whole(q.id)}
