-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
if tonumber(r.rev) == tonumber(ARGV[2]) and r.published ~= '1' then
	redis.call('HSET', key(r.id), 'published', '1')
	redis.call('ZREM', UNPUBLISHED, r.id)
end
return {'ok'}
