-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev
-- The confirm may come late, when the sweep has failed the request: then it keeps its reason, and nobody
-- is told again.
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
if tonumber(r.rev) ~= tonumber(ARGV[2]) then
	return {'ok'}
end
redis.call('ZREM', UNPUBLISHED, r.id) -- also one that was published before (republish.lua)
if r.published ~= '1' then
	local set = {published = '1'}
	local waited = r.unrouted and r.state == 'scheduled'
	if waited then -- there is a queue now
		set.unrouted, set.reason, set.message = false, false, false
	end
	save(r, set)
	if waited then
		emit(r, r.state, 'producer')
	end
end
return {'ok'}
