-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, only_one
local q = request(1)
local r = load(q.id)
if not r then
	return not_found(q.id)
end
if not may('p', r.state, 'scheduled') then
	return conflict('request ' .. q.id .. ' is ' .. r.state)
end
if tonumber(q.rev) ~= tonumber(r.rev) + 1 then
	return conflict('request ' .. q.id .. ' has revision ' .. r.rev .. ' already')
end
if ARGV[8] == '1' then
	local other = holder(q.site, q.rcourse, q.id)
	if other then
		return taken(other)
	end
end
redis.call('COPY', key(q.id), before_key(q.id), 'REPLACE')
redis.call('PEXPIRE', before_key(q.id), BEFORE_KEEP)
adopt(r, q, '0')
redis.call('ZADD', UNPUBLISHED, int(NOW), q.id)
emit(r, 'scheduled', 'producer')
return {'ok', whole(q.id)}
