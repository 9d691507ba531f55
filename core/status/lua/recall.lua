-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, state, at, deleted, only_known, field, value, …
-- only_known: no record is made; one that went by its age, or on request, stays away.
-- People were told when it happened, unless Redis was emptied between the end and the telling: what
-- ended just now is told again (its message has a stable id, and arrives once).
local JUST_NOW = 600000 -- ms
local q = request(1)
local to, at, deleted, only_known = ARGV[8], ARGV[9], ARGV[10], ARGV[11] == '1'
local set = pairs_from(12)
local r = load(q.id)

if r and not FINAL[r.state] then
	return {'ok', 'in flight'}
end
if not r and (only_known or is_forgotten(q.id)) then
	return {'ok', 'known'}
end
if r and r.state ~= to and not (to == 'restored' and may('w', r.state, to)) then
	return {'ok', 'known'}
end
if r and r.state == to and (r.course_deleted == '1') == (deleted == '1') then
	return {'ok', 'known'}
end
local untold = not r and deleted ~= '1' and NOW - tonumber(at) < JUST_NOW
r = r or make(q, '1')
set.state = to
set.course_deleted = deleted
save(r, set)
redis.call('HSET', key(r.id), 'finished', at)
emit(r, untold and to or nil)
return {'ok', 'made'}
