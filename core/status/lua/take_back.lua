-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev
-- The producer can neither publish nor keep this new request, and refuses it: the record goes, unless
-- somebody has published or changed it meanwhile ("stays"), or the same was asked for a second time at
-- once, and is perhaps kept for that one, or it is on a producer's disk, as accepted.lua knows ("shared").
-- A copy of its message that arrives all the same does not bring it back; asked for again under this id, it
-- is made anew (create.lua).
local r = load(ARGV[1])
if not r then
	return {'ok', 'gone'}
end
if r.rev ~= ARGV[2] or r.state ~= 'scheduled' or r.published == '1' then
	return {'ok', 'stays'}
end
local others = redis.call('HINCRBY', key(r.id), 'asks', '-1') > 0 and asked_lately(r.id)
if others or redis.call('HEXISTS', key(r.id), 'kept') == 1 then
	return {'ok', 'shared'}
end
erase(r)
return {'ok', 'gone'}
