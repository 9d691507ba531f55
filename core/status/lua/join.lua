-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, user, state
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
if ARGV[3] ~= 'joined' and redis.call('HGET', key(r.id), 'join:' .. ARGV[2]) == 'joined' then
	return {'ok'} -- an older message about it came too late
end
redis.call('HSET', key(r.id), 'join:' .. ARGV[2], ARGV[3])
redis.call('XADD', EVENTS, 'MAXLEN', '~', LENGTH, '*', 'kind', 'join', 'id', r.id, 'rev', r.rev,
	'user', ARGV[2], 'state', ARGV[3])
return {'ok'}
